/** Leaders die on a cluster of three: calls wait for the next within their deadlines, and what they do is done once. */
import { connect } from "@nats-io/transport-node";
import { describe, expect, test } from "vitest";
import type { ReserveOptions } from "../../src/jobs/exchange.ts";
import { job } from "../../src/testing/conformance/lab.ts";
import type { Transport } from "../../src/contract/transport.ts";
import { safeName } from "../../src/transports/nats/stream/subjects.ts";
import { nats, type NatsConnection } from "../../src/transports/nats/mod.ts";
import type { NatsServer } from "../server/support/servers/nats.ts";
import { startNatsCluster } from "../server/support/servers/nats_cluster.ts";
import { answerWithin, type RawNats } from "../server/support/servers/nats_client.ts";
import { ownedFirst } from "../server/support/servers/owned.ts";
import { freshPrefix } from "./support/grounds.ts";
import { leaderNodes } from "./support/leaders.ts";

const QUEUE = "q";
const CALL = { deadline: 30_000 };
const LOOK: ReserveOptions = { limit: 1_000, slots: 1_000, lease: 30_000, wait: 0, deadline: 30_000 };
const JOBS = 200;
const ids = Array.from({ length: JOBS }, (_, n) => `job ${n}`);
/** Messages that one call may send beside those of its jobs: looks for a leader, twice a second at most. */
const LOOKS = 100;

const cluster = ownedFirst(() => startNatsCluster());

