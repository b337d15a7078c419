import { afterAll, expect, test } from "vitest";
import { QUEUE } from "../server/faults/fixtures/task.ts";
import { acknowledged, ended, handsAt, now, recovery, touched } from "../server/faults/support/ledger.ts";
import {
  drained,
  IN_HAND,
  NOTHING,
  openScene,
  printRepeated,
  untilStruck,
} from "../server/faults/support/scene.ts";
import { startRedisCluster } from "../server/support/servers/redis_cluster.ts";
import { freshPrefix } from "./support/grounds.ts";

const LEASE = 2_000;
const JOBS = 4_000;
/** Milliseconds in which every worker is at work again: the nodes' own timeout is one second of it. */
const SOON = 45_000;

const cluster = await startRedisCluster();
afterAll(() => cluster[Symbol.asyncDispose]());

/**
 * Replication is asynchronous: what a master acknowledged and its replica had not got when it died is gone, says the
 * Cluster's specification. `WAIT` tells up to where the replica has it all, so that exactly what came behind that may
 * be lost, undone or repeated.
 */
test(
  "a Cluster's failover loses nothing but what its replica had not got, and everybody goes on by himself",
  async () => {
    const { history, runs, left, apart, fence, killed } = await untilStruck(async () => {
      const prefix = freshPrefix();
      const ports = cluster.nodes.map(({ port }) => port);
      const scene = openScene(() => ({ kind: "redis-cluster", ports, prefix }));
      await scene.relay.queues();
      const flow = { count: JOBS / 2, bulk: 1, width: 8, pause: 20, repeat: true, callTimeout: 2_000 };
      const task = { does: "wait", ms: 40 } as const;
      const producers = [0, 1].map((n) => scene.producer({ from: n * flow.count, ...flow, task }));
      const order = { lease: LEASE, concurrency: 16, callTimeout: 2_000 };
      const workers = [scene.worker(order), scene.worker(order)];
      await ended(scene.folder, JOBS / 2);

      const probe = `{${prefix}:${QUEUE}}:probe`;
      const master = await cluster.ownerOf(probe);
      const client = await master.admin();
      const fence = now();
      await client.send("SET", probe, "replicated");
      const replicas = await client.send("WAIT", 1, 1_000);
      const killed = now();
      await master.kill();
      await client[Symbol.asyncDispose]();

      await Promise.all(producers.map((producer) => producer.rest()));
      await scene.counts(drained);
      await Promise.all(workers.map((worker) => worker.stop()));
      await master.start();
      await cluster.healthy();
      let apart: ReadonlySet<string> = new Set();
      const judged = await scene.judge((history) => apart = touched(history, fence, killed));
      const struck = replicas === 1 && handsAt(judged.history, killed) >= IN_HAND;
      return struck ? { ...judged, apart, fence, killed } : undefined;
    });
    const lost = [...acknowledged(history)].filter((id) => !runs.ends.has(id));
    const { first, last } = recovery(history, killed);
    console.log(
      `failover of a Cluster with ${handsAt(history, killed)} jobs in hand: answered again after ${
        Math.round(first)
      } ms, all processes after ${Math.round(last)} ms`,
    );
    console.log(
      `${lost.length} acknowledged jobs lost of ${apart.size} that something happened to in the ` +
        `${(killed - fence).toFixed(1)} ms that the replica was not known to have`,
    );
    printRepeated("a failover", runs);
    expect(left).toEqual(NOTHING);
    expect(lost.filter((id) => !apart.has(id))).toEqual([]);
    expect(runs.ends.size + lost.length).toBe(JOBS);
    expect(last).toBeLessThan(SOON);
  },
  300_000,
);
