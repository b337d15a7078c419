/**
 * Reserve: one look for jobs in one queue after the other, without waiting.
 *
 * @module
 */

import type { Delivery, ReserveOptions } from "../../exchange.ts";
import { checkInteger, checkTime, quote } from "../../options.ts";
import { type Attempt, type Quiet, REGISTERED } from "./attempt.ts";
import { callOf, type Context, MAX_ITEMS } from "./context.ts";
import { jobOf } from "./entry.ts";
import type { Reply, Script } from "./link.ts";
import { bytesOf, listOf, numberOf, textOf, unpack, type Unpacked } from "./pack.ts";
import { LOST } from "./scripts/lua.ts";
import { tokenOf } from "./token.ts";

/** Queues that one script looks at. */
const MAX_QUEUES = 1_000;

type Wanted = Omit<ReserveOptions, "wait"> & { readonly register: boolean };

/** One look. */
export async function attempt(
  context: Context,
  script: Script,
  queues: readonly string[],
  options: Wanted,
): Promise<Attempt> {
  checkWanted(queues, options);
  options.signal?.throwIfAborted();
  const { link, keys, registry } = context;
  const page = link.clustered ? 1 : MAX_QUEUES;
  const lease = Math.ceil(options.lease);
  const consumer = `${context.instance}.${lease}`;
  const deliveries: Delivery[] = [];
  const quiet: Quiet[] = [];
  let { slots } = options;
  let now = 0;
  for (const queue of queues) context.visited.add(queue);
  for (let start = 0; start < queues.length; start += page) {
    const asked = queues.slice(start, start + page);
    const limit = Math.min(options.limit, MAX_ITEMS) - deliveries.length;
    if (limit <= 0) break;
    const register = options.register && deliveries.length === 0 ? REGISTERED : 0;
    const args = [context.instance, lease, limit, slots, register].map(String);
    const reply = await link.run(script, asked.map((queue) => keys.base(queue)), args, callOf(options));
    const answer = answerOf(reply);
    now = answer.now;
    for (const { key, entries, counts } of answer.sections) {
      const queue = asked[key - 1] ?? "";
      slots = hand(deliveries, { queue, consumer, lease: options.lease }, entries, counts, slots);
    }
    quiet.push(...answer.quiet);
  }
  if (deliveries.length === 0) return { deliveries, quiet, now };
  const found = new Set(deliveries.map(({ queue }) => queue));
  if (!registry.knows(found)) {
    // Entries of other programs may be all that there is of a queue. Nobody waits for this but who asks for the names.
    registry.follow(registry.enter([...found], callOf(options))).catch(() => {});
  }
  return { deliveries, quiet: [], now };
}

function checkWanted(queues: readonly string[], { limit, slots, lease }: Wanted): void {
  checkInteger("reserve jobs", "limit", limit, 1, Number.MAX_SAFE_INTEGER);
  checkInteger("reserve jobs", "slots", slots, 0, Number.MAX_SAFE_INTEGER);
  checkTime("reserve jobs", "lease", lease, 1);
  for (const queue of queues) {
    if (!queue.endsWith("@")) continue;
    throw new RangeError(
      `Cannot reserve jobs as they must be of a queue or of a topic's group: current value is ${quote(queue)}`,
    );
  }
}

interface Section {
  readonly key: number;
  readonly entries: readonly Unpacked[];
  /** Deliveries before this one, for each entry; none for fresh entries. */
  readonly counts: readonly Unpacked[];
}

function answerOf(reply: Reply): Attempt & { readonly sections: readonly Section[] } {
  if (!(reply instanceof Uint8Array)) throw new TypeError("Cannot read an answer as it must be packed");
  const [now, sections, quiet] = listOf(unpack(reply));
  return {
    now: numberOf(now),
    sections: listOf(sections).map((section) => {
      const [key, counts, entries] = listOf(section);
      return { key: numberOf(key), counts: counts === 0 ? [] : listOf(counts), entries: listOf(entries) };
    }),
    quiet: listOf(quiet).map((one) => {
      const [next, seen] = listOf(one);
      return { next: numberOf(next) || Infinity, seen: textOf(seen) };
    }),
    deliveries: [],
  };
}

/** Makes deliveries of entries; answers how many slots are left. */
function hand(
  deliveries: Delivery[],
  { queue, consumer, lease }: { readonly queue: string; readonly consumer: string; readonly lease: number },
  entries: readonly Unpacked[],
  counts: readonly Unpacked[],
  slots: number,
): number {
  for (let n = 0; n < entries.length; n++) {
    const [place, fields] = listOf(entries[n]);
    const entry = bytesOf(place).toString("latin1");
    const count = (counts.length === 0 ? 0 : numberOf(counts[n])) + 1;
    const lost = Math.floor(count / LOST);
    const { id, name, payload, meta, reset, due } = jobOf(queue, entry, listOf(fields));
    const token = tokenOf(entry, count, consumer, queue, id);
    if (lost > 0) slots--;
    deliveries.push({ queue, token, id, name, payload, meta, lost, reset, due, lease });
  }
  return slots;
}
