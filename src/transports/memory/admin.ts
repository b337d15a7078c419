/**
 * The operator's writes: dead jobs to waiting ones, any jobs to nothing.
 *
 * @module
 */

import type { Reloaded, Selection } from "../../jobs/exchange.ts";
import { type Channel, type DeadChannel, isDead } from "../../jobs/job.ts";
import { type Chosen, idsOf, isMeant } from "../../store/selections.ts";
import type { Dead } from "./queue/dead.ts";
import { channelOf, jobsOf } from "./inspect.ts";
import { precedes } from "./queue/order.ts";
import { forget, type Item, put, type Room } from "./queue/room.ts";
import type { Store } from "./context.ts";

export function reload(store: Store, chosen: Chosen<DeadChannel>, reset: boolean): Reloaded {
  const room = store.rooms.get(chosen.queue);
  if (room === undefined) return { reloaded: 0, taken: 0 };
  const moment = store.clock.moment();
  let reloaded = 0;
  let taken = 0;
  for (const dead of deadOf(store, room, chosen.channel, chosen.select)) {
    if (room.live.get(dead.id) !== undefined) {
      taken++;
      continue;
    }
    room.dead.exhume(dead);
    put(room, dead, moment, ++store.seq, moment.now).reset = reset;
    reloaded++;
  }
  if (reloaded > 0) store.waiters.notify([chosen.queue]);
  return { reloaded, taken };
}

export function remove(store: Store, { queue, channel, select }: Chosen): number {
  const room = store.rooms.get(queue);
  if (room === undefined) return 0;
  const dead = isDead(channel) ? deadOf(store, room, channel, select) : [];
  const live = isDead(channel) ? [] : liveOf(store, room, channel, select);
  for (const one of dead) room.dead.exhume(one);
  for (const item of live) forget(room, item);
  const removed = dead.length + live.length;
  store.jobs -= removed;
  return removed;
}

/** The dead jobs that are meant, the oldest first. */
function deadOf(
  { clock }: Store,
  { dead }: Room,
  channel: DeadChannel,
  select: Selection,
): readonly Dead[] {
  const found: Dead[] = [];
  const ids = idsOf(select);
  for (const id of ids ?? []) {
    for (let one = dead.newest(id); one !== undefined; one = one.older) {
      if (one.channel === channel) found.push(one);
    }
  }
  if (ids !== undefined) return found.sort((a, b) => precedes(a, b) ? -1 : 1);
  for (const one of dead[channel].after()) {
    if (isMeant(select, one.name, one.reason, clock.epoch + one.time + one.skew)) found.push(one);
  }
  return found;
}

/** The live jobs that are meant. */
function liveOf({ clock }: Store, room: Room, channel: Channel, select: Selection): readonly Item[] {
  const { now } = clock.moment();
  const named = idsOf(select)?.flatMap((id) => room.live.get(id) ?? []);
  if (named !== undefined) return named.filter((item) => channelOf(item, now) === channel);
  const found: Item[] = [];
  for (const item of jobsOf(room, channel, now)) {
    if ("home" in item && isMeant(select, item.name)) found.push(item);
  }
  return found;
}
