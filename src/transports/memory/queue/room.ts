/**
 * One queue: its live jobs and the moves that each of them makes, from being stored to being forgotten.
 *
 * @module
 */

import type { Delivery, Held, PushJob } from "../../../jobs/exchange.ts";
import type { DeadChannel } from "../../../jobs/job.ts";
import { createSlots, type Slots } from "../../../flow/slots.ts";
import type { Moment } from "../clock.ts";
import { Graveyard } from "./dead.ts";
import { LiveJobs } from "./live.ts";
import { Order, type Placed, precedes } from "./order.ts";
import { Windows } from "./windows.ts";

/** A live job. It is in one order at any time, by `time` and `seq`. All times are the process clock's. */
export interface Item extends Placed {
  readonly id: string;
  readonly name: string;
  payload: Uint8Array;
  meta: string;
  lost: number;
  reset: boolean;
  /** When it may run; decides its turn, first and after a release. */
  due: number;
  /** By how much the wall clock was ahead of the process clock when `due` was set. */
  skew: number;
  /** Its due time; while it is reserved, when its lease ends. */
  time: number;
  /** Rises with every job that is stored, so that equal times keep the order in which they were given. */
  seq: number;
  /** Its place among those that are held, from 1; 0 while it has no delivery. */
  place: number;
  /** The token of that delivery, which ends with the place. */
  token: string;
  /** The order that it is in. */
  home: Order<Item>;
}

/** One queue of a memory transport. */
export interface Room {
  readonly name: string;
  /** It holds a job, or held one; a topic that was published to with groups has but windows. */
  used: boolean;
  readonly live: LiveJobs<Item>;
  /** Reserved jobs by their places. */
  readonly held: Slots<Item>;
  /** Jobs that were due when they were stored. */
  readonly fresh: Order<Item>;
  /** Jobs that were not; some may be due by now. They are merged with `fresh` when read, and never moved. */
  readonly timed: Order<Item>;
  /** Jobs that came back from lost leases: apart, so that no number of them hides a fresh one. */
  readonly back: Order<Item>;
  /** Reserved jobs, by the end of their lease. */
  readonly leases: Order<Item>;
  readonly dead: Graveyard;
  readonly windows: Windows;
}

/** Leases that one reserve may reclaim from one queue. */
const RECLAIM = 1_000;

/** Makes an empty queue. */
export function createRoom(name: string): Room {
  const fresh = new Order<Item>();
  const timed = new Order<Item>();
  const back = new Order<Item>();
  const leases = new Order<Item>();
  return {
    name,
    used: false,
    live: new LiveJobs([fresh, timed, back, leases]),
    held: createSlots(),
    fresh,
    timed,
    back,
    leases,
    dead: new Graveyard(),
    windows: new Windows(),
  };
}

/** Stores a job; payload arrays are never written to by either side, so the array itself is kept. */
export function put(
  room: Room,
  job: Pick<PushJob, "id" | "name" | "payload" | "meta">,
  { now, skew }: Moment,
  seq: number,
  due: number,
): Item {
  const home = due > now ? room.timed : room.fresh;
  const item: Item = {
    id: job.id,
    name: job.name,
    payload: due > now ? owned(job.payload) : job.payload,
    meta: job.meta,
    lost: 0,
    reset: false,
    due,
    skew,
    time: due,
    seq,
    place: 0,
    token: "",
    home,
  };
  room.used = true;
  room.live.add(item);
  home.add(item);
  return item;
}

/** Moves all that waits in one queue to another, where its place is as if it had been stored there. */
export function pour(from: Room, to: Room): void {
  for (const order of ["fresh", "timed"] as const) {
    for (let item = from[order].first(); item !== undefined; item = from[order].first()) {
      forget(from, item);
      item.home = to[order];
      to.used = true;
      to.live.add(item);
      to[order].add(item);
    }
  }
}

/** The bytes without their neighbours: a job that rests must not keep the memory of many that are gone. */
function owned(payload: Uint8Array): Uint8Array {
  return payload.length === payload.buffer.byteLength ? payload : payload.slice();
}

