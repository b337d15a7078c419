/**
 * From a URL to a transport: the scheme says which adapter, and only that one is loaded.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { connect } from "@relevo/relevo/connect";
 * import * as v from "valibot";
 *
 * const transport = await connect("sqlite::memory:");
 * const relay = createRelay({ jobs: { welcome: v.object({}) }, transport });
 * console.log((await relay.dispatch("welcome", {})).status); // stored
 * await relay.close();
 * ```
 *
 * @module
 */

import { CALL_TIMEOUT } from "./defaults.ts";
import {
  checkBoolean,
  checkKnown,
  checkRuntime,
  checkSignal,
  checkTime,
  quote,
  wrongType,
} from "./options.ts";
import { explainPermission } from "./permission.ts";
import type { Runtime } from "./runtime.ts";
import type { Transport } from "./contract/transport.ts";

/** Options of {@linkcode connect}. */
export interface ConnectOptions {
  /** Ends the attempt: `connect` rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Milliseconds that the attempt may take. Default 10,000. */
  readonly deadline?: number;
  /** Clock, timer and die of the transport. Default: the real ones. */
  readonly runtime?: Runtime;
  /**
   * Whether a store that is not there is made: a SQLite file and its tables; servers keep no store that is empty.
   * Default true.
   */
  readonly create?: boolean;
  /** Told when the store's settings may lose jobs, or differ from the options. Default: `console.warn`. */
  readonly warn?: (message: string) => void;
}

/** A URL in parts: everything behind the scheme and before the first `?`, as written, and the parameters. */
interface Address {
  readonly scheme: string;
  readonly rest: string;
  readonly parameters: ReadonlyMap<string, string>;
}

type Open = (address: Address, options: ConnectOptions) => Promise<Transport>;

const ACTION = "connect";
const SCHEMES: ReadonlyMap<string, Open> = new Map([
  ["memory", openMemory],
  ["sqlite", openSqlite],
  ["redis", openRedis],
  ["rediss", openRedis],
  ["redis+cluster", openRedis],
  ["rediss+cluster", openRedis],
  ["nats", openNats],
  ["tls", openNats],
  ["ws", openNats],
  ["wss", openNats],
]);

/**
 * Opens the transport that a URL names, and makes sure that it can be used.
 *
 * | URL | transport |
 * |---|---|
 * | `memory:` | memory of this process |
 * | `sqlite:jobs.db`, `sqlite:/var/lib/jobs.db` | a SQLite file, relative or absolute; `%` escapes are decoded |
 * | `sqlite::memory:` | a SQLite database in memory |
 * | `redis://user:password@host:port/database`, `rediss://...` | a Redis server, over TCP or TLS |
 * | `redis+cluster://host:port,host:port`, `rediss+cluster://...` | a Redis Cluster, by some of its nodes |
 * | `redis:`, `redis+cluster:` | what `REDIS_URL`, else `REDIS_ADDR` says, else 127.0.0.1:6379 |
 * | `nats://user:password@host:port`, `tls://...`, `ws://...`, `wss://...` | NATS JetStream, over TCP or WebSocket; `,` parts servers of a cluster |
 *
 * Parameters of `sqlite:`: `durability=full|normal`, `maxBytes=<bytes>`, `probe=<milliseconds>`, `name=<name>`. Of
 * `redis:` and its like: `prefix=<prefix>`, `group=<group>`, `check=<milliseconds>`, `connectTimeout=<milliseconds>`,
 * `maxRetries=<runs>`, `name=<name>`. Of `nats:` and its like: `prefix=<prefix>`, `group=<group>`, `ackWait=<milliseconds>`,
 * `maxDeliver=<runs>`, `replicas=<number>`, `storage=file|memory`, `maxBytes=<bytes>`, `domain=<domain>`,
 * `apiPrefix=<subject>`, `name=<name>`.
 *
 * @throws {TypeError} When the URL has an unknown scheme or parameter, or no path, and for an option that is wrong or
 * unknown. No message repeats credentials.
 * @throws {RangeError} When a number is out of its range.
 * @throws {TransportError} When the store cannot be used; its `code` says why.
 *
 * @example
 * ```ts
 * import { connect } from "@relevo/relevo/connect";
 *
 * await using transport = await connect("sqlite::memory:");
 * console.log(transport.name); // sqlite
 * ```
 */
