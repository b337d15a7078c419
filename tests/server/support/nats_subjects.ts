/** NATS JetStream as a subject of the conformance suite. */
import type { Subject } from "../../../src/testing/mod.ts";
import type { Features } from "../../../src/contract/transport.ts";
import { liveSubject, namesOf } from "../../../src/transports/nats/stream/subjects.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import type { NatsServer } from "./servers/nats.ts";
import type { NatsCluster } from "./servers/nats_cluster.ts";
import { insisted, type RawNats } from "./servers/nats_client.ts";
import { pauseAll } from "./servers/server.ts";
import { connect, headers } from "@nats-io/transport-node";
import { createLeaks, watchedRuntime } from "./watched.ts";

/** What the NATS transport must declare: the table of transports in the design. */
export const NATS_FEATURES: Features = {
  durable: true,
  shared: true,
  exactFence: true,
  exactInfo: false,
  atomicPush: true,
  remote: true,
  clock: "server",
  idLive: true,
  idWindow: true,
};

/** Milliseconds of a server's lease: those that the suite lets run out where it runs alone. */
const BRIEF = 400;

interface Streams {
  readonly total: number;
  readonly streams: readonly string[] | null;
}

/** The names of all streams that begin so. */
export async function streamsOf(client: RawNats, prefix: string): Promise<readonly string[]> {
  const names: string[] = [];
  for (let offset = 0;;) {
    const { total, streams }: Streams = JSON.parse(
      await client.request("$JS.API.STREAM.NAMES", JSON.stringify({ offset })),
    );
    const page = streams ?? [];
    names.push(...page.filter((name) => name.startsWith(`${prefix}_`)));
    offset += page.length;
    if (page.length === 0 || offset >= total) return names;
  }
}

function anyOf([node]: readonly NatsServer[]): Promise<RawNats> {
  if (node === undefined) throw new Error("Cannot reach NATS as no server runs");
  return node.raw();
}

/** A connection of another program, which can write headers. */
async function connected([node]: readonly NatsServer[]): Promise<
  AsyncDisposable & { put(subject: string, header: string, payload?: Uint8Array): Promise<void> }
> {
  const connection = await connect({ servers: node?.url.replace("nats://", "") ?? "" });
  return {
    async put(subject, header, payload) {
      const lines = headers();
      lines.set("Relevo", header);
      const answer = await connection.request(subject, payload ?? "", { headers: lines, timeout: 60_000 });
      const { error } = answer.json<{ readonly error?: { readonly description: string } }>();
      if (error !== undefined) throw new Error(error.description);
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

/** What a subject stands on. */
export interface NatsGround {
  /** Where clients connect to. */
  servers(): Promise<readonly string[]>;
  /** The servers that run. */
  nodes(): Promise<readonly NatsServer[]>;
  restart(): Promise<void>;
  /** Copies of a stream. Default 1. */
  readonly replicas?: number;
}

/** One server, over TCP or over WebSocket. */
export function natsServer(server: () => Promise<NatsServer>, over: "url" | "ws" = "url"): NatsGround {
  return {
    servers: async () => [(await server())[over]],
    nodes: async () => [await server()],
    restart: async () => await (await server()).restart(),
  };
}

/** Three servers of which any may be missing: a restart is that of the next in turn. */
export function natsCluster(cluster: () => Promise<NatsCluster>): NatsGround {
  let turn = 0;
  return {
    replicas: 3,
    servers: async () => (await cluster()).urls,
    nodes: async () => (await cluster()).nodes,
    async restart() {
      const { nodes, healthy } = await cluster();
      await nodes[turn++ % nodes.length]?.restart();
      await healthy();
    },
  };
}

/** A store is a prefix; `ackWait` is the server's lease, in milliseconds, and all times are `scale` times as long. */
export function natsSubject(
  name: string,
  ground: NatsGround,
  { scale = 1, ackWait = BRIEF * scale }: { readonly scale?: number; readonly ackWait?: number } = {},
): Subject {
  const { replicas = 1 } = ground;
  const runtimes = new Map<string, ReturnType<typeof watchedRuntime>>();
  const leaks = createLeaks();

  function runtimeOf(store: string): ReturnType<typeof watchedRuntime> {
    const known = runtimes.get(store) ?? watchedRuntime();
    runtimes.set(store, known);
    return known;
  }

  /** Whoever waits for a queue makes it. */
  async function make(store: string, queue: string): Promise<void> {
    const transport = nats({ servers: await ground.servers(), prefix: store, ackWait, replicas });
    await transport.reserve([queue], { limit: 1, slots: 0, lease: 1, wait: 1, deadline: 60_000 });
    await transport[Symbol.asyncDispose]();
  }

  return {
    name,
    features: NATS_FEATURES,
    lacks: nats({ servers: "nats://127.0.0.1:4222" }).lacks,
    scale,
    topics: true,
    schedules: true,
    diagnose: true,
    async create(store) {
      const transport = nats({
        servers: await ground.servers(),
        prefix: store,
        name: store,
        ackWait,
        replicas,
        runtime: runtimeOf(store),
      });
      await transport.queues({ deadline: 60_000 });
      return transport;
    },
    restart: () => ground.restart(),
    pause: async () => pauseAll(await ground.nodes()),
    async raw(store, queue, payload) {
      const client = await anyOf(await ground.nodes());
      if ((await streamsOf(client, store)).length === 0) await make(store, queue);
      await client.request(`${namesOf(store, queue).base}in.raw`, payload);
      await client[Symbol.asyncDispose]();
    },
    async inject(store, { queue, id, name, meta, payload }) {
      const nodes = await ground.nodes();
      const client = await anyOf(nodes);
      if ((await streamsOf(client, store)).length === 0) await make(store, queue);
      await client[Symbol.asyncDispose]();
      const { base } = namesOf(store, queue);
      const subject = id === undefined || id === "" ? `${base}in.other` : liveSubject(base, "w", id);
      await using connection = await connected(nodes);
      await connection.put(subject, JSON.stringify([id ?? "", name ?? queue, meta ?? ""]), payload);
    },
    async spoil(store, queue) {
      const { stream } = namesOf(store, queue);
      const client = await anyOf(await ground.nodes());
      await insisted(client, `$JS.API.STREAM.DELETE.${stream}`);
      const taken = { name: stream, subjects: [`taken.${stream}`], num_replicas: replicas };
      await client.request(`$JS.API.STREAM.CREATE.${stream}`, JSON.stringify(taken));
      return async () => {
        await insisted(client, `$JS.API.STREAM.DELETE.${stream}`);
        await client[Symbol.asyncDispose]();
      };
    },
    async lose(store) {
      const client = await anyOf(await ground.nodes());
      for (const stream of await streamsOf(client, store)) {
        await insisted(client, `$JS.API.STREAM.PURGE.${stream}`);
      }
      await client[Symbol.asyncDispose]();
    },
    async destroy(store) {
      const nodes = await ground.nodes();
      const client = await anyOf(nodes);
      const connections = async (): Promise<number> => {
        const pages = await Promise.all(nodes.map((node) => node.monitor("/connz?limit=10000")));
        const list = pages.flatMap((page) => page.connections as readonly { readonly name?: string }[]);
        return list.filter(({ name: of }) => of === store).length;
      };
      await leaks.add(async () => runtimeOf(store).sleepers + await connections());
      for (const stream of await streamsOf(client, store)) {
        await insisted(client, `$JS.API.STREAM.DELETE.${stream}`);
      }
      await client[Symbol.asyncDispose]();
      runtimes.delete(store);
    },
    alive: leaks.alive,
  };
}
