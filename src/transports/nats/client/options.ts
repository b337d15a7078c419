/**
 * The options of `nats()`, and the check of their values.
 *
 * @module
 */

import {
  checkInteger,
  checkKnown,
  checkLabel,
  checkRuntime,
  checkWord,
  quote,
  wrongType,
} from "../../../options.ts";
import { type Runtime, systemRuntime } from "../../../runtime.ts";
import type { NatsConnection } from "./connection.ts";
import type { Settings } from "./link.ts";

/** Options of {@linkcode nats}. Give `servers` or `connection`. */
export interface NatsOptions {
  /**
   * `nats://host:4222`, `tls://host:4222`, or `ws://` and `wss://` for WebSocket; several are one cluster. A name and
   * password, or a token, may stand before an `@`.
   */
  readonly servers?: string | readonly string[] | undefined;
  /** A connection that you already hold, of any `@nats-io` transport; this library never closes it. */
  readonly connection?: NatsConnection | undefined;
  /** User name. */
  readonly user?: string | undefined;
  /** Password of `user`. */
  readonly pass?: string | undefined;
  /** Token, where the server wants one. */
  readonly token?: string | undefined;
  /** An authenticator of `@nats-io`: nkeys, JWTs, credentials files. */
  readonly authenticator?: object | undefined;
  /**
   * TLS settings as the client accepts them, such as `ca`; over WebSocket the runtime alone says which certificates it
   * trusts.
   */
  readonly tls?: object | undefined;
  /**
   * The beginning of the names of streams and of subjects: letters, digits, `-` and `_`, at most 64. Default `relevo`.
   */
  readonly prefix?: string | undefined;
  /**
   * The durable consumer of each queue; letters, digits, `-` and `_`, at most 64. One that an operator made is used as
   * it is, unless it has a `max_deliver`, at which the server would give jobs up. Default `relevo`.
   */
  readonly group?: string | undefined;
  /** Milliseconds after which the server hands an unsettled job to another, from 50. Default 30,000. */
  readonly ackWait?: number | undefined;
  /**
   * Runs of a job in all where neither it nor the worker says. It is not the consumer's `max_deliver`, which is without
   * end. Default: the core's, 3.
   */
  readonly maxDeliver?: number | undefined;
  /** Copies of a stream that the transport makes, from 1 to 5. Default 1. */
  readonly replicas?: number | undefined;
  /**
   * Bytes that the stream of a queue may take, from 1,048,576: a dispatch is refused with `TransportFull` while less
   * than a twentieth is left, or than twice the process's largest job, which moves may use; the reserve takes half of
   * the limit at most. The use is checked once a second while jobs are dispatched. Default: no limit but that of the
   * account, which is checked as well.
   */
  readonly maxBytes?: number | undefined;
  /** The domain of JetStream, as that of a leaf node: its API is asked under `$JS.<domain>.API`. Default: none. */
  readonly domain?: string | undefined;
  /**
   * The beginning of the subjects of JetStream's API, where an account imports it by another name. Default `$JS.API`.
   */
  readonly apiPrefix?: string | undefined;
  /** Where a stream that the transport makes is kept. Default `file`. */
  readonly storage?: "file" | "memory" | undefined;
  /**
   * Gets warnings for an operator: one for each stream that was made otherwise than these options ask for and is used
   * as it is, or loses its jobs with the server; and one for each message that is too large to be stored anew. Default:
   * `console.warn`.
   */
  readonly warn?: ((message: string) => void) | undefined;
  /** The beginning of the subjects of answers, where permissions ask for it. Default `_INBOX`. */
  readonly inboxPrefix?: string | undefined;
  /** The transport's name in errors and reports. Default `nats`. */
  readonly name?: string | undefined;
  /** Clock, timer and die. Default: the real ones. */
  readonly runtime?: Runtime | undefined;
}

