/** What tests of the Redis transport ask it, and the server itself. */
import type { Transport } from "../../../src/contract/transport.ts";
import type { Delivery, PushJob } from "../../../src/jobs/exchange.ts";
import type { RedisServer } from "../support/servers/redis.ts";

/** Of a call that is answered long before. */
export const call = { deadline: 60_000 };

/** A job of no payload worth telling. */
export function one(id: string, queue = "work"): PushJob {
  return { queue, id, name: "n", payload: new TextEncoder().encode("{}"), meta: "" };
}

/** What is asked for beside the usual: one job of the queue `work`, of those that are there. */
export interface Wanted {
  readonly queues?: readonly string[];
  readonly wait?: number;
  readonly limit?: number;
  readonly lease?: number;
  readonly signal?: AbortSignal;
}

export function reserve(
  transport: Transport,
  { queues = ["work"], wait = 0, limit = 1, lease = 30_000, signal }: Wanted = {},
): Promise<readonly Delivery[]> {
  return transport.reserve(queues, { limit, slots: limit, lease, wait, ...call, signal });
}

/** How many waiters the server knows at a queue. */
export async function waitersAt(server: RedisServer, queue = "work"): Promise<number> {
  return Number(await server.send("ZCARD", `{relevo:${queue}}:waiters`));
}

/** The calls of a command as the server counts them; of all commands where none is named. */
export async function commands(server: RedisServer, ...names: readonly string[]): Promise<number> {
  const info = String(await server.send("INFO", "commandstats"));
  let total = 0;
  for (const [, name = "", calls] of info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
    // What the tests themselves ask.
    if (names.length === 0 ? !/^(info|client|hello|auth|acl)\b/.test(name) : names.includes(name)) {
      total += Number(calls);
    }
  }
  return total;
}

/** How many clients are connected, without the one that asks. */
export async function connections(server: RedisServer): Promise<number> {
  const list = String(await server.send("CLIENT", "LIST", "TYPE", "normal")) +
    String(await server.send("CLIENT", "LIST", "TYPE", "pubsub"));
  return list.split("\n").filter((line) => line.startsWith("id=") && !line.includes("user=relevo-tests"))
    .length;
}

const decoder = new TextDecoder();

/** A text in an answer. */
export function textOf(reply: unknown): string {
  return reply instanceof Uint8Array ? decoder.decode(reply) : String(reply);
}

/** How many connections a server ever took. */
export async function connectionsMade(server: RedisServer): Promise<number> {
  const info = String(await server.send("INFO", "stats"));
  return Number(/total_connections_received:(\d+)/.exec(info)?.[1]);
}

/** Fields and values as other programs see them. */
export function fieldsOf(entry: unknown): Record<string, string> {
  const [, fields] = entry as readonly [string, readonly string[]];
  const record: Record<string, string> = {};
  for (let n = 0; n < fields.length; n += 2) record[fields[n] ?? ""] = fields[n + 1] ?? "";
  return record;
}
