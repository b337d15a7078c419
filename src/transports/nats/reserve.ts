/**
 * Reserve: jobs out, what came back first, then what waits, of the first queue named first.
 *
 * @module
 */

import { RelevoError } from "../../errors.ts";
import type { Delivery, ReserveOptions } from "../../exchange.ts";
import { checkInteger, checkTime } from "../../options.ts";
import type { Alarm } from "../../alarms.ts";
import type { Bench, Waiter } from "./bench.ts";
import { isPlaceGone } from "./errors.ts";
import { Held, marginOf } from "./held.ts";
import { HEARD_OF, LAG, longer, nextIn, stateOf } from "./lines.ts";
import type { Line } from "./names.ts";
import { inOrder } from "./order.ts";
import type { Place } from "./place.ts";
import type { Arrival } from "./arrival.ts";
import { dropNote, noteFrail } from "./notes.ts";
import { dueOf, giveBack, ripenPages, takeBack } from "./ripen.ts";
import { isFrail } from "./wire.ts";

/** What is wanted of one queue. */
interface Want {
  readonly limit: number;
  readonly slots: number;
  /** Ask the server also where somebody stands already. */
  readonly eager: boolean;
}

/** Milliseconds for which one reserve reads delayed jobs. */
const READING = 50;
/** Jobs that one pull asks for. */
const MOST = 5_000;
/** Milliseconds between two looks that are many. */
const OFTEN = 200;
/** Milliseconds for which a look before a wait is waited for in a cluster. */
const FIRST = 500;
/** Milliseconds that a job takes from the server to a stand at most. */
const ON_ITS_WAY = 50;
/** Milliseconds for what is given back when nobody waits for it any more. */
const GIVE_BACK = 5_000;

/** Refuses what is no reserve. */
export function checkReserve(queues: readonly string[], { limit, slots, lease, wait }: ReserveOptions): void {
  checkInteger("reserve jobs", "limit", limit, 1, Number.MAX_SAFE_INTEGER);
  checkInteger("reserve jobs", "slots", slots, 0, Number.MAX_SAFE_INTEGER);
  checkTime("reserve jobs", "lease", lease, 1);
  checkTime("reserve jobs", "wait", wait);
  for (const queue of queues) {
    if (!queue.endsWith("@")) continue;
    throw new TypeError(
      `Cannot reserve jobs as a topic's own queue is reserved by nobody: current value is '${queue}'`,
    );
  }
}

/** Takes what is there, or waits for it. `ended` is called with what ends the wait from outside. */
export async function reserveJobs(
  bench: Bench,
  queues: readonly string[],
  options: ReserveOptions,
  onEnd: (end: (error: unknown) => void) => () => void,
): Promise<readonly Delivery[]> {
  const { link, places } = bench;
  const { runtime } = link.settings;
  const { wait, deadline } = options;
  const started = runtime.monotonic();
  const over = started + wait;
  const until = over + deadline;
  // Who waits may as well get what is pushed later, and hears of what was pushed before.
  const orders = wait > 0 ? [] : queues.map((queue) => places.of(queue).order);
  const ends: ((error: unknown) => void)[] = [];
  const ended: unknown[] = [];
  const off = onEnd((error) => {
    ended.push(error);
    for (const end of ends) end(error);
  });
  try {
    const found: Place[] = [];
    const arrivals = await inOrder(orders, "take", async () => {
      await link.ready(until, "reserve jobs");
      const all = await Promise.all(
        queues.map((queue) => places.known(queue) ?? (wait > 0 ? places.make : places.find)(queue, until)),
      );
      found.push(...all.filter((place) => place !== undefined));
      bench.tend(found);
      return await (wait === 0
        ? round(bench, found, { ...options, eager: true }, until)
        : firstLook(bench, found, options, until));
    });
    const isOver = ended.length > 0 || arrivals.length > 0 || wait === 0;
    if (isOver) return await handOver(bench, arrivals, options.lease, ended);
    const first = await waitFor(bench, found, options, over, ends);
    if (first === undefined) return [];
    const more = await fill(bench, first, options, until);
    return await handOver(bench, more, options.lease, ended);
  } finally {
    off();
  }
}