const ACTION = "use NATS";
const CREDENTIALS = ["user", "pass", "token", "authenticator", "tls"] as const;
const KNOWN = [
  "servers",
  "connection",
  ...CREDENTIALS,
  "prefix",
  "group",
  "ackWait",
  "maxDeliver",
  "replicas",
  "storage",
  "maxBytes",
  "domain",
  "apiPrefix",
  "warn",
  "inboxPrefix",
  "name",
  "runtime",
];
const SCHEMES = ["nats", "tls", "ws", "wss"];
const ACK_WAIT = 30_000;
const LEAST_ACK_WAIT = 50;
const MOST_ACK_WAIT = 24 * 3_600_000;
const MAX_REPLICAS = 5;
const LEAST_BYTES = 1024 * 1024;

/** Fills the gaps; throws a `TypeError` or `RangeError` that says which option is wrong, and why. */
export function settingsOf(options: NatsOptions): Settings {
  if (typeof options === "string" || options instanceof URL) {
    throw new TypeError(
      `Cannot ${ACTION} as its options must be an object: current value is a URL, write ` +
        'nats({ servers: "nats://host:4222" })',
    );
  }
  checkKnown(ACTION, options, KNOWN);
  const { servers, connection, prefix = "relevo", group = "relevo", name = "nats" } = options;
  if ((servers === undefined) === (connection === undefined)) {
    throw new TypeError(`Cannot ${ACTION} as exactly one of 'servers' and 'connection' must be given`);
  }
  const { ackWait = ACK_WAIT, replicas = 1, storage = "file", inboxPrefix = "_INBOX" } = options;
  const { runtime = systemRuntime(), warn = (message) => console.warn(message) } = options;
  checkLabel(ACTION, "name", name);
  if (!/^[\w-]+(\.[\w-]+)*$/.test(inboxPrefix)) {
    throw wrongType(ACTION, "'inboxPrefix'", "a subject without wildcards", inboxPrefix);
  }
  checkRuntime(ACTION, runtime);
  if (typeof warn !== "function") {
    throw wrongType(ACTION, "'warn'", "a function", warn);
  }
  const given = CREDENTIALS.flatMap((key) => options[key] === undefined ? [] : [[key, options[key]]]);
  return {
    ...addressesOf(serversOf(options), Object.fromEntries(given)),
    connection: checkConnection(connection),
    prefix: checkToken("prefix", prefix),
    group: checkToken("group", group),
    ackWait: checkInteger(ACTION, "ackWait", ackWait, LEAST_ACK_WAIT, MOST_ACK_WAIT),
    maxDeliver: options.maxDeliver === undefined
      ? undefined
      : checkInteger(ACTION, "maxDeliver", options.maxDeliver, 1, Number.MAX_SAFE_INTEGER),
    replicas: checkInteger(ACTION, "replicas", replicas, 1, MAX_REPLICAS),
    storage: checkWord(ACTION, "storage", storage, ["file", "memory"]),
    maxBytes: options.maxBytes === undefined
      ? undefined
      : checkInteger(ACTION, "maxBytes", options.maxBytes, LEAST_BYTES, Number.MAX_SAFE_INTEGER),
    apiPrefix: apiPrefixOf(options),
    asked: { ackWait: options.ackWait, replicas: options.replicas, storage: options.storage },
    warn,
    inboxPrefix,
    name,
    runtime,
  };
}

function apiPrefixOf({ domain, apiPrefix }: NatsOptions): string {
  if (domain !== undefined && apiPrefix !== undefined) {
    throw new TypeError(`Cannot ${ACTION} as at most one of 'domain' and 'apiPrefix' can be given`);
  }
  if (domain !== undefined) return `$JS.${checkToken("domain", domain)}.API`;
  if (apiPrefix === undefined) return "$JS.API";
  if (typeof apiPrefix === "string" && /^[\w$-]+(\.[\w$-]+)*$/.test(apiPrefix)) return apiPrefix;
  throw wrongType(ACTION, "'apiPrefix'", "a subject without wildcards", apiPrefix);
}

