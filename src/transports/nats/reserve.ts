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
import { stateOf } from "./look.ts";
import { inOrder } from "./order.ts";
import type { Place } from "./place.ts";
import type { Arrival } from "./arrival.ts";
import { nextOf } from "./read.ts";
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
/** Milliseconds after which a consumer has heard of what its stream has stored. */
const HEARD_OF = 20;
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
      for (const queue of queues) {
        const place = places.known(queue) ?? await (wait > 0 ? places.make : places.find)(queue, until);
        if (place !== undefined) found.push(place);
      }
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
  const { calendar, crowd, pulls } = bench;
  const spare = crowd.spare(place, limit, slots);
  const found = spare.filter((arrival) => isHeld(bench, arrival));
  // They go back, and come again with a lease that is whole.
  if (found.length < spare.length) await giveBack(bench, spare.filter((one) => !found.includes(one)), until);
  const missing = (): number => Math.min(MOST, limit - found.length);
  const free = (): number => Math.min(missing(), slots - found.filter(({ line }) => line === "b").length);
  /** What came goes back where its lease is over, or will be soon, and comes again with one that is whole. */
  const take = async (line: "b" | "w", limit: number): Promise<boolean> => {
    const came = await pulls.take(place, line, limit, until);
    const lost = came.filter(({ again }) => again);
    const fresh = lost.length === 0 ? came : came.filter(({ again }) => !again);
    // They came together.
    const late = fresh[0] !== undefined && !isHeld(bench, fresh[0]);
    if (!late) found.push(...fresh);
    if (lost.length > 0) await takeBack(bench, lost, until);
    if (late) await giveBack(bench, fresh, until);
    return late || lost.length > 0;
  };
  try {
    await Promise.all([
      crowd.stands(place, "d") ? calendar.flush(place) : ripenPages(bench, place, READING, until),
      !crowd.stands(place, "b") && free() > 0 ? take("b", free()) : undefined,
    ]);
    if (missing() <= 0 || (!eager && crowd.stands(place, "w"))) return found;
    if (await take("w", missing()) && free() > 0) await take("b", free());
    if (eager && found.length === 0) found.push(...await underWay(bench, place, limit, slots, until));
    if (eager && found.length === 0 && free() > 0 && place.limited.length > 0) {
      await bench.stranded.glance(place, until);
      await take("b", free());
    }
    return found;
  } catch (error) {
    for (const arrival of found) crowd.stray(arrival);
    throw error;
  }
}

/**
 * What is there though no pull found it: on its way to a stand of this process, or stored so lately that its line does
 * not know of it yet.
 */
async function underWay(
  bench: Bench,
  place: Place,
  limit: number,
  slots: number,
  until: number,
): Promise<Arrival[]> {
  const { crowd, pulls } = bench;
  const here = crowd.spare(place, limit, slots);
  if (here.length > 0) return here;
  for (const line of ["b", "w"] as const) {
    if (line === "b" && slots === 0) continue;
    const { delivered, num_pending } = await stateOf(bench, place, line, until);
    if (crowd.stands(place, line)) {
      if (num_pending === 0 && delivered.stream_seq <= place.seen[line]) continue;
      await crowd.hope(place, ON_ITS_WAY);
    } else if (num_pending === 0) {
      // The stream knows what its consumer may not have heard of yet.
      const next = delivered.stream_seq + 1;
      if (await nextOf(bench, place, `${place.base}${line}.>`, next, until) === undefined) continue;
      await crowd.hope(place, HEARD_OF);
    }
    const came = crowd.spare(place, limit, slots);
    const more = Math.min(MOST, line === "b" ? Math.min(limit, slots) - came.length : limit - came.length);
    if (more <= 0) return came;
    const rest = await pulls.take(place, line, more, until);
    // What came back goes its own way.
    const fresh = rest.filter((arrival) => !arrival.again && isHeld(bench, arrival));
    for (const arrival of rest) if (!fresh.includes(arrival)) crowd.stray(arrival);
    const found = [...came, ...fresh];
    if (found.length > 0) return found;
  }
  return [];
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
