/**
 * Push: jobs in.
 *
 * @module
 */

import { MAX_NAME } from "../../defaults.ts";
import { errorOf, RelevoError, TooLargeError } from "../../errors.ts";
import type { Pushed, PushJob } from "../../exchange.ts";
import { byteLength } from "../../names.ts";
import { checkTime } from "../../options.ts";
import { hush } from "../../promises.ts";
import type { Bench } from "./bench.ts";
import { closeLock, type Taken } from "./idlock.ts";
import { jobOf, takeId } from "./ids.ts";
import type { Place } from "./place.ts";
import { AnswerLost, isPlaceGone } from "./errors.ts";
import { type Bound, isTopic, readRegistry } from "./registry.ts";
import { sendOn } from "./topics.ts";
import { type Letter, lineSubject, payloadLimit, publish } from "./publish.ts";
import { deleteMessage } from "./read.ts";
import type { Marks } from "./wire.ts";

/** When a job may run, or nothing for at once. */
interface When {
  readonly delay?: number | undefined;
  readonly at?: number | undefined;
}

/** What makes a job the only one of its tick, however often and by whomever that is pushed. */
export interface Once {
  /** Its message id, unless its caller chose an id for it. */
  readonly messageId: string;
  /** The lock of that id under which it was to be stored before. */
  readonly lock: Taken | undefined;
  /**
   * Writes a lock down before the job is stored under it; the lock that holds, which may be another's, or undefined when
   * the tick is over.
   */
  keep(lock: Taken): Promise<Taken | undefined>;
}

/** Stores jobs; an answer for each. A tick's job is a duplicate the second time. */
export async function pushJobs(
  bench: Bench,
  jobs: readonly PushJob[],
  until: number,
  once?: Once,
): Promise<Pushed[]> {
  const { link, places } = bench;
  if (!link.up) await link.ready(until, "push jobs");
  const made = new Map<string, Place | Error>();
  const missing = new Set<string>();
  for (const { queue } of jobs) {
    if (made.has(queue) || missing.has(queue)) continue;
    const known = places.known(queue);
    if (known === undefined) missing.add(queue);
    else made.set(queue, known);
  }
  // Several servers take a while to agree on a place, and as long for many as for one.
  const making = [...missing].map(async (queue) =>
    void made.set(queue, await places.make(queue, until).catch(errorOf))
  );
  if (making.length > 0) await Promise.all(making);
  const prepared = jobs.map((job) => prepare(bench, job, made.get(job.queue)));
  await inTurn(prepared, () => takeIds(bench, prepared, until, once));
  const registries = await registriesOf(bench, prepared, until);
  const answers: Promise<Pushed>[] = [];
  for (const item of prepared) {
    const { length } = item.job.payload;
    const room = item.answer === undefined ? bench.window.enter(length) : undefined;
    if (room !== undefined) await room;
    const groups = item.place === undefined ? undefined : registries.get(item.place);
    const line = groups !== undefined && groups.length > 0 ? "p" : undefined;
    answers.push(
      item.answer === undefined ? store(bench, item, line, until, once) : Promise.resolve(item.answer),
    );
  }
  const pushed = await Promise.all(answers);
  for (const [place, groups] of registries) await fanOut(bench, place, groups, prepared, until);
  return pushed;
}

/** A job on its way in. */
interface Item {
  readonly job: PushJob;
  readonly place: Place | undefined;
  /** What became of it, once that is known. */
  answer: Pushed | undefined;
  taken: Taken | undefined;
  /** The number under which it was stored. */
  seq: number;
}

function prepare(bench: Bench, job: PushJob, place: Place | Error | undefined): Item {
  try {
    checkJob(bench, job);
    if (place === undefined || place instanceof Error) throw place;
    return { job, place, answer: undefined, taken: undefined, seq: 0 };
  } catch (error) {
    return { job, place: undefined, answer: errorOf(error), taken: undefined, seq: 0 };
  }
}

/** Takes the ids that callers chose; of equal ones in one batch the first. */
async function takeIds(
  bench: Bench,
  items: readonly Item[],
  until: number,
  once: Once | undefined,
): Promise<void> {
  const first = new Map<Place, Set<string>>();
  await Promise.all(items.map(async (item) => {
    const { job, place } = item;
    if (job.idWindow === undefined || place === undefined) return;
    const seen = first.get(place) ?? new Set();
    first.set(place, seen);
    if (seen.has(job.id)) return void (item.answer = "duplicate");
    seen.add(job.id);
    try {
      item.taken = once?.lock ?? await take(bench, place, job, until, once);
      if (item.taken === undefined) item.answer = "duplicate";
    } catch (error) {
      item.answer = errorOf(error);
    }
  }));
}

/** Takes the id of a job; a tick's is written down before the job is stored. */
async function take(
  bench: Bench,
  place: Place,
  job: PushJob,
  until: number,
  once: Once | undefined,
): Promise<Taken | undefined> {
  const taken = await takeId(bench, place, job, until);
  if (taken === undefined || once === undefined) return taken;
  const kept = await once.keep(taken);
  if (kept?.seq !== taken.seq && taken.inherited !== true) {
    await deleteMessage(bench, place, taken.seq, until);
  }
  return kept;
}

/**
 * Lets a call go on when those before it have taken their ids, as that takes several round trips, and jobs shall lie in
 * the order of the calls.
 */
async function inTurn(items: readonly Item[], take: () => Promise<void>): Promise<void> {
  const places = new Set(items.flatMap(({ place }) => place === undefined ? [] : [place]));
  const before = [...places].flatMap(({ turn }) => turn === undefined ? [] : [turn]);
  const takes = items.some(({ job }) => job.idWindow !== undefined);
  if (!takes && before.length === 0) return;
  const turn = Promise.allSettled([...before, ...takes ? [take()] : []]);
  for (const place of places) place.turn = turn;
  await turn;
  for (const place of places) if (place.turn === turn) place.turn = undefined;
}

