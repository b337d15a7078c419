/**
 * The part of node-redis that this adapter uses, as types, and how node-redis is found.
 *
 * @module
 */

import { Buffer, isAscii } from "node:buffer";
import { messageOf, TransportError } from "../../../errors.ts";
import { cannotUse } from "../../../store/faults.ts";
import { quote } from "../../../options.ts";
import type { Argument, Reply } from "./link.ts";

/** How a command is sent and its answer read. */
export interface CommandOptions {
  readonly typeMapping: Readonly<Record<number, unknown>>;
  readonly timeout: undefined;
}

/** A client of one server, as `createClient` makes it. */
export interface Client {
  readonly isOpen: boolean;
  readonly isReady: boolean;
  readonly options?: object | undefined;
  sendCommand(args: readonly Argument[], options?: object): Promise<unknown>;
  sSubscribe(channel: string, listener: (message: string) => void): Promise<void>;
  sUnsubscribe(channel: string, listener: (message: string) => void): Promise<void>;
  connect(): Promise<unknown>;
  destroy(): void;
  duplicate(overrides: object): Client;
  on(event: string, listener: (...values: readonly unknown[]) => void): unknown;
  off(event: string, listener: (...values: readonly unknown[]) => void): unknown;
}

/** A client of a Cluster, as `createCluster` makes it. */
export interface ClusterClient {
  readonly isOpen: boolean;
  readonly isReady: boolean;
  sendCommand(
    firstKey: string,
    isReadonly: boolean,
    args: readonly Argument[],
    options?: object,
  ): Promise<unknown>;
  getNodeClientForKey(key: string): Promise<Client>;
  /** The nodes that serve slots, each with its client once there is one. */
  readonly masters: readonly {
    readonly host: string;
    readonly port: number;
    readonly client?: Client | undefined;
  }[];
}

/** How `createClient` is called. */
export type CreateClient = (options: object) => Client;

/** How the client of a connection is made. */
export interface Recipe {
  readonly create: CreateClient;
  /** Its options, without those that are the same for all. */
  readonly client: { readonly socket: object; readonly [option: string]: unknown };
}

/** RESP's types by their first bytes, for {@linkcode COMMAND}: texts are to become bytes, maps flat lists. */
const TYPES = { SIMPLE_STRING: 43, BLOB_STRING: 36, VERBATIM_STRING: 61, MAP: 37 };

/** Every command's options; node-redis's own timer for each command would tell neither a lost answer nor its cause. */
export const COMMAND: CommandOptions = {
  typeMapping: {
    [TYPES.SIMPLE_STRING]: Buffer,
    [TYPES.BLOB_STRING]: Buffer,
    [TYPES.VERBATIM_STRING]: Buffer,
    [TYPES.MAP]: Array,
  },
  timeout: undefined,
};

/** Methods that came with node-redis 5, and with 6: clients of older versions are told by their absence. */
const SINCE_5 = "withTypeMapping";
const SINCE_6 = "clientUnblock";
const METHODS = ["sendCommand", "sSubscribe", "sUnsubscribe", "duplicate", "on", "off", SINCE_5, SINCE_6];
const CLUSTER_METHODS = ["sendCommand", SINCE_5, SINCE_6, "getNodeClientForKey"];

/** Whether this is a client of one server. */
export function isClient(value: unknown): value is Client {
  return hasMethods(value, METHODS) && "isReady" in value && !("slots" in value) && !isWrong(value);
}

/** Whether this is a client of a Cluster. */
export function isCluster(value: unknown): value is ClusterClient {
  return hasMethods(value, CLUSTER_METHODS) && "slots" in value && "masters" in value;
}

/** Kinds of clients from which no connection can be made, each told by a member that the right kinds lack. */
const WRONG: readonly (readonly [member: string, kind: string])[] = [
  ["status", "a client of ioredis"],
  ["getSentinelNode", "a client of Sentinel: hand over the client of its master"],
  ["totalClients", "a pool of clients: hand over a client"],
  ["acquire", "a pool of clients: hand over a client"],
  ["exec", "a MULTI: hand over its client"],
];

function isWrong(value: object): boolean {
  return WRONG.some(([member]) => member in value);
}

