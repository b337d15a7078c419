/**
 * Jobs out.
 *
 * @module
 */

import type { Delivery } from "../../jobs/exchange.ts";
import type { Found, Poll } from "../../store/poll.ts";
import { deliveryOf, hand, next as following, reclaim, type Room } from "./queue/room.ts";
import { LIMITS, type Store } from "./context.ts";

/** Takes the jobs that are there. */
export function poll(store: Store, { queues, options }: Pick<Poll, "queues" | "options">): Found {
  const { now, start, time, read } = store.clock.moment();
  const end = start + Math.ceil(options.lease);
  const limit = Math.min(options.limit, LIMITS.bulk);
  const deliveries: Delivery[] = [];
  let slots = options.slots;
  const next = queues.map((queue) => {
    if (deliveries.length >= limit) return undefined;
    const room = store.rooms.get(queue);
    if (room === undefined) return Infinity;
    room.windows.purge(now);
    reclaim(room, now);
    while (deliveries.length < limit) {
      const item = following(room, now, slots > 0);
      if (item === undefined) return nextIn(room, options.slots, slots);
      if (item.lost > 0) slots--;
      hand(room, item, store.prefix + ++store.deliveries, end);
      deliveries.push(deliveryOf(room, item, store.clock.epoch, options.lease));
    }
    return undefined;
  });
  return { deliveries, next, now: time, read };
}

/** When a room that holds nothing more will; undefined where only the slots are used up. */
function nextIn({ timed, leases, back }: Room, slots: number, left: number): number | undefined {
  if (slots > 0 && left === 0 && back.size > 0) return undefined;
  const due = timed.first()?.time ?? Infinity;
  return slots > 0 ? Math.min(due, leases.first()?.time ?? Infinity) : due;
}
