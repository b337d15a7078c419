/**
 * The operator's writes: dead jobs to waiting ones, any jobs to nothing.
 *
 * @module
 */

import type { Reloaded, Selection } from "../../jobs/exchange.ts";
import type { Channel, DeadChannel } from "../../jobs/job.ts";
import type { Dead } from "./queue/dead.ts";
import { channelOf, jobsOf } from "./inspect.ts";
import { precedes } from "./queue/order.ts";
import { forget, type Item, put, type Room } from "./queue/room.ts";
import type { Store } from "./context.ts";

export function reload(
  store: Store,
  queue: string,
  channel: DeadChannel,
  select: Selection,
  reset: boolean,
): Reloaded {
  const room = store.rooms.get(queue);
  if (room === undefined) return { reloaded: 0, taken: 0 };
  const moment = store.clock.moment();
  let reloaded = 0;
  let taken = 0;
  for (const dead of deadOf(store, room, channel, select)) {
    if (room.live.get(dead.id) !== undefined) {
      taken++;
      continue;
    }
    room.dead.exhume(dead);
    put(room, dead, moment, ++store.seq, moment.now).reset = reset;
    reloaded++;
  }
  if (reloaded > 0) store.waiters.notify([queue]);
  return { reloaded, taken };
}

export function remove(store: Store, queue: string, channel: Channel, select: Selection): number {
  const room = store.rooms.get(queue);
  if (room === undefined) return 0;
  let removed = 0;
  if (channel === "failed" || channel === "timeout") {
    for (const dead of deadOf(store, room, channel, select)) {
      room.dead.exhume(dead);
      removed++;
    }
  } else {
    for (const item of liveOf(store, room, channel, select)) {
      forget(room, item);
      removed++;
    }
  }
  store.jobs -= removed;
  return removed;
}

/** The dead jobs that are meant, the oldest first. */
function deadOf(store: Store, room: Room, channel: DeadChannel, select: Selection): readonly Dead[] {
  if (select === "all") return [...room.dead[channel].after()];
  if ("ids" in select) {
    const found: Dead[] = [];
    for (const id of new Set(select.ids)) {
      for (let dead = room.dead.newest(id); dead !== undefined; dead = dead.older) {
        if (dead.channel === channel) found.push(dead);
      }
    }
    return found.sort((a, b) => precedes(a, b) ? -1 : 1);
  }
  const { name, reason, before } = select;
  const found: Dead[] = [];
  for (const dead of room.dead[channel].after()) {
    const died = store.clock.epoch + dead.time + dead.skew;
    if (before !== undefined && died >= before) continue;
    if ((name ?? dead.name) === dead.name && (reason ?? dead.reason) === dead.reason) found.push(dead);
  }
  return found;
}

/** The live jobs that are meant. */
function liveOf(store: Store, room: Room, channel: Channel, select: Selection): readonly Item[] {
  const { now } = store.clock.moment();
  const found: Item[] = [];
  if (select !== "all" && "ids" in select) {
    for (const id of new Set(select.ids)) {
      const item = room.live.get(id);
      if (item !== undefined && channelOf(item, now) === channel) found.push(item);
    }
    return found;
  }
  const name = select === "all" ? undefined : select.name;
  for (const item of jobsOf(room, channel, now)) {
    if ("home" in item && (name ?? item.name) === item.name) found.push(item);
  }
  return found;
}
