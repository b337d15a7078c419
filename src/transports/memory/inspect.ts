/**
 * The operator's reads: counts, listings, single jobs. Payloads are copied, so that a stored one cannot be changed
 * through a shown one.
 *
 * @module
 */

import type { Entry, Page, PageRequest } from "../../jobs/exchange.ts";
import type { Channel, QueueInfo } from "../../jobs/job.ts";
import { pageOf, placeIn } from "../../store/pages.ts";
import type { Moment } from "./clock.ts";
import type { Dead } from "./queue/dead.ts";
import { type Placed, precedes } from "./queue/order.ts";
import type { Item, Room } from "./queue/room.ts";
import { LIMITS, type Store } from "./context.ts";

export function info(store: Store, queue: string): QueueInfo {
  const room = store.rooms.get(queue);
  if (room === undefined) return { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };
  const { now } = store.clock.moment();
  const due = room.timed.countThrough(now);
  const waiting = room.fresh.size + room.back.size + due;
  const counts = {
    waiting,
    delayed: room.timed.size - due,
    reserved: room.leases.size,
    failed: room.dead.failed.size,
    timeout: room.dead.timeout.size,
  };
  if (waiting === 0) return counts;
  const times = [room.fresh, room.timed, room.back].map((order) => order.first()?.time ?? Infinity);
  return { ...counts, oldest: now - Math.min(...times) };
}

/** The queues that hold or held a job, and those of schedules. */
export function queueNames({ rooms }: Store, scheduled: Iterable<string>): readonly string[] {
  const used = [...rooms.values()].filter(({ used }) => used).map(({ name }) => name);
  return [...new Set([...used, ...scheduled])].sort();
}

export function list(store: Store, queue: string, channel: Channel, request: PageRequest): Page {
  const [time, seq] = placeIn(request.cursor, /^(-?\d+):(\d+)$/);
  const place = time === undefined ? undefined : { time: Number(time), seq: Number(seq) };
  const room = store.rooms.get(queue);
  if (room === undefined) return { entries: [] };
  const limit = Math.min(request.limit, LIMITS.bulk);
  const moment = store.clock.moment();
  const found: (Item | Dead)[] = [];
  for (const job of jobsOf(room, channel, moment.now, place)) if (found.push(job) > limit) break;
  const entry = (job: Item | Dead): Entry => entryOf(store, room, job, moment, request.preview);
  return pageOf(found, limit, entry, ({ time, seq }) => `${time}:${seq}`);
}

export function get(store: Store, queue: string, ids: readonly string[]): readonly (Entry | undefined)[] {
  const room = store.rooms.get(queue);
  if (room === undefined) return ids.map(() => undefined);
  const moment = store.clock.moment();
  return ids.map((id) => {
    const job = room.live.get(id) ?? room.dead.newest(id);
    return job === undefined ? undefined : entryOf(store, room, job, moment, Infinity);
  });
}

/** The jobs of a channel in the order of its listing, behind a place if one is given. */
export function jobsOf(room: Room, channel: Channel, now: number, place?: Placed): Iterable<Item | Dead> {
  switch (channel) {
    case "waiting":
      return waiting(room, now, place);
    case "delayed": {
      const due = { time: now, seq: Infinity };
      return room.timed.after(place === undefined || precedes(place, due) ? due : place);
    }
    case "reserved":
      return room.leases.after(place);
    case "failed":
    case "timeout":
      return room.dead[channel].before(place);
  }
}

/** Which channel a live job is in. */
export function channelOf({ place, due }: Item, now: number): Channel {
  if (place !== 0) return "reserved";
  return due > now ? "delayed" : "waiting";
}

/** Fresh jobs, timed ones that are due and those that came back, merged. */
function* waiting(room: Room, now: number, place: Placed | undefined): Generator<Item, void, undefined> {
  const sources = [room.fresh, room.timed, room.back].map((order) => {
    const items = order.after(place);
    return { items, head: items.next().value };
  });
  for (;;) {
    let first: (typeof sources)[number] | undefined;
    let item: Item | undefined;
    for (const source of sources) {
      const head = source.head ?? undefined;
      if (head === undefined || head.time > now || (item !== undefined && precedes(item, head))) continue;
      first = source;
      item = head;
    }
    if (first === undefined || item === undefined) return;
    yield item;
    first.head = first.items.next().value;
  }
}

function entryOf({ clock }: Store, room: Room, job: Item | Dead, moment: Moment, preview: number): Entry {
  const isDead = "channel" in job;
  const channel = isDead ? job.channel : channelOf(job, moment.now);
  const skew = channel === "reserved" ? moment.skew : job.skew;
  return {
    queue: room.name,
    channel,
    id: job.id,
    name: job.name,
    payload: job.payload.slice(0, Math.min(preview, job.payload.length)),
    size: job.payload.length,
    meta: job.meta,
    lost: job.lost,
    reset: isDead ? false : job.reset,
    time: clock.epoch + job.time + skew,
  };
}