/**
 * A look before a wait. In a cluster a line may have no leader for some seconds: that holds up nobody, as those who wait
 * stand at each line by itself.
 */
async function firstLook(
  bench: Bench,
  places: readonly Place[],
  { limit, slots }: ReserveOptions,
  until: number,
): Promise<Arrival[]> {
  const { link } = bench;
  const soon = link.clustered ? Math.min(until, link.settings.runtime.monotonic() + FIRST) : until;
  try {
    return await round(bench, places, { limit, slots, eager: false }, soon);
  } catch (error) {
    const silent = error instanceof RelevoError && !isPlaceGone(error) &&
      (error.code === "DEADLINE_EXCEEDED" || error.code === "TRANSPORT_UNAVAILABLE");
    if (soon === until || !silent || !link.up) throw error;
    return [];
  }
}

/** One look at all queues. */
async function round(bench: Bench, places: readonly Place[], want: Want, until: number): Promise<Arrival[]> {
  const arrivals: Arrival[] = [];
  let { slots } = want;
  try {
    for (const place of places) {
      const limit = want.limit - arrivals.length;
      if (limit <= 0) break;
      const found = await look(bench, place, { ...want, limit, slots }, until);
      slots -= found.filter(({ line }) => line === "b").length;
      arrivals.push(...found);
    }
  } catch (error) {
    for (const arrival of arrivals) bench.crowd.stray(arrival);
    throw error;
  }
  for (const place of places) {
    if (want.eager && !isOften(bench, place)) continue;
    bench.crowd.keep(place, want.slots > 0 ? ["d", "b"] : ["d"]);
  }
  return arrivals;
}

/**
 * Whether a queue is asked so often that it pays to stand at its side lines: a server of 2.9 looks through all that
 * waits to say that nothing came back.
 */
function isOften({ link }: Bench, place: Place): boolean {
  const now = link.settings.runtime.monotonic();
  const often = now < place.askedAt + OFTEN;
  place.askedAt = now;
  return often;
}

/** One look at one queue. */
async function look(
  bench: Bench,
  place: Place,
  { limit, slots, eager }: Want,
  until: number,
): Promise<Arrival[]> {
  const { calendar, crowd } = bench;
  const found = await spareOf(bench, place, limit, slots, until);
  const missing = (): number => Math.min(MOST, limit - found.length);
  const free = (): number => Math.min(missing(), slots - found.filter(({ line }) => line === "b").length);
  const take = (line: "b" | "w", most: number): Promise<boolean> =>
    takeInto(bench, place, line, most, found, until);
  try {
    await Promise.all([
      crowd.stands(place, "d") ? calendar.flush(place) : ripenPages(bench, place, READING, until),
      !crowd.stands(place, "b") && free() > 0 ? take("b", free()) : undefined,
    ]);
    // What a stand got meanwhile lay before all that is there now.
    found.push(...await spareOf(bench, place, missing(), free(), until));
    if (missing() <= 0 || (!eager && crowd.stands(place, "w"))) return found;
    if (await take("w", missing()) && free() > 0) await take("b", free());
    if (eager && (found.length === 0 || (place.replicas > 1 && missing() > 0))) {
      found.push(...await underWay(bench, place, missing(), free(), until));
    }
    if (eager && found.length === 0 && free() > 0 && place.limited.length > 0) {
      await bench.stranded.glance(place, until);
      await take("b", free());
    }
    return inLine(bench, place, found, limit);
  } catch (error) {
    for (const arrival of found) crowd.stray(arrival);
    throw error;
  }
}

/** What came for nobody and is held for long enough. The rest goes back, and comes again with a lease that is whole. */
async function spareOf(
  bench: Bench,
  place: Place,
  limit: number,
  slots: number,
  until: number,
): Promise<Arrival[]> {
  const spare = bench.crowd.spare(place, limit, slots);
  const held = spare.filter((arrival) => isHeld(bench, arrival));
  if (held.length < spare.length) await giveBack(bench, spare.filter((one) => !held.includes(one)), until);
  return held;
}