export async function connect(url: string, options: ConnectOptions = {}): Promise<Transport> {
  checkKnown(ACTION, options, ["signal", "deadline", "runtime", "create", "warn"]);
  checkSignal(ACTION, options.signal);
  if (options.deadline !== undefined) checkTime(ACTION, "deadline", options.deadline);
  if (options.runtime !== undefined) checkRuntime(ACTION, options.runtime);
  if (options.create !== undefined) checkBoolean(ACTION, "create", options.create);
  if (options.warn !== undefined && typeof options.warn !== "function") {
    throw wrongType(ACTION, "'warn'", "a function", options.warn);
  }
  options.signal?.throwIfAborted();
  const address = addressOf(url);
  const open = SCHEMES.get(address.scheme);
  if (open === undefined) {
    throw wrong(`its scheme must be one of ${wantedSchemes()}: current value is '${address.scheme}:'`);
  }
  try {
    return await open(address, options);
  } catch (error) {
    throw explainPermission(error, `'${address.scheme}:'`);
  }
}

async function openMemory({ rest, parameters }: Address, options: ConnectOptions): Promise<Transport> {
  if (rest !== "") throw wrong(`nothing may follow 'memory:': found ${rest.length} characters`);
  checkParameters("memory", parameters, []);
  const { memory } = await import("./transports/memory/mod.ts");
  return memory(options.runtime === undefined ? {} : { runtime: options.runtime });
}

async function openSqlite({ rest, parameters }: Address, options: ConnectOptions): Promise<Transport> {
  checkParameters("sqlite", parameters, ["durability", "maxBytes", "probe", "name"]);
  const path = pathOf(rest);
  const { sqlite } = await import("./transports/sqlite/mod.ts");
  const name = parameters.get("name");
  const durability = parameters.get("durability");
  if (durability !== undefined && durability !== "full" && durability !== "normal") {
    throw wrong(`'durability' must be 'full' or 'normal': current value is '${durability}'`);
  }
  const transport = sqlite({
    path,
    ...(name === undefined ? {} : { name }),
    ...(durability === undefined ? {} : { durability }),
    ...numberOf("maxBytes", parameters),
    ...numberOf("probe", parameters),
    create: options.create,
    ...(options.runtime === undefined ? {} : { runtime: options.runtime }),
  });
  return await tried(transport, options);
}

async function openRedis({ scheme, rest, parameters }: Address, options: ConnectOptions): Promise<Transport> {
  checkParameters(scheme, parameters, ["prefix", "group", "check", "connectTimeout", "maxRetries", "name"]);
  const cluster = scheme.endsWith("+cluster");
  const plain = scheme.replace("+cluster", "");
  if (rest === "" ? plain !== "redis" : !rest.startsWith("//")) {
    const wanted = cluster ? "//host:port,host:port" : "//host:port";
    throw wrong(`what follows '${scheme}:' must begin with '//', as in '${scheme}:${wanted}'`);
  }
  const nodes = rest.slice(2).split(",").map((node) => `${plain}://${node}`);
  const { redis } = await import("./transports/redis/mod.ts");
  const transport = redis({
    ...(cluster ? { cluster } : {}),
    ...(rest === "" ? {} : cluster ? { nodes } : { url: `${plain}:${rest}` }),
    prefix: parameters.get("prefix"),
    group: parameters.get("group"),
    name: parameters.get("name"),
    runtime: options.runtime,
    warn: options.warn,
    ...numberOf("check", parameters),
    ...numberOf("connectTimeout", parameters),
    ...numberOf("maxRetries", parameters),
  });
  return await tried(transport, options);
}

async function openNats({ scheme, rest, parameters }: Address, options: ConnectOptions): Promise<Transport> {
  checkParameters(scheme, parameters, [
    "prefix",
    "group",
    "ackWait",
    "maxDeliver",
    "replicas",
    "storage",
    "maxBytes",
    "domain",
    "apiPrefix",
    "name",
  ]);
  if (!/^\/\/[^/]/.test(rest)) {
    throw wrong(`what follows '${scheme}:' must begin with '//', as in '${scheme}://host:port'`);
  }
  const storage = parameters.get("storage");
  if (storage !== undefined && storage !== "file" && storage !== "memory") {
    throw wrong(`'storage' must be 'file' or 'memory': current value is '${storage}'`);
  }
  const { nats } = await import("./transports/nats/mod.ts");
  const transport = nats({
    servers: rest.slice(2).split(",").map((server) => `${scheme}://${server}`),
    prefix: parameters.get("prefix"),
    group: parameters.get("group"),
    name: parameters.get("name"),
    storage,
    runtime: options.runtime,
    warn: options.warn,
    ...numberOf("ackWait", parameters),
    ...numberOf("maxDeliver", parameters),
    ...numberOf("replicas", parameters),
    ...numberOf("maxBytes", parameters),
    domain: parameters.get("domain"),
    apiPrefix: parameters.get("apiPrefix"),
  });
  return await tried(transport, options);
}