/** The job whose turn it is, left where it is; one that came back only where `back` allows. */
export function next(room: Room, now: number, back: boolean): Item | undefined {
  let item = room.fresh.first();
  const timed = room.timed.first();
  if (timed !== undefined && timed.time <= now && (item === undefined || precedes(timed, item))) item = timed;
  if (!back) return item;
  const lost = room.back.first();
  return lost !== undefined && (item === undefined || precedes(lost, item)) ? lost : item;
}

/** Gives a job that is first in its order to a worker; `name`: of this delivery and no other, its token begins so. */
export function hand(room: Room, item: Item, name: string, end: number): void {
  item.home.shift();
  item.time = end;
  item.place = room.held.add(item) + 1;
  item.token = `${name}-${item.place}`;
  item.home = room.leases;
  room.leases.add(item);
}

/** Moves the end of a reserved job's lease. */
export function prolong(room: Room, item: Item, end: number): void {
  room.leases.remove(item);
  item.time = end;
  room.leases.add(item);
}

/** Ends the delivery of a reserved job; it is in no order until it is put somewhere. */
function takeBack(room: Room, item: Item): void {
  room.leases.remove(item);
  room.held.remove(item.place - 1);
  item.place = 0;
  item.token = "";
}

/** Puts a job without a delivery where it belongs. */
function settleDown(room: Room, item: Item, now: number): void {
  item.time = item.due;
  item.home = item.lost > 0 ? room.back : item.due > now ? room.timed : room.fresh;
  item.home.add(item);
}

/** Gives a reserved job back as it was: its due time and its number put it in front of its peers again. */
export function release(room: Room, item: Item, now: number): void {
  takeBack(room, item);
  settleDown(room, item, now);
}

/** Takes jobs from workers whose leases ran out. */
export function reclaim(room: Room, now: number): void {
  for (let i = 0; i < RECLAIM; i++) {
    const item = room.leases.first();
    if (item === undefined || item.time > now) return;
    item.lost++;
    release(room, item, now);
  }
}

/** The parts of a job that change where it is to run again. */
export interface Again {
  readonly meta: string;
  readonly payload?: Uint8Array | undefined;
}

/** Stores a reserved job anew, behind its peers. */
export function again(
  room: Room,
  item: Item,
  change: Again,
  moment: Moment,
  seq: number,
  due: number,
): void {
  takeBack(room, item);
  item.meta = change.meta;
  if (change.payload !== undefined) item.payload = change.payload;
  item.lost = 0;
  item.reset = false;
  item.due = due;
  if (due > moment.now) item.payload = owned(item.payload);
  item.skew = moment.skew;
  item.seq = seq;
  settleDown(room, item, moment.now);
}

/** Takes a live job out of the queue. */
export function forget(room: Room, item: Item): void {
  if (item.place === 0) item.home.remove(item);
  else takeBack(room, item);
  room.live.delete(item);
}

/** How a job died. */
export interface Death {
  readonly to: DeadChannel;
  readonly meta: string;
  readonly reason: string;
}

/** Makes a reserved job a dead one. */
export function bury(room: Room, item: Item, { to, meta, reason }: Death, moment: Moment, seq: number): void {
  forget(room, item);
  const { id, name, payload, lost } = item;
  room.dead.bury({
    channel: to,
    reason,
    id,
    name,
    payload: owned(payload),
    meta,
    lost,
    skew: moment.skew,
    time: moment.now,
    seq,
    older: undefined,
    newer: undefined,
  });
}

/** A reserved job as its worker sees it. */
export function deliveryOf(room: Room, item: Item, epoch: number, lease: number): Delivery {
  return {
    queue: room.name,
    token: item.token,
    id: item.id,
    name: item.name,
    payload: item.payload,
    meta: item.meta,
    lost: item.lost,
    reset: item.reset,
    due: epoch + item.due + item.skew,
    lease,
  };
}

/** The job that a token names, while the token is that of its current delivery. */
export function find(room: Room, { token }: Held): Item | undefined {
  const item = room.held.get(placeIn(token) - 1);
  return item !== undefined && item.token === token ? item : undefined;
}

/**
 * The place that a token of ours ends with; any number for another text. Read digit by digit, as a slice costs more.
 */
function placeIn(token: string): number {
  let number = 0;
  for (let i = token.lastIndexOf("-") + 1; i < token.length; i++) {
    number = number * 10 + token.charCodeAt(i) - 48;
  }
  return number;
}
