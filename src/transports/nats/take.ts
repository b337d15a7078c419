/**
 * One look at queues: what is there now, of the first queue named first, and of each what came back before what waits.
 *
 * @module
 */

import type { Arrival } from "./arrival.ts";
import type { Bench } from "./bench.ts";
import { HEARD_OF, LAG, longer, nextIn, stateOf } from "./lines.ts";
import type { Line } from "./names.ts";
import type { Place } from "./place.ts";
import { giveBack, ripenPages, takeBack } from "./ripen.ts";

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
/** Milliseconds that a job takes from the server to a stand at most. */
const ON_ITS_WAY = 50;

/** One look at all queues. */
export async function round(
  bench: Bench,
  places: readonly Place[],
  want: Want,
  until: number,
): Promise<Arrival[]> {
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
export async function look(
  bench: Bench,
  place: Place,
  { limit, slots, eager }: Want,
  until: number,
): Promise<Arrival[]> {
  const { calendar, crowd } = bench;
  const found: Arrival[] = [];
  const missing = (): number => Math.min(MOST, limit - found.length);
  const free = (): number => Math.min(missing(), slots - found.filter(({ line }) => line === "b").length);
  const take = (line: "b" | "w", most: number): Promise<boolean> =>
    takeInto(bench, place, line, most, found, until);
  const takeSpare = (): Promise<void> => spareInto(bench, place, missing(), free(), found, until);
  try {
    await takeSpare();
    const stood = crowd.stands(place, "b");
    await allOf([
      crowd.stands(place, "d") ? calendar.flush(place, until) : ripenPages(bench, place, READING, until),
      !stood && free() > 0 ? take("b", free()) : undefined,
    ]);
    // What a stand got meanwhile lay before all that is there now.
    await takeSpare();
    if (missing() <= 0 || (!eager && crowd.stands(place, "w"))) return found;
    const returned = await take("w", missing());
    // A stand takes one, and there may be more behind it.
    const passed = stood && !crowd.stands(place, "b");
    if (passed) await takeSpare();
    if ((returned || passed) && free() > 0) await take("b", free());
    if (eager && (found.length === 0 || (place.replicas > 1 && missing() > 0))) {
      await underWay(bench, place, { missing, free }, found, until);
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

/** Takes what came for nobody and is held for long enough. The rest goes back, and comes again with a lease that is whole. */
async function spareInto(
  bench: Bench,
  place: Place,
  limit: number,
  slots: number,
  found: Arrival[],
  until: number,
): Promise<void> {
  const spare = bench.crowd.spare(place, limit, slots);
  const held = spare.filter((arrival) => isHeld(bench, arrival));
  found.push(...held);
  if (held.length < spare.length) await giveBack(bench, spare.filter((one) => !held.includes(one)), until);
}

/**
 * What was found, what came back before what waits, in order with what a stand got while it was: if that is too much, the
 * last wait for the next look.
 */
function inLine({ crowd }: Bench, place: Place, found: Arrival[], limit: number): Arrival[] {
  const stood = crowd.spare(place, MOST, 0);
  const sorted = found.every(({ line }, n) => line === "b" || found[n + 1]?.line !== "b");
  if (stood.length === 0 && sorted) return found;
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
  { missing, free }: { readonly missing: () => number; readonly free: () => number },
  found: Arrival[],
  until: number,
): Promise<void> {
  const { crowd, link: { settings: { runtime } } } = bench;
  const single = place.replicas === 1;
  const before = found.length;
  const moving = crowd.moving(place);
  if (moving !== undefined) await moving;
  found.push(...crowd.spare(place, missing(), free()));
  const late = Math.min(until, runtime.monotonic() + (single ? 0 : LAG));
  const lines: ("b" | "w")[] = ["b", "w"];
  for (const line of lines) {
    const room = (): number => line === "b" ? free() : missing();
    for (
      let least = 0;
      room() > 0 && !(single && found.length > before);
      least = longer(Math.max(least, HEARD_OF))
    ) {
      const pause = await pauseAt(bench, place, line, least === 0, until);
      const wait = Math.max(pause ?? 0, least);
      if (pause !== undefined && wait > 0) await crowd.hope(place, wait);
      found.push(...crowd.spare(place, missing(), free()));
      if (pause === undefined) break;
      const again = room() > 0 && await takeInto(bench, place, line, room(), found, until);
      if (again && line === "w" && lines.length === 2) lines.push("b");
      if (runtime.monotonic() >= late) break;
    }
  }
}

/** Waits for all to end, and then for the first that failed: what another still brings must not be left behind. */
async function allOf(works: readonly (Promise<unknown> | undefined)[]): Promise<void> {
  for (const end of await Promise.allSettled(works)) if (end.status === "rejected") throw end.reason;
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