/** The groups of each topic that is published to. */
async function registriesOf(
  bench: Bench,
  items: readonly Item[],
  until: number,
): Promise<Map<Place, readonly Bound[]>> {
  const topics = new Set(items.flatMap(({ place }) => place !== undefined && isTopic(place) ? [place] : []));
  const registries = new Map<Place, readonly Bound[]>();
  for (const place of topics) registries.set(place, (await readRegistry(bench, place, until)).groups);
  return registries;
}

/**
 * Sends on what was published. It is stored by now, so that a failure here is nobody's: what is left is sent on by
 * whoever looks next.
 */
async function fanOut(
  bench: Bench,
  place: Place,
  known: readonly Bound[],
  items: readonly Item[],
  until: number,
): Promise<void> {
  const stored = items.filter((item) => item.place === place && item.seq > 0);
  if (stored.length === 0) return;
  try {
    // The first group may have been bound since.
    const groups = known.length > 0 ? known : (await readRegistry(bench, place, until)).groups;
    if (groups.length === 0) return;
    await sendOn(
      bench,
      place,
      groups,
      stored.map(({ job, taken, seq }) => {
        const { record, payload } = letterOf(bench, place, job, taken, "p");
        return { seq, record, payload };
      }),
      until,
    );
  } catch (error) {
    if (!(error instanceof RelevoError) && !(error instanceof AnswerLost)) throw error;
  }
}

function store(
  bench: Bench,
  item: Item,
  line: "p" | undefined,
  until: number,
  once: Once | undefined,
): Promise<Pushed> {
  const { link, window } = bench;
  const { job, place, taken } = item;
  return new Promise((resolve) => {
    if (place === undefined) return resolve(new Error("A job has no place"));
    const letter = { once: once?.messageId, isNew: true, ...letterOf(bench, place, job, taken, line) };
    publish(link, letter, until, (receipt, error) => {
      window.leave(job.payload.length);
      if (isPlaceGone(error)) bench.places.forget(place);
      if (receipt === undefined) return resolve(error ?? new Error("A job was not answered"));
      if (receipt.duplicate && taken?.inherited === true) {
        return resolve(storeAnew(bench, item, { place, taken, line, once }, until).catch(errorOf));
      }
      if (!receipt.duplicate) item.seq = receipt.seq;
      if (taken !== undefined) hush(closeLock(bench, place, job.id, taken, until));
      resolve(receipt.duplicate ? "duplicate" : "stored");
    });
  });
}

/** A job that was to be stored under a lock which another left behind. */
interface Left {
  readonly place: Place;
  readonly taken: Taken;
  readonly line: "p" | undefined;
  readonly once: Once | undefined;
}

/** Who left the lock behind had stored its job. Where that is gone by now, and its window over, this one is another. */
async function storeAnew(
  bench: Bench,
  item: Item,
  { place, taken, line, once }: Left,
  until: number,
): Promise<Pushed> {
  const { job } = item;
  await closeLock(bench, place, job.id, taken, until);
  item.taken = bench.clock.now() < taken.end ? undefined : await take(bench, place, job, until, once);
  if (item.taken === undefined) return "duplicate";
  const room = bench.window.enter(job.payload.length);
  if (room !== undefined) await room;
  return await store(bench, item, line, until, once);
}

/** The message that a job is. */
function letterOf(
  bench: Bench,
  place: Place,
  job: PushJob,
  taken: Taken | undefined,
  line: "p" | undefined,
): Letter {
  const { id, name, payload, meta } = job;
  const marks: Marks = { ...whenMarks(bench, job), ...taken === undefined ? {} : { until: taken.end } };
  const delayed = marks.delay !== undefined || (marks.due ?? 0) > bench.clock.now();
  const record = { id, name, meta, marks };
  const subject = lineSubject(place, line ?? (delayed ? "d" : "w"), id);
  return { place, subject, payload, record, ...taken === undefined ? {} : { once: jobOf(taken) } };
}

/** When a job may run, as it is written: an instant, or a time after it is stored. */
export function whenMarks(bench: Bench, { delay, at }: When): Marks {
  if (at !== undefined) return Math.ceil(at) > bench.clock.now() ? { due: Math.ceil(at) } : {};
  return delay === undefined || delay === 0 ? {} : { delay: Math.ceil(delay) };
}

/** Refuses a time that no clock shows. */
export function checkWhen(action: string, { delay, at }: When): void {
  if (delay !== undefined) checkTime(action, "delay", delay);
  if (at !== undefined && !(Math.abs(at) <= 8.64e15)) {
    throw new RangeError(
      `Cannot ${action} as 'at' must be an instant in milliseconds since the epoch: current value is ${
        String(at)
      }`,
    );
  }
}

function checkJob({ link }: Bench, job: PushJob): void {
  const limit = payloadLimit(link);
  if (job.payload.length + 3 * job.meta.length > limit) {
    const size = job.payload.length + byteLength(job.meta);
    if (size > limit) throw new TooLargeError("a job", size, limit);
  }
  checkLength("queue", job.queue);
  checkLength("job", job.name);
  checkWhen("push a job", job);
  if (job.idWindow !== undefined) checkTime("push a job", "idWindow", job.idWindow);
}

function checkLength(what: string, name: string): void {
  if (name.length * 3 <= MAX_NAME) return;
  const size = byteLength(name);
  if (size > MAX_NAME) throw new TooLargeError(`the name of a ${what}`, size, MAX_NAME);
}
