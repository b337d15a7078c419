/**
 * Reserve: jobs out, what came back first, then what waits, of the first queue named first.
 *
 * @module
 */

import { unlessLate } from "../../deadline.ts";
import { DeadlineExceeded, RelevoError } from "../../errors.ts";
import type { Delivery, ReserveOptions } from "../../exchange.ts";
import { checkInteger, checkTime } from "../../options.ts";
import type { Alarm } from "../../alarms.ts";
import { hush } from "../../promises.ts";
import type { Bench, Waiter } from "./bench.ts";
import { briefly } from "./brief.ts";
import { isPlaceGone } from "./errors.ts";
import { Held, marginOf } from "./held.ts";
import { inOrder } from "./order.ts";
import type { Place } from "./place.ts";
import type { Arrival } from "./arrival.ts";
import { dropNote, type Noted, noteFrail } from "./notes.ts";
import { dueOf, giveBack } from "./ripen.ts";
import { look, round } from "./take.ts";
import { isFrail } from "./wire.ts";

/** Milliseconds for which a look before a wait is waited for in a cluster. */
const FIRST = 500;
/** Milliseconds for which a look is waited for that was interrupted: what it still brings is given back. */
const LAST_LOOK = 1_000;
const NONE: Noted = { notes: new Map(), unheard: new Set() };
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
  const interrupted = new Promise<never>((_, reject) => ends.push(reject));
  hush(interrupted);
  const orInterrupted = <T>(work: Promise<T>): Promise<T> => Promise.race([work, interrupted]);
  const late = (): Error => new DeadlineExceeded("reserve jobs", Math.round(until - started));
  const bounded = (before: Promise<unknown>): Promise<unknown> =>
    orInterrupted(unlessLate(link.alarms, before, { ms: until - started, late }));
  try {
    const found: Place[] = [];
    const looking = inOrder(orders, "take", bounded, async () => {
      await orInterrupted(link.ready(until, "reserve jobs"));
      const all = await orInterrupted(Promise.all(
        queues.map((queue) => places.known(queue) ?? (wait > 0 ? places.make : places.find)(queue, until)),
      ));
      found.push(...all.filter((place) => place !== undefined));
      bench.tend(found);
      return await (wait === 0
        ? round(bench, found, { ...options, eager: true }, until)
        : firstLook(bench, found, options, until));
    });
    const arrivals = await Promise.race([
      looking,
      interrupted.catch(() => briefly(runtime, LAST_LOOK, looking)),
    ]);
    if (arrivals === undefined) {
      hush(looking.then((late) => handOver(bench, late, options.lease, ended)));
      throw ended[0];
    }
    const isOver = ended.length > 0 || arrivals.length > 0 || wait === 0;
    if (isOver) return await handOver(bench, arrivals, options.lease, ended);
    const first = await waitFor(bench, found, options, over, ends);
    if (first === undefined) return [];
    const more = await fill(bench, first, options, until);
    return await handOver(bench, more, options.lease, ended);
  } catch (error) {
    // What fails once it was ended from outside does so for that reason.
    throw ended.length > 0 ? ended[0] : error;
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
  const { notes, unheard } = await noted(bench, arrivals);
  const now = runtime.monotonic();
  const isOver = ({ place: { ackWait }, at }: Arrival): boolean =>
    ended.length > 0 || now >= at + ackWait - marginOf(ackWait);
  const over = arrivals.filter((arrival) => isOver(arrival) || unheard.has(arrival));
  await giveUp(bench, over, notes);
  if (ended.length > 0) {
    // It may have been only while those went back.
    await giveUp(bench, arrivals.filter((arrival) => !over.includes(arrival)), notes);
    throw ended[0];
  }
  const kept = over.length === 0 ? arrivals : arrivals.filter((arrival) => !over.includes(arrival));
  return kept.map((arrival) => handed(bench, arrival, lease, notes.get(arrival), runtime.monotonic()));
}

async function giveUp(
  bench: Bench,
  arrivals: readonly Arrival[],
  notes: ReadonlyMap<Arrival, number>,
): Promise<void> {
  if (arrivals.length === 0) return;
  for (const arrival of arrivals) dropNote(bench, arrival.place, notes.get(arrival));
  await giveBack(bench, arrivals, bench.link.settings.runtime.monotonic() + GIVE_BACK);
}

/** Notes those that lost a lease before, which must not cost them this one. */
async function noted(bench: Bench, arrivals: readonly Arrival[]): Promise<Noted> {
  const frail = arrivals.filter(({ record }) => isFrail(record));
  if (frail.length === 0) return NONE;
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
