/** NATS JetStream as a subject of the conformance suite. */
import type { Subject } from "../../../src/testing/mod.ts";
import type { Features } from "../../../src/transport.ts";
import { safeName } from "../../../src/transports/nats/names.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import type { NatsServer } from "./servers/nats.ts";
import type { RawNats } from "./servers/nats_client.ts";
import { settled, watchedRuntime } from "./watched.ts";

/** What the NATS transport must declare: the table of transports in the design. */
export const NATS_FEATURES: Features = {
  durable: true,
  shared: true,
  exactFence: false,
  exactInfo: false,
  atomicPush: false,
  clock: "server",
  idLive: true,
  idWindow: true,
};

/** Milliseconds of a server's lease: those that the suite lets run out. */
const BRIEF = 400;

interface Streams {
  readonly total: number;
  readonly streams: readonly { readonly config: { readonly name: string } }[] | null;
}

/** The names of all streams that begin so. */
export async function streamsOf(client: RawNats, prefix: string): Promise<readonly string[]> {
  const names: string[] = [];
  for (let offset = 0;;) {
    const { total, streams }: Streams = JSON.parse(
      await client.request("$JS.API.STREAM.LIST", JSON.stringify({ offset })),
    );
    const page = streams ?? [];
    names.push(...page.map(({ config }) => config.name).filter((name) => name.startsWith(`${prefix}_`)));
    offset += page.length;
    if (page.length === 0 || offset >= total) return names;
  }
}

/** One server that all stores share; `ackWait` is its lease. */
export function natsSubject(
  name: string,
  server: () => Promise<NatsServer>,
  ackWait: number = BRIEF,
): Subject {
  const runtimes = new Map<string, ReturnType<typeof watchedRuntime>>();
  let leaks = 0;

  function runtimeOf(store: string): ReturnType<typeof watchedRuntime> {
    const known = runtimes.get(store) ?? watchedRuntime();
    runtimes.set(store, known);
    return known;
  }

  /** Whoever waits for a queue makes it. */
  async function make(store: string, queue: string): Promise<void> {
    const transport = nats({ servers: (await server()).url, prefix: store, ackWait });
    await transport.reserve([queue], { limit: 1, slots: 0, lease: 1, wait: 1, deadline: 10_000 });
    await transport[Symbol.asyncDispose]();
  }

  return {
    name,
    features: NATS_FEATURES,
    topics: true,
    async create(store) {
      const transport = nats({
        servers: (await server()).url,
        prefix: store,
        name: store,
        ackWait,
        runtime: runtimeOf(store),
      });
      await transport.queues({ deadline: 10_000 });
      return transport;
    },
    restart: async () => await (await server()).restart(),
    async raw(store, queue, payload) {
      const client = await (await server()).raw();
      if ((await streamsOf(client, store)).length === 0) await make(store, queue);
      await client.request(`${store}.${safeName(queue)}.w.raw`, payload);
      await client[Symbol.asyncDispose]();
    },
    async destroy(store) {
      const one = await server();
      const client = await one.raw();
      const connections = async (): Promise<number> => {
        const { connections: list } = await one.monitor("/connz?limit=10000");
        return (list as readonly { readonly name?: string }[]).filter(({ name: of }) => of === store).length;
      };
      leaks += await settled(async () => runtimeOf(store).sleepers + await connections());
      for (const stream of await streamsOf(client, store)) {
        await client.request(`$JS.API.STREAM.DELETE.${stream}`);
      }
      await client[Symbol.asyncDispose]();
      runtimes.delete(store);
    },
    alive() {
      const left = leaks;
      leaks = 0;
      return left;
    },
  };
}
