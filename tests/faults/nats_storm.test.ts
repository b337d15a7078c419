import { expect, test } from "vitest";
import { JOBS, printStorm, weather } from "../server/faults/scenes/storm.ts";
import { QUEUE } from "../server/faults/fixtures/task.ts";
import { now } from "../server/faults/support/ledger.ts";
import { openScene, untilStruck } from "../server/faults/support/scene.ts";
import { startNatsCluster } from "../server/support/servers/nats_cluster.ts";
import { ownedFirst } from "../server/support/servers/owned.ts";
import { freshPrefix } from "./support/grounds.ts";
import { leaderNodes } from "./support/leaders.ts";

const LEASE = 2_000;
/** Milliseconds before a leader's death of which its followers may not have heard what became of deliveries. */
const UNDONE = 1_000;

const started = ownedFirst(() => startNatsCluster());

test(
  "10,000 jobs outlive a leader that is killed and brought back three times, and a worker killed every second",
  async () => {
    const cluster = started();
    const leaders = await leaderNodes(cluster);
    const aftermath = await untilStruck(() => {
      const prefix = freshPrefix();
      const ports = cluster.nodes.map(({ port }) => port);
      const scene = openScene(() => ({ kind: "nats-cluster", ports, prefix, lease: LEASE }));
      const kill = {
        what: "the stream's leader killed",
        async strike() {
          const leader = await leaders.of(prefix, QUEUE);
          await leader.kill();
          const gone = now();
          await leader.start();
          await cluster.healthy();
          return gone;
        },
      };
      return weather({ scene, lease: LEASE, strikes: [kill, kill, kill], undone: UNDONE });
    });
    expect(aftermath.runs.ends.size).toBe(JOBS);
    printStorm("a storm on three nodes of NATS", aftermath);
  },
  600_000,
);
