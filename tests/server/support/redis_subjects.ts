/** Redis, standalone and as a Cluster, as subjects of the conformance suite. */
import type { Runtime } from "../../../src/runtime.ts";
import type { FakeRuntime, Subject } from "../../../src/testing/mod.ts";
import type { Features, Transport } from "../../../src/contract/transport.ts";
import { redis } from "../../../src/transports/redis/mod.ts";
import type { RedisServer } from "./servers/redis.ts";
import type { RedisCluster } from "./servers/redis_cluster.ts";
import type { RedisWorld } from "./servers/redis_world.ts";
import { pauseAll } from "./servers/server.ts";
import { createLeaks, watchedRuntime } from "./watched.ts";

/** What the Redis transport must declare: the table of transports in the design. */
export const REDIS_FEATURES: Features = {
  durable: true,
  shared: true,
  exactFence: true,
  exactInfo: true,
  atomicPush: true,
  remote: true,
  clock: "server",
  idLive: true,
  idWindow: true,
};

/** Users of the servers that subjects are on: the connections of each store are those of a user of its own. */
const USERS: readonly string[] = Array.from({ length: 32 }, (_, n) => `store${n}`);

/** The lines of the configuration that make those users. */
export const STORE_USERS: readonly string[] = USERS.map((user) => `${user} on >${user} ~* &* +@all`);

/** What a subject stands on. */
interface Ground {
  readonly name: string;
  /** The nodes that run; one where there is no Cluster. */
  nodes(): Promise<readonly RedisServer[]>;
  /** Which of them has a key. */
  ownerOf(key: string): Promise<RedisServer>;
  connect(store: string, user: string, runtime: Runtime): Promise<Transport>;
  restart(): Promise<void>;
}

type Sleepers = Runtime & { readonly sleepers: number };

interface Store {
  readonly user: string;
  readonly runtime: Sleepers;
}

function redisSubject(ground: Ground, runtimeOf: () => Sleepers): Subject {
  const free = [...USERS];
  const stores = new Map<string, Store>();
  const leaks = createLeaks();

  function open(store: string): Store {
    const known = stores.get(store);
    if (known !== undefined) return known;
    const user = free.pop();
    if (user === undefined) throw new Error(`Cannot open another store as ${USERS.length} are open`);
    const opened = { user, runtime: runtimeOf() };
    stores.set(store, opened);
    return opened;
  }

  /** How many connections a user has; those of a client that was closed go away at once, or are a leak. */
  async function connections(user: string): Promise<number> {
    const lists = await Promise.all((await ground.nodes()).map((node) => node.send("CLIENT", "LIST")));
    return lists.flatMap((list) => String(list).split("\n")).filter((line) => line.includes(` user=${user} `))
      .length;
  }

  return {
    name: ground.name,
    features: REDIS_FEATURES,
    lacks: redis().lacks,
    topics: true,
    schedules: true,
    diagnose: true,
    async create(store) {
      const { user, runtime } = open(store);
      const transport = await ground.connect(store, user, runtime);
      await transport.queues({ deadline: 60_000 });
      return transport;
    },
    restart: () => ground.restart(),
    pause: async () => pauseAll(await ground.nodes()),
    async raw(store, queue, payload) {
      const key = keyOf(store, queue);
      await (await ground.ownerOf(key)).send("XADD", key, "*", "payload", payload);
    },
    bare: true,
    async spoil(store, queue) {
      const key = keyOf(store, queue);
      const aside = `${key}.aside`;
      const there = Number(await (await ground.ownerOf(key)).send("EXISTS", key)) === 1;
      if (there) await (await ground.ownerOf(key)).send("RENAME", key, aside);
      await (await ground.ownerOf(key)).send("SET", key, "in the way");
      return async () => {
        const owner = await ground.ownerOf(key);
        await owner.send("DEL", key);
        if (there) await owner.send("RENAME", aside, key);
      };
    },
    async lose(store) {
      for (const node of await ground.nodes()) await clear(node, store);
    },
    async inject(store, { queue, ...fields }) {
      const key = keyOf(store, queue);
      const given = Object.entries(fields).flatMap(([field, value]) =>
        value === undefined ? [] : [field, value]
      );
      // An entry must have a field.
      await (await ground.ownerOf(key)).send(
        "XADD",
        key,
        "*",
        ...(given.length > 0 ? given : ["of", "others"]),
      );
    },
    async destroy(store) {
      const { user, runtime } = open(store);
      await leaks.add(async () => runtime.sleepers + await connections(user));
      for (const node of await ground.nodes()) await clear(node, store);
      stores.delete(store);
      free.push(user);
    },
    alive: leaks.alive,
  };
}

/** The stream of what waits in a queue. */
function keyOf(store: string, queue: string): string {
  const [topic, group] = queue.replaceAll("%", "%25").replaceAll(":", "%3A").split("@");
  return `{${store}:${topic}}${group === undefined ? "" : `@${group}`}:waiting`;
}

/** Takes away all keys of a store. */
async function clear(node: RedisServer, store: string): Promise<void> {
  const client = await node.admin();
  try {
    if (!String(await client.send("INFO", "replication")).includes("role:master")) return;
    let cursor = "0";
    do {
      const [next, keys] = await client.send("SCAN", cursor, "MATCH", `*${store}*`, "COUNT", 1_000) as [
        string,
        readonly string[],
      ];
      for (const key of keys) await client.send("UNLINK", key);
      cursor = next;
    } while (cursor !== "0");
  } finally {
    await client[Symbol.asyncDispose]();
  }
}

function withUser(url: string, user: string): string {
  return url.replace("redis://", `redis://${user}:${user}@`);
}

/** One server, started with `STORE_USERS`. */
export function redisServerSubject(name: string, server: () => Promise<RedisServer>): Subject {
  const ground: Ground = {
    name,
    nodes: async () => [await server()],
    ownerOf: server,
    connect: async (store, user, runtime) =>
      redis({ url: withUser((await server()).url, user), prefix: store, runtime }),
    restart: async () => await (await server()).restart(),
  };
  return redisSubject(ground, watchedRuntime);
}

/** One server under a clock that the suite moves, started with `STORE_USERS`. */
export function redisWorldSubject(name: string, world: () => RedisWorld): Subject {
  let begun: FakeRuntime | undefined;
  const runtime = (): FakeRuntime => begun ??= world().begin();
  const ground: Ground = {
    name,
    nodes: () => Promise.resolve([world().server]),
    ownerOf: () => Promise.resolve(world().server),
    connect: (store, user) =>
      Promise.resolve(
        redis({ url: withUser(world().server.url, user), prefix: store, runtime: runtime() }),
      ),
    restart: () => world().server.restart(),
  };
  return {
    ...redisSubject(ground, runtime),
    elapse: (ms) => runtime().advance(ms),
    now: () => runtime().now(),
    runtime,
    step: (ms) => runtime().step(ms),
  };
}

/** A Cluster whose nodes were started with `STORE_USERS`. */
export function redisClusterSubject(name: string, cluster: () => Promise<RedisCluster>): Subject {
  const ground: Ground = {
    name,
    nodes: async () => (await cluster()).nodes.filter((node) => node.pid() !== 0),
    ownerOf: async (key) => await (await cluster()).ownerOf(key),
    connect: async (store, user, runtime) => {
      const nodes = (await cluster()).urls.map((url) => withUser(url, user));
      return redis({ nodes, prefix: store, runtime });
    },
    restart: async () => await (await cluster()).restart(),
  };
  return redisSubject(ground, watchedRuntime);
}