function checkToken(option: string, value: unknown): string {
  if (typeof value === "string" && /^[A-Za-z0-9_-]{1,64}$/.test(value)) return value;
  throw wrongType(ACTION, `'${option}'`, "1 to 64 letters, digits, '-' and '_'", value);
}

/** No message repeats a server: it may hold a password. */
function serversOf({ servers, tls }: NatsOptions): readonly string[] {
  if (servers === undefined) return [];
  const list = typeof servers === "string" ? [servers] : servers;
  const fault = Array.isArray(list) && list.length > 0
    ? list.map(faultOf).find((found) => found !== undefined)
    : `current value is ${quote(servers)}`;
  if (fault !== undefined) {
    throw new TypeError(
      `Cannot ${ACTION} as 'servers' must be one or more addresses such as 'nats://host:4222': ${fault}`,
    );
  }
  const web = list.filter((server) => /^wss?:/i.test(server)).length;
  if (web > 0 && web < list.length) {
    throw new TypeError(`Cannot ${ACTION} as 'servers' must be all WebSocket URLs or none`);
  }
  if (web > 0 && tls !== undefined) {
    throw new TypeError(`Cannot ${ACTION} as 'tls' cannot be set over WebSocket`);
  }
  return [...list];
}

/** The fault of a server's address, without the part of it that may be a secret. */
function faultOf(server: unknown): string | undefined {
  if (typeof server !== "string") return `one is ${quote(server)}`;
  if (server === "") return "one is empty";
  const [, scheme = "nats", rest = ""] = /^(?:([a-z][a-z\d+.-]*):\/\/)?(.*)$/is.exec(server) ?? [];
  if (!SCHEMES.includes(scheme.toLowerCase())) return `the scheme of one is '${scheme}:'`;
  const host = rest.slice(rest.lastIndexOf("@") + 1);
  return /\s/.test(server) || !URL.canParse(`http://${host}`) ? "the host or port of one is none" : undefined;
}

/** Servers as the client accepts them, and the user, password or token of the first URL that has one. */
function addressesOf(urls: readonly string[], given: object): Pick<Settings, "servers" | "credentials"> {
  let found: object = {};
  const servers = urls.map((url) => {
    const [, scheme = "", secret, host = ""] = /^([a-z]+:\/\/)?(?:([^@]*)@)?(.*)$/is.exec(url) ?? [];
    if (secret !== undefined && Object.keys(found).length === 0) found = secretOf(secret);
    return /^nats:/i.test(scheme) ? host : scheme + host;
  });
  const secure = urls.some((url) => /^tls:/i.test(url)) ? { tls: {} } : {};
  return {
    servers: servers.map((server) => server.replace(/^tls:\/\//i, "")),
    credentials: { ...secure, ...found, ...given },
  };
}

function secretOf(secret: string): object {
  const [user = "", ...rest] = secret.split(":");
  try {
    if (rest.length === 0) return { token: decodeURIComponent(user) };
    return { user: decodeURIComponent(user), pass: decodeURIComponent(rest.join(":")) };
  } catch {
    throw new TypeError(
      `Cannot ${ACTION} as the credentials of a URL have a '%' that begins no escape (write %25)`,
    );
  }
}

function checkConnection(connection: NatsConnection | undefined): NatsConnection | undefined {
  if (connection === undefined) return undefined;
  const { publish, subscribe, status }: Partial<NatsConnection> = Object(connection);
  const sound = [publish, subscribe, status].every((method) => typeof method === "function");
  // Connections of the package `nats`, up to 2, make their streams by a method; those of `@nats-io` have none.
  const older = sound && typeof Reflect.get(connection, "jetstream") === "function";
  if (sound && !older) return connection;
  const given = older ? "one of the package 'nats' 2: @nats-io 3 is needed" : quote(connection);
  throw new TypeError(
    `Cannot ${ACTION} as 'connection' must be a NatsConnection of an @nats-io package: current value is ${given}`,
  );
}