/** A transport that hangs on one node, and counts what it sends. */
async function hangingOn(
  node: NatsServer,
  prefix: string,
): Promise<{ readonly transport: Transport; sent: () => number; close: () => Promise<void> }> {
  const real = await connect({
    servers: node.url.replace("nats://", ""),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
  });
  let sent = 0;
  const connection = new Proxy(real, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (key === "publish") sent++;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const transport = nats({ connection: connection as unknown as NatsConnection, prefix, replicas: 3 });
  return {
    transport,
    sent: () => sent,
    async close() {
      await transport[Symbol.asyncDispose]();
      await real.close();
    },
  };
}

/** Makes a queue's place, and a transport that does not hang on the node that leads its stream or that consumer of it. */
async function besideLeader(consumer?: string): Promise<
  { readonly leader: NatsServer; readonly prefix: string } & Awaited<ReturnType<typeof hangingOn>>
> {
  const { urls, nodes } = cluster();
  const leaders = await leaderNodes(cluster());
  const prefix = freshPrefix();
  const maker = nats({ servers: urls, prefix, replicas: 3 });
  await maker.reserve([QUEUE], { ...LOOK, wait: 1 });
  await maker[Symbol.asyncDispose]();
  const leader = await leaders.of(prefix, QUEUE, consumer);
  const other = nodes.find((node) => node !== leader);
  if (other === undefined) throw new Error("There is one node only");
  const held = await hangingOn(other, prefix);
  // The place is looked at, so that what comes next asks the leader at once.
  await held.transport.reserve([QUEUE], { ...LOOK, wait: 1 });
  return { leader, prefix, ...held };
}

/** Kills a node, does something, and brings the node back. */
async function without(node: NatsServer, work: () => Promise<void>): Promise<void> {
  const dying = node.kill();
  try {
    await work();
  } finally {
    await dying;
    await node.start();
    await cluster().healthy();
  }
}

/** Milliseconds that something took. */
async function timed(what: string, call: () => Promise<unknown>): Promise<void> {
  const begun = performance.now();
  await call();
  console.log(`${what}: ${Math.round(performance.now() - begun)} ms`);
}

describe("without a leader", () => {
  test("pushes wait for the next leader, are stored once, and send few messages meanwhile", async () => {
    const { leader, transport, sent, close } = await besideLeader();
    const before = sent();
    const jobs = ids.map((id, n) =>
      n % 2 === 0 ? job({ id, queue: QUEUE, idWindow: 1_000 }) : job({ id, queue: QUEUE })
    );
    await without(leader, () =>
      timed("pushes while the stream had no leader", async () => {
        expect(new Set(await transport.push(jobs, CALL))).toEqual(new Set(["stored"]));
      }));
    // Half of them take an id, store the job, and close the lock; each message may find no leader a few times.
    expect(sent() - before).toBeLessThan(2 * JOBS * 3 + LOOKS);
    // One may have come to a pull that is left from making the queue, and is given back in a moment.
    await expect.poll(async () => (await transport.info(QUEUE, CALL)).waiting, { timeout: 10_000 }).toBe(
      JOBS,
    );
    await close();
  });

  test("deliveries are settled and extended once their line has a leader, and jobs are handed out", async () => {
    const { leader, transport, sent, close } = await besideLeader("relevo");
    await transport.push(ids.map((id) => job({ id, queue: QUEUE })), CALL);
    const taken = await transport.reserve([QUEUE], { ...LOOK, limit: JOBS / 2, wait: 10_000 });
    expect(taken.length).toBeGreaterThan(1);
    const tokens = taken.map(({ token }) => token);
    const before = sent();
    const work = async (): Promise<void> => {
      const [settled, extended, more] = await Promise.all([
        transport.settle(tokens.slice(1).map((token) => ({ queue: QUEUE, token, to: "done" })), CALL),
        transport.extend([{ queue: QUEUE, token: tokens[0] ?? "", ms: 30_000 }], CALL),
        transport.reserve([QUEUE], LOOK),
      ]);
      expect(new Set(settled)).toEqual(new Set(["settled"]));
      expect(extended).toEqual([{ state: "held" }]);
      expect(more.length).toBeGreaterThan(0);
    };
    await without(
      leader,
      () => timed("settlements, extensions and a look while the line had no leader", work),
    );
    expect(sent() - before).toBeLessThan(3 * JOBS + LOOKS);
    await close();
  });

  test("a job that is pushed to whoever waits comes though the line's leader dies before", async () => {
    const { leader, transport, close } = await besideLeader("relevo");
    const waits = transport.reserve([QUEUE], { ...LOOK, wait: 60_000 });
    waits.catch(() => undefined);
    await without(leader, async () => {
      // The message may be on its way to who dies: with an id it is sent again.
      const [pushed] = await transport.push([job({ id: "1", queue: QUEUE, idWindow: 1_000 })], CALL);
      expect(pushed).toBe("stored");
      await timed("a job came to whoever waited while its line had no leader", async () => {
        expect((await waits).map(({ id }) => id)).toEqual(["1"]);
      });
    });
    await close();
  });
});

test("calls go on at another node when theirs dies", async () => {
  const { urls, nodes } = cluster();
  const leaders = await leaderNodes(cluster());
  const prefix = freshPrefix();
  const maker = nats({ servers: urls, prefix, replicas: 3 });
  await maker.push([job({ id: "0", queue: QUEUE })], CALL);
  const [stream, line] = [await leaders.of(prefix, QUEUE), await leaders.of(prefix, QUEUE, "relevo")];
  const mine = nodes.find((node) => node !== stream && node !== line);
  if (mine === undefined) return;
  const { transport, close } = await hangingOn(mine, prefix);
  const [first] = await transport.reserve([QUEUE], { ...LOOK, wait: 10_000 });
  const work = async (): Promise<void> => {
    const [pushed, settled] = await Promise.all([
      transport.push(ids.map((id) => job({ id, queue: QUEUE, idWindow: 1_000 })), CALL),
      transport.settle([{ queue: QUEUE, token: first?.token ?? "", to: "done" }], CALL),
    ]);
    expect(new Set(pushed)).toEqual(new Set(["stored"]));
    expect(settled).toEqual(["settled"]);
  };
  await without(mine, () => timed("a push and a settlement while the connection's node died", work));
  await maker[Symbol.asyncDispose]();
  await close();
});

/** Resolves when nothing listens to a subject: a stream that was deleted does for a moment. */
async function deaf(client: RawNats, subject: string): Promise<void> {
  await expect.poll(() => answerWithin(client, subject, 200), { timeout: 20_000 }).toBe("");
}

test("a stream that is gone is told at once, and made anew by the next push", async () => {
  const [node] = cluster().nodes;
  if (node === undefined) throw new Error("There is no node");
  const prefix = freshPrefix();
  const { transport, close } = await hangingOn(node, prefix);
  expect(await transport.push([job({ id: "0", queue: QUEUE })], CALL)).toEqual(["stored"]);
  await using client = await node.raw();
  const token = safeName(QUEUE);
  await client.request(`$JS.API.STREAM.DELETE.${prefix}_${token}`);
  await deaf(client, `${prefix}.${token}.in.x`);
  const begun = performance.now();
  const [refused] = await transport.push([job({ id: "1", queue: QUEUE })], CALL);
  expect(refused).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
  expect(performance.now() - begun).toBeLessThan(CALL.deadline / 3);
  expect(await transport.push([job({ id: "1", queue: QUEUE })], CALL)).toEqual(["stored"]);
  await close();
});
