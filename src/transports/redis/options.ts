/**
 * The options of `redis()`, and the errors of wrong ones.
 *
 * @module
 */

import {
  checkBoolean,
  checkInteger,
  checkKnown,
  checkObject,
  checkRuntime,
  wrongType,
} from "../../options.ts";
import { type Runtime, systemRuntime } from "../../runtime.ts";
import { type Address, type Addresses, addressesOf } from "./client/address.ts";
import { type Client, type ClusterClient, isClient, isCluster, wrongKind } from "./client/driver.ts";
import { PARTS, type Parts } from "./layout/keys.ts";

/** The parts of a queue whose keys can be named; each default is the part's own name. */
export type RedisKeys = { readonly [Part in keyof Parts]?: string | undefined };

/** A client of node-redis, as `createClient` or `createCluster` makes it; of other kinds there is an error. */
export interface RedisClient {
  /** True between `connect()` and its end. */
  readonly isOpen: boolean;
  /** True while commands can be sent. */
  readonly isReady: boolean;
}

/** Options of {@linkcode redis}. Give at most one of `url`, `nodes` and `client`. */
export interface RedisOptions {
  /**
   * Where the server is: `redis://user:password@host:port/database`, or `rediss://...` for TLS. Default: the value of
   * `REDIS_URL` in the environment, else of `REDIS_ADDR` (`host:port`, several with commas are nodes of a Cluster),
   * else `redis://127.0.0.1:6379`.
   */
  readonly url?: string | undefined;
  /** Nodes of a Cluster, at least one that answers, as URLs or `host:port`; the others are found through it. */
  readonly nodes?: readonly string[] | undefined;
  /** Whether the addresses are those of a Cluster. Default: true for `nodes` and for several in `REDIS_ADDR`. */
  readonly cluster?: boolean | undefined;
  /**
   * A connected client of node-redis, of one server or of a Cluster. It is a pattern: all connections are duplicates of
   * it, made anew where one ends or falls silent, and closed with the transport. The client itself is never closed by
   * the transport, and none of the transport's commands waits behind the client's.
   */
  readonly client?: RedisClient | undefined;
  /** Options of `node:tls`, such as `ca` or `servername`, for `rediss:`. */
  readonly tls?: object | undefined;
  /** The beginning of all keys: those of queue `default` begin with `{relevo:default}:`. Default `relevo`. */
  readonly prefix?: string | undefined;
  /** Other names for the parts of a queue, so that its keys end in them. Default: `waiting`, `delayed`, and so on. */
  readonly keys?: RedisKeys | undefined;
  /** The consumer group of the streams. Default `relevo`. */
  readonly group?: string | undefined;
  /**
   * Milliseconds at most between two polls for jobs without a notification, while a reserve call waits, from 100 to
   * 60,000. Default 2,000: one command a second for all queues of a server. A job that Relevo stores wakes it at once.
   */
  readonly check?: number | undefined;
  /** Runs of a job in all where neither it nor the worker says. Default: the core's, 3. */
  readonly maxRetries?: number | undefined;
  /** Milliseconds that one connection may take until it is ready, from 100 to 60,000. Default 5,000. */
  readonly connectTimeout?: number | undefined;
  /** Told once, in words, when the server's settings may lose jobs. Default: `console.warn`. */
  readonly warn?: ((message: string) => void) | undefined;
  /** The transport's name in errors and reports. Default `redis`. */
  readonly name?: string | undefined;
  /** Clock, timer and die. Default: the real ones. Due times and leases are judged by the server's clock. */
  readonly runtime?: Runtime | undefined;
}

/** Options without gaps. */
export interface Settings {
  readonly target:
    | { readonly kind: "server"; readonly address: Address }
    | { readonly kind: "cluster"; readonly nodes: Addresses }
    | { readonly kind: "client"; readonly client: Client }
    | { readonly kind: "clusterClient"; readonly client: ClusterClient };
  readonly tls: object;
  readonly prefix: string;
  readonly parts: Parts;
  readonly group: string;
  readonly check: number;
  readonly patience: number;
  readonly maxRetries: number | undefined;
  readonly warn: (message: string) => void;
  readonly name: string;
  readonly runtime: Runtime;
}

