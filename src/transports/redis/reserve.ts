/**
 * Reserve: one poll for jobs in one queue after the other, without waiting.
 *
 * @module
 */

import { errorOf } from "../../errors.ts";
import type { Delivery, ReserveOptions } from "../../jobs/exchange.ts";
import { type Attempt, type Quiet, REGISTERED } from "./waiters_poll.ts";
import { type Context, faultIn, learn, MAX_ITEMS } from "./context.ts";
import { jobOf } from "./layout/entry.ts";
import type { Reply, Script } from "./client/link.ts";
import { type Reader, readerOf } from "./layout/pack.ts";
import { freshHeavy, weigh } from "./reserve_heavy.ts";
import type { HeavyScripts } from "./scripts/heavy.ts";
import { LOST } from "./scripts/lua.ts";
import { consumerOf, middleOf, placeIn } from "./layout/token.ts";

/** Queues that one script polls at most: some 10 ms of a slow machine. */
export const MAX_QUEUES = 250;
/** Queues of the first script at least, and how many times as many those after it poll. */
const MIN_QUEUES = 16;
const GROWTH = 4;

type Wanted = Omit<ReserveOptions, "wait"> & { readonly register: boolean };

/** The scripts of a reserve. */
export interface ReserveScripts extends Pick<HeavyScripts, "openHeavy"> {
  readonly reserve: Script;
}

/** One poll. */
export async function attempt(
  context: Context,
  scripts: ReserveScripts,
  queues: readonly string[],
  options: Wanted,
): Promise<Attempt> {
  options.signal?.throwIfAborted();
  const [only = "", ...others] = queues;
  // A script is sent at once, so that calls are carried out in the order in which they were made.
  const isHeavy = others.length === 0 && context.heavy.has(only);
  const heavy = isHeavy ? await attemptHeavy(context, scripts.openHeavy, only, options) : undefined;
  const found = heavy ?? await attemptAll(context, scripts.reserve, queues, options);
  if (found.fault !== undefined || found.deliveries.length === 0) return found;
  const names = new Set(found.deliveries.map(({ queue }) => queue));
  if (others.length === 0) weigh(context, only, found.deliveries);
  const { registry } = context;
  if (!registry.knows(names)) {
    // Entries of other programs may be all that there is of a queue. No call waits for this but one that asks for the
    // names.
    registry.follow(registry.enter([...names], options)).catch(() => {});
  }
  return found;
}

/** Fresh jobs past Lua, of one queue whose last were large; absent where the script is needed. */
async function attemptHeavy(
  context: Context,
  script: Script,
  queue: string,
  options: Wanted,
): Promise<Attempt | undefined> {
  context.visited.add(queue);
  const limit = Math.min(options.limit, MAX_ITEMS);
  const consumer = consumerOf(context.instance, Math.ceil(options.lease));
  const found = await freshHeavy(context, script, { ...options, queue, consumer, limit });
  return found === undefined ? undefined : { ...found, quiet: [] };
}

/** A poll that is under way. */
interface Found {
  readonly deliveries: Delivery[];
  readonly quiet: Quiet[];
  slots: number;
  /** How many queues were walked through for the deliveries. */
  walked: number;
  now: number;
  fault: Error | undefined;
}

