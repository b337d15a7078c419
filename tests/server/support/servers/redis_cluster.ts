/** A Redis Cluster of three masters, each with a replica. */
import { type RedisOptions, type RedisServer, startRedis } from "./redis.ts";
import type { RespClient } from "./resp.ts";
import { type Together, together } from "./server.ts";

/** The nodes of one Cluster. */
export interface RedisCluster extends Together {
  /** The three that were masters at the start, then their replicas in the same order. */
  readonly nodes: readonly RedisServer[];
  /** `redis://127.0.0.1:<port>` of each node. */
  readonly urls: readonly string[];
  /** Which of the nodes serves a key now; asks the node that is given, or the first that runs. */
  ownerOf(key: string, asked?: RedisServer): Promise<RedisServer>;
}

/** What CLUSTER SLOTS says of a range: its first and last slot, and where its master is. */
type Range = readonly [first: number, last: number, master: readonly [host: string, port: number]];

const MASTERS = 3;
const SLOTS = 16_384;
const PATIENCE = 60_000;

/** Starts six nodes on one machine and makes a Cluster of them; takes some seconds. */
export async function startRedisCluster(options: RedisOptions = {}): Promise<RedisCluster> {
  const config = {
    "cluster-enabled": "yes",
    "cluster-node-timeout": 1_000,
    "cluster-replica-validity-factor": 0,
    ...options.config,
  };
  const started = await Promise.allSettled(
    Array.from({ length: 2 * MASTERS }, () => startRedis({ ...options, config })),
  );
  const nodes = started.flatMap((each) => each.status === "fulfilled" ? [each.value] : []);
  const cluster = createCluster(nodes);
  try {
    for (const each of started) if (each.status === "rejected") throw each.reason;
    await join(nodes);
    await cluster.healthy();
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  return cluster;
}

async function join(nodes: readonly RedisServer[]): Promise<void> {
  const clients = await Promise.all(nodes.map((node) => node.admin()));
  try {
    const ids = await Promise.all(clients.map((client) => client.send("CLUSTER", "MYID")));
    for (const [n, client] of clients.entries()) await client.send("CLUSTER", "SET-CONFIG-EPOCH", n + 1);
    for (const [n, client] of clients.slice(0, MASTERS).entries()) {
      const first = Math.ceil(SLOTS * n / MASTERS);
      const last = Math.ceil(SLOTS * (n + 1) / MASTERS) - 1;
      await client.send("CLUSTER", "ADDSLOTSRANGE", first, last);
    }
    // Everybody meets everybody, so that nobody waits for gossip.
    for (const client of clients) {
      for (const { port, bus } of nodes) await client.send("CLUSTER", "MEET", "127.0.0.1", port, bus);
    }
    await Promise.all(
      clients.slice(MASTERS).map(async (client, n) => {
        const master = String(ids[n]);
        await until("a replica knows its master", async () => {
          return String(await client.send("CLUSTER", "NODES")).includes(`${master} `);
        });
        await client.send("CLUSTER", "REPLICATE", master);
      }),
    );
  } finally {
    for (const client of clients) await client[Symbol.asyncDispose]();
  }
}

function createCluster(nodes: readonly RedisServer[]): RedisCluster {
  const running = (): readonly RedisServer[] => nodes.filter((node) => node.pid() !== 0);

  async function healthy(): Promise<void> {
    const all = running();
    await Promise.all(all.map((node) => until("the Cluster is whole", () => whole(node, all))));
  }

  return {
    nodes,
    urls: nodes.map(({ url }) => url),
    async ownerOf(key, asked = running()[0]) {
      if (asked === undefined) throw new Error("Cannot ask for the owner of a key as no node runs");
      const slot = Number(await asked.send("CLUSTER", "KEYSLOT", key));
      const ranges = await asked.send("CLUSTER", "SLOTS");
      for (const [first, last, [, port]] of ranges as readonly Range[]) {
        const owner = nodes.find((node) => node.port === port);
        if (first <= slot && slot <= last && owner !== undefined) return owner;
      }
      throw new Error(`No node serves slot ${slot}`);
    },
    ...together(nodes, healthy),
  };
}

/** Whether a node sees all slots served by nodes that run, and is in step with its master if it is a replica. */
async function whole(node: RedisServer, running: readonly RedisServer[]): Promise<boolean> {
  const client = await node.admin();
  try {
    const cluster = await infoOf(client, "CLUSTER", "INFO");
    const replication = await infoOf(client, "INFO", "replication");
    const ranges = await client.send("CLUSTER", "SLOTS") as readonly Range[];
    const replicas = String(await client.send("CLUSTER", "NODES")).match(/ (?:myself,)?slave /g)?.length ?? 0;
    return cluster.get("cluster_state") === "ok" && cluster.get("cluster_slots_ok") === String(SLOTS) &&
      ranges.every(([, , [, port]]) => running.some((each) => each.port === port)) &&
      Number(cluster.get("cluster_known_nodes")) >= running.length && replicas >= running.length - MASTERS &&
      (replication.get("role") === "master" || replication.get("master_link_status") === "up");
  } finally {
    await client[Symbol.asyncDispose]();
  }
}

async function infoOf(
  client: RespClient,
  ...command: readonly string[]
): Promise<ReadonlyMap<string, string>> {
  const lines = String(await client.send(...command)).split("\r\n");
  return new Map(lines.map((line) => [line.split(":")[0] ?? "", line.slice(line.indexOf(":") + 1)]));
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!await check().catch(() => false)) {
    if (performance.now() > end) throw new Error(`Not within ${PATIENCE} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
