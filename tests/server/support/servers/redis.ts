/** Redis and Valkey servers of tests. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ServerClock } from "./clock.ts";
import { connectResp, type Reply, type RespClient } from "./resp.ts";
import { type Server, startServer } from "./server.ts";

/** Which of the servers: the oldest that we work with, the newest, and the other one. */
export type RedisName = "redis7" | "redis8" | "valkey8";

/** How a server is set up. */
export interface RedisOptions {
  /** Default `redis7`, the oldest. */
  readonly server?: RedisName;
  /** Lines of the configuration, over those that stand here: `{ maxmemory: "4mb", requirepass: "p" }`. */
  readonly config?: Readonly<Record<string, string | number>>;
  /** The clock that the server goes by, instead of the machine's. */
  readonly clock?: ServerClock;
  /** Users beside `default`, as an ACL file has them: `app on >secret ~app:* +@all`. */
  readonly users?: readonly string[];
}

/** A standalone server, or a node of a Cluster. */
export interface RedisServer extends Server {
  /** Without user and password. */
  readonly url: string;
  /** Where nodes of a Cluster talk to each other; 0 where there is none. */
  readonly bus: number;
  /** A connection of a user who may do everything, whatever the configuration says of others. */
  admin(): Promise<RespClient>;
  /** One command of such a user. */
  send(...args: readonly (string | number | Uint8Array)[]): Promise<Reply>;
}

/** What the server calls INFO. */
function infoOf({ config }: RedisOptions): string {
  return /^INFO (\S+)$/.exec(String(config?.["rename-command"]))?.[1] ?? "INFO";
}

const ADMIN = ["relevo-tests", "all-doors"] as const;

/** Starts a server that loses nothing it acknowledged, not even when its process is killed. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { server: name = "redis7", users = [] } = options;
  const clustered = options.config?.["cluster-enabled"] === "yes";
  let bus = 0;
  const server = await startServer({
    server: name,
    ports: clustered ? 2 : 1,
    ...(options.clock === undefined ? {} : { env: options.clock.env }),
    configure(folder, [port, second = 0], log) {
      bus = second;
      const config: Readonly<Record<string, string | number>> = {
        bind: "127.0.0.1",
        port: port ?? 0,
        dir: `"${folder}"`,
        logfile: `"${log}"`,
        save: `""`,
        appendonly: "yes",
        appendfsync: "everysec",
        "enable-debug-command": "yes",
        "repl-diskless-sync-delay": 0,
        // The allocator's thread sleeps until an instant of the clock that stands still, which is over by the machine's: it
        // would keep a core busy.
        ...(options.clock === undefined ? {} : { "jemalloc-bg-thread": "no" }),
        masteruser: ADMIN[0],
        masterauth: ADMIN[1],
        ...(clustered ? { "cluster-port": second, "cluster-config-file": "nodes.conf" } : {}),
        ...options.config,
      };
      const all = [`${ADMIN[0]} on >${ADMIN[1]} ~* &* +@all`, ...users];
      const lines = [
        ...Object.entries(config).map(([key, value]) => `${key} ${value}`),
        ...all.map((user) => `user ${user}`),
      ];
      const file = join(folder, "redis.conf");
      writeFileSync(file, `${lines.join("\n")}\n`);
      return [file];
    },
    async ready(port, pid) {
      const client = await connectResp(port, ADMIN);
      try {
        const info = String(await client.send(infoOf(options)));
        // There is an `async_loading`, too.
        return info.includes(`process_id:${pid}\r`) && info.includes("\nloading:0\r");
      } finally {
        await client[Symbol.asyncDispose]();
      }
    },
  });
  const admin = (): Promise<RespClient> => connectResp(server.port, ADMIN);
  return {
    ...server,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    url: `redis://127.0.0.1:${server.port}`,
    bus,
    admin,
    async send(...args) {
      const client = await admin();
      try {
        return await client.send(...args);
      } finally {
        await client[Symbol.asyncDispose]();
      }
    },
  };
}