/** What was found, in order with what a stand got while it was: if that is too much, the last wait for the next look. */
function inLine({ crowd }: Bench, place: Place, found: Arrival[], limit: number): Arrival[] {
  const stood = crowd.spare(place, MOST, 0);
  if (stood.length === 0) return found;
  const all = [...found, ...stood].sort((a, b) =>
    a.line === b.line ? a.seq - b.seq : a.line < b.line ? -1 : 1
  );
  for (const late of all.splice(limit)) crowd.stray(late);
  return all;
}

/**
 * Takes what a line has; true when some of it goes back and comes again: where its lease is over or will be soon, with
 * one that is whole.
 */
async function takeInto(
  bench: Bench,
  place: Place,
  line: "b" | "w",
  limit: number,
  found: Arrival[],
  until: number,
): Promise<boolean> {
  const came = await bench.pulls.take(place, line, limit, until);
  const lost = came.filter(({ again }) => again);
  const fresh = lost.length === 0 ? came : came.filter(({ again }) => !again);
  // They came together.
  const late = fresh[0] !== undefined && !isHeld(bench, fresh[0]);
  if (!late) found.push(...fresh);
  if (lost.length > 0) await takeBack(bench, lost, until);
  if (late) await giveBack(bench, fresh, until);
  return late || lost.length > 0;
}

/**
 * What is there though no pull found it: on its way to a stand of this process, or given back by it, or stored so
 * lately that its line does not know of it yet. The lines of a stream with copies may lag behind for longer, and are
 * asked until they do not.
 */
async function underWay(
  bench: Bench,
  place: Place,
  limit: number,
  slots: number,
  until: number,
): Promise<Arrival[]> {
  const { crowd, link: { settings: { runtime } } } = bench;
  const single = place.replicas === 1;
  const moving = crowd.moving(place);
  if (moving !== undefined) await moving;
  const found = crowd.spare(place, limit, slots);
  const late = Math.min(until, runtime.monotonic() + (single ? 0 : LAG));
  const free = (): number => slots - found.filter(({ line }) => line === "b").length;
  const lines: ("b" | "w")[] = ["b", "w"];
  for (const line of lines) {
    const room = (): number => Math.min(MOST, limit - found.length, line === "b" ? free() : Infinity);
    for (
      let least = 0;
      room() > 0 && !(single && found.length > 0);
      least = longer(Math.max(least, HEARD_OF))
    ) {
      const pause = await pauseAt(bench, place, line, least === 0, until);
      const wait = Math.max(pause ?? 0, least);
      if (pause !== undefined && wait > 0) await crowd.hope(place, wait);
      found.push(...crowd.spare(place, limit - found.length, free()));
      if (pause === undefined) break;
      const again = room() > 0 && await takeInto(bench, place, line, room(), found, until);
      if (again && line === "w" && lines.length === 2) lines.push("b");
      if (runtime.monotonic() >= late) break;
    }
  }
  return found;
}

/** Milliseconds after which a line may hand over what it did not; undefined when there is nothing. */
async function pauseAt(
  bench: Bench,
  place: Place,
  line: Line,
  first: boolean,
  until: number,
): Promise<number | undefined> {
  const state = await stateOf(bench, place, line, until);
  const standing = bench.crowd.stands(place, line);
  const pause = standing ? ON_ITS_WAY : HEARD_OF;
  if (state.num_pending > 0) return standing ? pause : 0;
  if (first && (standing || place.late > 0) && state.delivered.stream_seq > place.seen[line]) return pause;
  // Whoever stands at a line of one server hears of a job as soon as its consumer.
  if (standing && place.replicas === 1) return undefined;
  return await nextIn(bench, place, line, state, until) === undefined ? undefined : pause;
}

/** Whether the server keeps a job for us long enough to hand it over. */
function isHeld({ link }: Bench, { place, at }: Arrival): boolean {
  return link.settings.runtime.monotonic() < at + place.ackWait / 2;
}

