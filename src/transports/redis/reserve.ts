/**
 * Reserve: one poll for jobs in one queue after the other, without waiting.
 *
 * @module
 */

import { errorOf } from "../../errors.ts";
import type { Delivery, ReserveOptions } from "../../jobs/exchange.ts";
import { type Attempt, type Quiet, REGISTERED } from "./waiters_poll.ts";
import { callOf, type Context, faultIn, learn, MAX_ITEMS } from "./context.ts";
import { jobOf } from "./layout/entry.ts";
import type { Script } from "./client/link.ts";
import { type Reader, readerOf } from "./layout/pack.ts";
import { LOST } from "./scripts/lua.ts";
import { consumerOf, placeIn, tokenOf } from "./layout/token.ts";

/** Queues that one script polls: some 10 ms of a slow machine. */
const MAX_QUEUES = 250;

type Wanted = Omit<ReserveOptions, "wait"> & { readonly register: boolean };

/** One poll. */
export async function attempt(
  context: Context,
  script: Script,
  queues: readonly string[],
  options: Wanted,
): Promise<Attempt> {
  options.signal?.throwIfAborted();
  const { link, keys, registry } = context;
  const page = link.clustered ? 1 : MAX_QUEUES;
  const lease = Math.ceil(options.lease);
  const consumer = consumerOf(context.instance, lease);
  const deliveries: Delivery[] = [];
  const quiet: Quiet[] = [];
  let { slots } = options;
  let now = 0;
  let fault: Error | undefined;
  for (const queue of queues) context.visited.add(queue);
  for (let start = 0; start < queues.length; start += page) {
    const asked = queues.slice(start, start + page);
    const limit = Math.min(options.limit, MAX_ITEMS) - deliveries.length;
    if (limit <= 0) break;
    const register = options.register && deliveries.length === 0 ? REGISTERED : 0;
    const probing = context.proven.has("reserve") ? 0 : 1;
    const args = [context.instance, lease, limit, slots, register, consumer, probing, issuedAt(context)]
      .map(String);
    const reply = await link.run(script, asked.map((queue) => keys.base(queue)), args, callOf(options)).catch(
      (error: unknown) => {
        learn(context, "reserve", error);
        // Deliveries of other nodes of a Cluster have come already: they must not wait for their leases to end.
        if (deliveries.length === 0) throw error;
        fault = errorOf(error);
        return undefined;
      },
    );
    if (reply === undefined) break;
    const reader = readerOf(reply);
    reader.length();
    now = reader.number();
    context.ahead = now - context.runtime.monotonic();
    for (let sections = reader.length(); sections > 0; sections--) {
      reader.length();
      const queue = asked[reader.number() - 1] ?? "";
      const late = reader.number() === 1;
      slots -= hand(deliveries, { queue, late, consumer, lease: options.lease }, reader);
    }
    for (let queues = reader.length(); queues > 0; queues--) {
      reader.length();
      quiet.push({ next: reader.number() || Infinity, seen: reader.text() });
    }
    fault = faultIn(context, script, reader.bytes());
    learn(context, "reserve", fault);
    if (fault !== undefined) break;
  }
  if (fault !== undefined) return { deliveries, quiet: [], now, fault };
  if (deliveries.length === 0) return { deliveries, quiet, now };
  const found = new Set(deliveries.map(({ queue }) => queue));
  if (!registry.knows(found)) {
    // Entries of other programs may be all that there is of a queue. No call waits for this but one that asks for the
    // names.
    registry.follow(registry.enter([...found], callOf(options))).catch(() => {});
  }
  return { deliveries, quiet: [], now };
}

/** Makes deliveries of a section's entries; answers how many of them came back from lost leases. */
function hand(
  deliveries: Delivery[],
  { queue, late, consumer, lease }: {
    readonly queue: string;
    readonly late: boolean;
    readonly consumer: string;
    readonly lease: number;
  },
  reader: Reader,
): number {
  const counts = countsIn(reader);
  const size = reader.length();
  let back = 0;
  for (let n = 0; n < size; n++) {
    reader.length();
    const entry = reader.text();
    const count = (counts[n] ?? 0) + 1;
    const lost = Math.floor(count / LOST);
    const { id, index, name, payload, bare, meta, reset, due } = jobOf(queue, entry, reader);
    const kind = late ? "late" : index === "ranges" ? "covered" : "listed";
    const token = tokenOf(placeIn(entry, kind), count, consumer, queue, index === "ids" ? id : "");
    if (lost > 0) back++;
    const delivery = { queue, token, id, name, payload, meta, lost, reset, due, lease };
    deliveries.push(bare ? { ...delivery, bare } : delivery);
  }
  return back;
}

/** Deliveries of each entry before this one; none where all are fresh. */
function countsIn(reader: Reader): readonly number[] {
  if (!reader.isList()) return [];
  return Array.from({ length: reader.length() }, () => reader.number());
}

/** The server's time at which a poll is issued, as far as it is known: it may be sent after the thread was away. */
function issuedAt({ ahead, runtime }: Context): string {
  return ahead === undefined ? "" : (runtime.monotonic() + ahead).toFixed(0);
}
