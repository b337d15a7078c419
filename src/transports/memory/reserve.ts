/**
 * Reserve, extend, settle: jobs out, and how they end.
 *
 * @module
 */

import { errorOf } from "../../errors.ts";
import type { Delivery, Extended, Extension, Held, Settled, Settlement } from "../../jobs/exchange.ts";
import type { Found, Poll } from "../../store/poll.ts";
import type { Moment } from "./clock.ts";
import {
  again,
  bury,
  deliveryOf,
  forget,
  hand,
  type Item,
  next as following,
  prolong,
  reclaim,
  release,
  type Room,
} from "./queue/room.ts";
import { checkSize, dueOf, LIMITS, queuesIn, type Store } from "./context.ts";
import { wake } from "./topics.ts";

/** Takes the jobs that are there. */
export function poll(store: Store, { queues, options }: Pick<Poll, "queues" | "options">): Found {
  const { now, start } = store.clock.moment();
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
      const number = ++store.deliveries;
      hand(room, item, store.prefix + number, number, end);
      deliveries.push(deliveryOf(room, item, store.clock.epoch, options.lease));
    }
    return undefined;
  });
  return { deliveries, next, now: store.clock.elapsed() };
}

/** When a room that holds nothing more will; undefined where only the slots are used up. */
function nextIn({ timed, leases, back }: Room, slots: number, left: number): number | undefined {
  if (slots > 0 && left === 0 && back.size > 0) return undefined;
  const due = timed.first()?.time ?? Infinity;
  return slots > 0 ? Math.min(due, leases.first()?.time ?? Infinity) : due;
}

export function extend(store: Store, leases: readonly Extension[]): readonly Extended[] {
  const { start } = store.clock.moment();
  return leases.map((lease): Extended => {
    const room = store.rooms.get(lease.queue);
    const item = room === undefined ? undefined : find(room, lease);
    if (room === undefined || item === undefined) return { state: "stale" };
    const end = start + Math.ceil(lease.ms);
    prolong(room, item, end);
    store.waiters.expect(room.name, end);
    return { state: "held" };
  });
}

export function settle(store: Store, settlements: readonly Settlement[]): readonly Settled[] {
  const moment = store.clock.moment();
  const results: Settled[] = [];
  let room: Room | undefined;
  for (const settlement of settlements) {
    if (room === undefined || room.name !== settlement.queue) room = store.rooms.get(settlement.queue);
    const item = room === undefined ? undefined : find(room, settlement);
    if (room === undefined || item === undefined) results.push("stale");
    else results.push(settleOne(store, room, item, settlement, moment));
  }
  const back = settlements.filter(({ to }) => to === "release" || to === "again");
  if (back.length > 0) wake(store, queuesIn(back));
  return results;
}

function settleOne(store: Store, room: Room, item: Item, settlement: Settlement, moment: Moment): Settled {
  switch (settlement.to) {
    case "done":
      forget(room, item);
      store.jobs--;
      return "settled";
    case "release":
      release(room, item, moment.now);
      return "settled";
    case "again":
      try {
        checkSize(settlement.payload ?? item.payload, settlement.meta);
      } catch (error) {
        return errorOf(error);
      }
      again(room, item, settlement, moment, ++store.seq, dueOf(store, moment, settlement));
      return "settled";
    case "failed":
    case "timeout":
      bury(room, item, settlement, moment, ++store.seq);
      return "settled";
  }
}

/** The job that a token names, while the token is that of its current delivery. */
function find(room: Room, { token }: Held): Item | undefined {
  const item = room.held.get(deliveryIn(token));
  return item !== undefined && item.token === token ? item : undefined;
}

/**
 * The number that a token of ours ends with; any number for another text. Read digit by digit, as a slice costs more.
 */
function deliveryIn(token: string): number {
  let number = 0;
  for (let i = token.lastIndexOf("-") + 1; i < token.length; i++) {
    number = number * 10 + token.charCodeAt(i) - 48;
  }
  return number;
}