const ACTION = "use Redis";
const KNOWN = [
  "url",
  "nodes",
  "cluster",
  "client",
  "tls",
  "prefix",
  "keys",
  "group",
  "check",
  "connectTimeout",
  "maxRetries",
  "warn",
  "name",
  "runtime",
];
const CHECK = 2_000;
const PATIENCE = 5_000;

/** Fills the gaps; throws a `TypeError` or `RangeError` that tells the mistake. */
export function settingsOf(options: RedisOptions): Settings {
  if (typeof options === "string" || options instanceof URL) {
    throw new TypeError(
      `Cannot ${ACTION} as its options must be an object: current value is a URL, write ` +
        'redis({ url: "redis://host:6379" })',
    );
  }
  checkKnown(ACTION, options, KNOWN);
  const {
    tls = {},
    prefix = "relevo",
    group = "relevo",
    check = CHECK,
    connectTimeout = PATIENCE,
    maxRetries,
    warn = (message) => console.warn(message),
    name = "redis",
    runtime = systemRuntime(),
  } = options;
  checkObject(ACTION, "'tls'", tls);
  checkRuntime(ACTION, runtime);
  if (typeof warn !== "function") {
    throw wrongType(ACTION, "'warn'", "a function", warn);
  }
  return {
    target: targetOf(options),
    tls,
    prefix: wordOf("prefix", prefix),
    parts: partsOf(options.keys === undefined ? {} : options.keys),
    group: wordOf("group", group),
    check: checkInteger(ACTION, "check", check, 100, 60_000),
    patience: checkInteger(ACTION, "connectTimeout", connectTimeout, 100, 60_000),
    maxRetries: maxRetries === undefined
      ? undefined
      : checkInteger(ACTION, "maxRetries", maxRetries, 1, Number.MAX_SAFE_INTEGER),
    warn,
    name: wordOf("name", name),
    runtime,
  };
}

function targetOf({ url, nodes, cluster, client }: RedisOptions): Settings["target"] {
  if ([url, nodes, client].filter((given) => given !== undefined).length > 1) {
    throw new TypeError(`Cannot ${ACTION} as at most one of 'url', 'nodes' and 'client' must be given`);
  }
  if (client !== undefined) {
    if (isClient(client)) return { kind: "client", client };
    if (isCluster(client)) return { kind: "clusterClient", client };
    throw new TypeError(
      `Cannot ${ACTION} as 'client' must be made by createClient or createCluster of node-redis 6: current value is ${
        wrongKind(client)
      }`,
    );
  }
  if (cluster !== undefined) checkBoolean(ACTION, "cluster", cluster);
  const found = addressesOf(url, nodes);
  const [address] = found.list;
  if ((cluster ?? found.several) && found.list.some(({ database }) => database > 0)) {
    throw new TypeError(
      `Cannot ${ACTION} as the nodes of a Cluster have one database: an address names another`,
    );
  }
  return (cluster ?? found.several) ? { kind: "cluster", nodes: found.list } : { kind: "server", address };
}

/** A brace would put the keys of a queue into another slot than its name says. */
function wordOf(option: string, value: string): string {
  if (typeof value === "string" && value !== "" && !/[{}\p{Cc}]/u.test(value) && value.isWellFormed()) {
    return value;
  }
  throw wrongType(ACTION, `'${option}'`, "a non-empty string without braces", value);
}

function partsOf(keys: RedisKeys): Parts {
  checkKnown(ACTION, keys, Object.keys(PARTS));
  const parts: { -readonly [Part in keyof Parts]: string } = { ...PARTS };
  for (const [part, name] of Object.entries(keys)) {
    if (name !== undefined && part in parts) parts[part as keyof Parts] = wordOf(`keys.${part}`, name);
  }
  const names = Object.values(parts);
  const twice = names.find((name, n) => names.indexOf(name) < n);
  if (twice !== undefined) {
    throw new TypeError(
      `Cannot ${ACTION} as each part of 'keys' must have a name of its own: '${twice}' is two`,
    );
  }
  return parts;
}