/** A transport that answered a call; one that did not is closed. */
async function tried(
  transport: Transport,
  { signal, deadline = CALL_TIMEOUT }: ConnectOptions,
): Promise<Transport> {
  try {
    await transport.queues({ signal, deadline });
    return transport;
  } catch (error) {
    await transport[Symbol.asyncDispose]();
    throw error;
  }
}

function addressOf(url: string): Address {
  const scheme = typeof url === "string" ? /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1] : undefined;
  if (scheme === undefined) {
    throw wrong(`a URL must begin with one of ${wantedSchemes()}: current value ${unnamed(url)}`);
  }
  const behind = url.slice(scheme.length + 1);
  const mark = behind.indexOf("?");
  const rest = mark < 0 ? behind : behind.slice(0, mark);
  return {
    scheme: scheme.toLowerCase(),
    rest,
    parameters: parametersOf(mark < 0 ? "" : behind.slice(mark + 1)),
  };
}

/** A text without a scheme may be a path, or a secret that went to the wrong place. */
function unnamed(url: unknown): string {
  if (url instanceof URL) return "is a URL object: give its text, connect(url.href)";
  if (typeof url !== "string") return `is ${quote(url)}, as in connect("sqlite:jobs.db")`;
  return /^[\w./\\ -]{0,80}$/.test(url) && /[./\\]|^$/.test(url) ? `is '${url}'` : "has no scheme";
}

function parametersOf(query: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (parameters.has(name)) throw wrong(`parameter '${name}' must be given once`);
    parameters.set(name, value);
  }
  return parameters;
}

function checkParameters(
  scheme: string,
  parameters: ReadonlyMap<string, string>,
  known: readonly string[],
): void {
  for (const name of parameters.keys()) {
    if (known.includes(name)) continue;
    const wanted = known.length === 0 ? "it takes none" : `it takes ${known.join(", ")}`;
    throw wrong(`'${scheme}:' has no parameter '${name}': ${wanted}`);
  }
}

function pathOf(rest: string): string {
  const wanted = "must be a path, as in 'sqlite:jobs.db', 'sqlite:/var/lib/jobs.db' or 'sqlite::memory:'";
  if (rest === "") throw wrong(`what follows 'sqlite:' ${wanted}: current value is empty`);
  if (rest.startsWith(":") && rest !== ":memory:") {
    throw wrong(`what follows 'sqlite:' ${wanted}: current value begins with ':' and is not ':memory:'`);
  }
  // Three slashes are an absolute path behind no host; two would make a host of the first folder.
  if (rest.startsWith("//") && !rest.startsWith("///")) {
    throw wrong(`what follows 'sqlite:' ${wanted}: current value begins with '//', as if a host followed`);
  }
  try {
    return decodeURIComponent(rest.startsWith("///") ? rest.slice(2) : rest);
  } catch {
    throw wrong(
      `what follows 'sqlite:' ${wanted}: current value has a '%' that begins no escape (write %25)`,
    );
  }
}

function numberOf<Name extends string>(
  name: Name,
  parameters: ReadonlyMap<string, string>,
): { readonly [N in Name]?: number } {
  const value = parameters.get(name);
  if (value === undefined) return {};
  if (!/^\d{1,15}$/.test(value)) throw wrong(`'${name}' must be a whole number: current value is '${value}'`);
  const entry: { [N in Name]?: number } = {};
  entry[name] = Number(value);
  return entry;
}

function wantedSchemes(): string {
  return [...SCHEMES.keys()].map((scheme) => `'${scheme}:'`).join(", ");
}

function wrong(what: string): TypeError {
  return new TypeError(`Cannot ${ACTION} as ${what}`);
}