/** The first job that comes, or nothing when the wait is over. */
function waitFor(
  bench: Bench,
  places: readonly Place[],
  { slots }: ReserveOptions,
  over: number,
  ends: ((error: unknown) => void)[],
): Promise<Arrival | undefined> {
  const { crowd, link } = bench;
  return new Promise((resolve, reject) => {
    const settle = (then: () => void): void => {
      crowd.leave(waiter);
      link.listeners.delete(listener);
      alarm.cancel();
      then();
    };
    const failed = (error: Error): void => settle(() => reject(error));
    const waiter: Waiter = { places, slots, got: (arrival) => settle(() => resolve(arrival)), failed };
    const listener = { down: failed };
    const rest = over - link.settings.runtime.monotonic();
    const alarm: Alarm = crowd.alarms.set(Math.max(0, rest), () => settle(() => resolve(undefined)));
    ends.push((error) => settle(() => reject(error)));
    link.listeners.add(listener);
    crowd.join(waiter);
    for (const place of places) crowd.keep(place, slots > 0 ? ["w", "b", "d"] : ["w", "d"]);
  });
}

/** What came beside a first job. */
async function fill(
  bench: Bench,
  first: Arrival,
  { limit, slots }: ReserveOptions,
  until: number,
): Promise<readonly Arrival[]> {
  if (limit === 1 || first.pending === 0) return [first];
  const rest = { limit: limit - 1, slots: first.line === "b" ? slots - 1 : slots, eager: true };
  // The first job is sure, whatever becomes of the look for others, which must not cost it its lease.
  const soon = bench.link.settings.runtime.monotonic() + first.place.ackWait / 4;
  const more = await look(bench, first.place, rest, Math.min(until, soon)).catch(() => []);
  return [first, ...more];
}

/** Hands jobs to who asked for them, or gives them back when that is over. */
async function handOver(
  bench: Bench,
  arrivals: readonly Arrival[],
  lease: number,
  ended: readonly unknown[],
): Promise<Delivery[]> {
  const { runtime } = bench.link.settings;
  const notes = await noted(bench, arrivals);
  const now = runtime.monotonic();
  const isOver = ({ place: { ackWait }, at }: Arrival): boolean =>
    ended.length > 0 || now >= at + ackWait - marginOf(ackWait);
  const over = arrivals.filter(isOver);
  for (const arrival of over) dropNote(bench, arrival.place, notes.get(arrival));
  if (over.length > 0) await giveBack(bench, over, now + GIVE_BACK);
  if (ended.length > 0) throw ended[0];
  const kept = over.length === 0 ? arrivals : arrivals.filter((arrival) => !over.includes(arrival));
  return kept.map((arrival) => handed(bench, arrival, lease, notes.get(arrival), runtime.monotonic()));
}

/** Notes those that lost a lease before, which must not cost them this one. */
async function noted(bench: Bench, arrivals: readonly Arrival[]): Promise<ReadonlyMap<Arrival, number>> {
  const frail = arrivals.filter(({ record }) => isFrail(record));
  if (frail.length === 0) return new Map();
  const shortest = Math.min(...frail.map(({ place }) => place.ackWait));
  try {
    return await noteFrail(bench, frail, bench.link.settings.runtime.monotonic() + shortest / 4);
  } catch (error) {
    for (const arrival of arrivals) bench.crowd.stray(arrival);
    throw error;
  }
}

function handed(
  { holding }: Bench,
  arrival: Arrival,
  lease: number,
  note: number | undefined,
  now: number,
): Delivery {
  const { place: { ackWait }, at } = arrival;
  const safe = at + ackWait;
  const held = new Held(arrival, dueOf(arrival), note, lease > ackWait ? now + lease : safe, safe);
  holding.add(held);
  return new Handed(held, Math.max(1, Math.floor(safe - now - marginOf(ackWait))));
}

/** A delivery as the worker gets it. */
class Handed implements Delivery {
  readonly queue: string;
  readonly token: string;
  readonly id: string;
  readonly name: string;
  readonly payload: Uint8Array;
  readonly meta: string;
  readonly lost: number;
  readonly reset: boolean;
  readonly due: number;
  readonly lease: number;

  constructor({ place, token, record: { id, name, meta, marks }, payload, due }: Held, lease: number) {
    this.queue = place.queue;
    this.token = token;
    this.id = id;
    this.name = name;
    this.payload = payload;
    this.meta = meta;
    this.lost = marks.lost ?? 0;
    this.reset = marks.reset ?? false;
    this.due = due;
    this.lease = lease;
  }
}
