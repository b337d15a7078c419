/** Who leads what in a cluster of NATS. */
import { safeName } from "../../../src/transports/nats/stream/subjects.ts";
import type { NatsServer } from "../../server/support/servers/nats.ts";
import { answerWithin } from "../../server/support/servers/nats_client.ts";
import type { NatsCluster } from "../../server/support/servers/nats_cluster.ts";

/** The nodes that lead. */
export interface LeaderNodes {
  /** The node that leads a queue's stream, or the consumer of that name of it; waits until there is one. */
  of(prefix: string, queue: string, consumer?: string): Promise<NatsServer>;
}

interface Led {
  readonly cluster?: { readonly leader?: string };
}

/** Milliseconds for which an answer is waited for: without a leader none comes. */
const SILENCE = 500;
const PATIENCE = 60_000;

/** Learns the names that the nodes gave themselves. All must run. */
export async function leaderNodes({ nodes }: NatsCluster): Promise<LeaderNodes> {
  const names = new Map<string, NatsServer>();
  for (const node of nodes) {
    await using client = await node.raw();
    names.set(client.info.server_name, node);
  }

  async function ask(call: string): Promise<Led> {
    const running = nodes.find((node) => node.pid() !== 0);
    if (running === undefined) throw new Error("No node runs");
    await using client = await running.raw();
    return JSON.parse(await answerWithin(client, call, SILENCE) || "{}") as Led;
  }

  return {
    async of(prefix, queue, consumer) {
      const stream = `${prefix}_${safeName(queue)}`;
      const call = consumer === undefined ? `STREAM.INFO.${stream}` : `CONSUMER.INFO.${stream}.${consumer}`;
      for (const end = performance.now() + PATIENCE; performance.now() < end;) {
        const { cluster } = await ask(`$JS.API.${call}`);
        const node = names.get(cluster?.leader ?? "");
        if (node !== undefined && node.pid() !== 0) return node;
      }
      throw new Error(`Not within ${PATIENCE} ms: a leader of '${call}'`);
    },
  };
}