/** Which kind of value was handed over as a client and is none of the right kinds. */
export function wrongKind(value: unknown): string {
  if (typeof value !== "object" || value === null) return quote(value);
  const known = WRONG.find(([member]) => member in value);
  if (known !== undefined) return known[1];
  const wanted = "masters" in value ? CLUSTER_METHODS : METHODS;
  const missing = wanted.find((method) => typeof Reflect.get(value, method) !== "function");
  if (!hasMethods(value, ["sendCommand"])) return "an object that is no client";
  if (missing === SINCE_5) return "a client of node-redis 4 or older";
  if (missing === SINCE_6) return "a client of node-redis 5";
  if (missing !== undefined && hasMethods(value, ["sendCommand", "multi"]) && missing !== "duplicate") {
    return "what legacy() answers: hand over the client itself";
  }
  return `a client without ${missing}()`;
}

function hasMethods(value: unknown, methods: readonly string[]): value is object {
  if (typeof value !== "object" || value === null) return false;
  return methods.every((method) => typeof Reflect.get(value, method) === "function");
}

/** Finds node-redis when it is first asked; a program that hands a client over never asks. */
export function createDriver(): () => Promise<CreateClient> {
  let found: Promise<CreateClient> | undefined;
  return () =>
    found ??= load().catch((error: unknown) => {
      found = undefined;
      throw error;
    });
}

async function load(): Promise<CreateClient> {
  const driver: object = await import("redis").catch((cause: unknown) => {
    const why = `the package 'redis' cannot be loaded (npm install redis@6): ${messageOf(cause)}`;
    throw cannotUse("Redis", "TRANSPORT_INCOMPATIBLE", why, cause);
  });
  const createClient: unknown = Reflect.get(driver, "createClient");
  // The driver makes a class for each set of options, which takes longer than to connect: all share this one's.
  const first: unknown = typeof createClient === "function" ? createClient({ RESP: 3 }) : undefined;
  if (!isClient(first)) {
    throw new TransportError(
      "TRANSPORT_INCOMPATIBLE",
      `Cannot use Redis: redis 6 is needed, this is ${
        await installedVersion() ?? wrongKind(first)
      } (npm install redis@6)`,
    );
  }
  first.destroy();
  return (options) => first.duplicate(options);
}

/** The version of the package as its manifest says it; undefined where that cannot be read, as in a bundle. */
async function installedVersion(): Promise<string | undefined> {
  try {
    const { createRequire } = await import("node:module");
    const manifest: unknown = createRequire(import.meta.url)("redis/package.json");
    const version: unknown = Reflect.get(Object(manifest), "version");
    return typeof version === "string" ? version : undefined;
  } catch {
    return undefined;
  }
}

/** Bytes up to which an argument of letters is handed over as a text. */
const BRIEF = 2_048;

/**
 * Arguments as the driver wants them: bytes must be its own kind, which costs no copy. Each of them is written by
 * itself, and the texts around it, too; one of letters alone is no more than a part of one text.
 */
export function argumentsOf(args: readonly Argument[]): readonly Argument[] {
  return args.map((arg) => {
    if (typeof arg === "string") return arg;
    const bytes = Buffer.isBuffer(arg) ? arg : Buffer.from(arg.buffer, arg.byteOffset, arg.byteLength);
    return bytes.length <= BRIEF && isAscii(bytes) ? bytes.toString("latin1") : bytes;
  });
}

/** A driver's answer as the contract of links has it; values that the contract lacks (booleans, doubles) as text. */
export function replyOf(value: unknown): Reply {
  if (value === null || value === undefined || typeof value === "number") return value ?? null;
  if (value instanceof Uint8Array) return value;
  if (isList(value)) return isReply(value) ? value : value.map(replyOf);
  return Buffer.from(String(value));
}

/** Most answers have the right types already, and need no copy. */
function isReply(values: readonly unknown[]): values is readonly Reply[] {
  return values.every((value) =>
    value === null || typeof value === "number" || value instanceof Uint8Array ||
    (isList(value) && isReply(value))
  );
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A text in an answer. */
export function textOf(reply: Reply | undefined): string {
  return reply instanceof Uint8Array ? decoder.decode(reply) : String(reply ?? "");
}
