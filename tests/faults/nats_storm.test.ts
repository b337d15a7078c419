import { afterAll, expect, test } from "vitest";
import { JOBS, printStorm, weather } from "../server/faults/scenes/storm.ts";
import { now } from "../server/faults/support/ledger.ts";
import { openScene, untilStruck } from "../server/faults/support/scene.ts";
import type { NatsServer } from "../server/support/servers/nats.ts";
import { startNatsCluster } from "../server/support/servers/nats_cluster.ts";
import { freshPrefix } from "./support/grounds.ts";

const LEASE = 2_000;
/** Milliseconds before a leader's death of which its followers may not have heard what became of deliveries. */
const UNDONE = 1_000;

const cluster = await startNatsCluster();
afterAll(() => cluster[Symbol.asyncDispose]());

/** The node of each name that the servers gave themselves. */
const names = new Map<string, NatsServer>();
for (const node of cluster.nodes) {
  await using client = await node.raw();
  names.set(client.info.server_name, node);
}

interface Streams {
  readonly streams?: readonly {
    readonly config: { readonly name: string };
    readonly cluster?: { readonly leader?: string };
  }[];
}

/** The node that leads the one stream whose name begins with a prefix. */
async function leaderOf(prefix: string): Promise<NatsServer> {
  const running = cluster.nodes.find((node) => node.pid() !== 0);
  if (running === undefined) throw new Error("No node runs");
  await using client = await running.raw();
  for (;;) {
    const { streams = [] } = JSON.parse(await client.request("$JS.API.STREAM.LIST")) as Streams;
    const stream = streams.find(({ config }) => config.name.startsWith(prefix));
    const node = names.get(stream?.cluster?.leader ?? "");
    if (node !== undefined) return node;
  }
}

test(
  "10,000 jobs outlive a leader that is killed and brought back three times, and a worker killed every second",
  async () => {
    const aftermath = await untilStruck(() => {
      const prefix = freshPrefix();
      const ports = cluster.nodes.map(({ port }) => port);
      const scene = openScene(() => ({ kind: "nats-cluster", ports, prefix, lease: LEASE }));
      const kill = {
        what: "the stream's leader killed",
        async strike() {
          const leader = await leaderOf(prefix);
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
  240_000,
);