/** Jobs of any kind, by a script for as many queues as it takes. */
async function attemptAll(
  context: Context,
  script: Script,
  queues: readonly string[],
  options: Wanted,
): Promise<Attempt> {
  const { link, keys, instance } = context;
  let page = link.clustered ? 1 : context.reach;
  const lease = Math.ceil(options.lease);
  const consumer = consumerOf(instance, lease);
  const found: Found = {
    deliveries: [],
    quiet: [],
    slots: options.slots,
    walked: 0,
    now: 0,
    fault: undefined,
  };
  const { deliveries, quiet } = found;
  let start = 0;
  let limit = Math.min(options.limit, MAX_ITEMS);
  while (start < queues.length && limit > 0) {
    const asked = queues.slice(start, start + page);
    for (const queue of asked) context.visited.add(queue);
    const register = options.register && deliveries.length === 0 ? REGISTERED : 0;
    const probing = context.proven.has("reserve") ? 0 : 1;
    const args = [instance, lease, limit, found.slots, register, consumer, probing, issuedAt(context)]
      .map(String);
    const reply = await link.run(script, asked.map((queue) => keys.base(queue)), args, options).catch(
      (error: unknown) => {
        learn(context, "reserve", error);
        // Deliveries of other nodes of a Cluster have come already: they must not wait for their leases to end.
        if (deliveries.length === 0) throw error;
        found.fault = errorOf(error);
        return undefined;
      },
    );
    if (reply === undefined) break;
    found.fault = faultIn(context, script, readInto(context, found, asked, consumer, options.lease, reply));
    learn(context, "reserve", found.fault);
    if (found.fault !== undefined) break;
    limit = Math.min(options.limit, MAX_ITEMS) - deliveries.length;
    if (limit <= 0) found.walked += start;
    start += page;
    if (!link.clustered) page = Math.min(MAX_QUEUES, GROWTH * page);
  }
  // While there are more jobs than are asked for, the next poll need not name queues that it will not come to.
  context.reach = limit > 0 ? MAX_QUEUES : Math.min(MAX_QUEUES, Math.max(MIN_QUEUES, 2 * found.walked));
  const { now, fault } = found;
  if (fault !== undefined) return { deliveries, quiet: [], now, fault };
  return { deliveries, quiet: deliveries.length === 0 ? quiet : [], now };
}

/** Reads the answer of a script; answers why a queue could not be used, or an empty text. */
function readInto(
  context: Context,
  found: Found,
  asked: readonly string[],
  consumer: string,
  lease: number,
  reply: Reply,
): Uint8Array {
  const reader = readerOf(reply);
  reader.length();
  found.now = reader.number();
  context.ahead = found.now - context.runtime.monotonic();
  let fresh: string | undefined;
  for (let sections = reader.length(); sections > 0; sections--) {
    reader.length();
    const number = reader.number();
    const queue = asked[number - 1] ?? "";
    found.walked = number;
    const late = reader.number() === 1;
    const counts = countsIn(reader);
    if (counts === undefined) {
      // The fresh entries of one queue are neighbours, in however many sections they come.
      if (queue !== fresh) context.ranks++;
      fresh = queue;
    }
    found.slots -= hand(context, found.deliveries, { queue, late, counts, consumer, lease }, reader);
  }
  for (let queues = reader.length(); queues > 0; queues--) {
    reader.length();
    found.quiet.push({ next: reader.number() || Infinity, seen: reader.text() });
  }
  return reader.bytes();
}

/** A section of an answer, but for its entries. */
interface Section {
  readonly queue: string;
  readonly late: boolean;
  readonly counts: readonly number[] | undefined;
  readonly consumer: string;
  readonly lease: number;
}

/** Makes deliveries of a section's entries; answers how many of them came back from lost leases. */
function hand(
  context: Context,
  deliveries: Delivery[],
  { queue, late, counts, consumer, lease }: Section,
  reader: Reader,
): number {
  const size = reader.length();
  const middle = middleOf(1, consumer, queue);
  let back = 0;
  for (let n = 0; n < size; n++) {
    reader.length();
    const entry = reader.text();
    const count = (counts?.[n] ?? 0) + 1;
    const lost = Math.floor(count / LOST);
    const rank = counts === undefined ? ++context.ranks : 0;
    const { id, index, name, payload, bare, meta, reset, due } = jobOf(queue, entry, reader);
    const kind = late ? "late" : index === "ranges" ? "covered" : "listed";
    const tail = index === "ids" ? id : kind === "covered" && rank > 0 ? String(rank) : "";
    const token = placeIn(entry, kind) + (count === 1 ? middle : middleOf(count, consumer, queue)) + tail;
    if (lost > 0) back++;
    const delivery = { queue, token, id, name, payload, meta, lost, reset, due, lease };
    deliveries.push(bare ? { ...delivery, bare } : delivery);
  }
  return back;
}

/** Deliveries of each entry before this one; undefined where all are fresh. */
function countsIn(reader: Reader): readonly number[] | undefined {
  if (!reader.isList()) return undefined;
  return Array.from({ length: reader.length() }, () => reader.number());
}

/** The server's time at which a poll is issued, as far as it is known: it may be sent after the thread was away. */
function issuedAt({ ahead, runtime }: Context): string {
  return ahead === undefined ? "" : (runtime.monotonic() + ahead).toFixed(0);
}
