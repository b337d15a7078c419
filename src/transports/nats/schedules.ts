/**
 * Recurring jobs: one message each, in the stream of its queue, replaced only by who knows the last one.
 *
 * A tick takes three steps: it is claimed, its job is pushed under a message id made of the key and the tick, and the
 * schedule moves on. Whoever finds a claim takes the other two: for as long as the server remembers message ids, a
 * second push of the same tick is none. Older claims are not repeated, as nobody can tell whether they were pushed.
 * Where a caller chose the job's id the message id is that of the id's lock, which is written down before.
 *
 * @module
 */

import type { Call, Pushed, PushJob } from "../../exchange.ts";
import { checkInteger } from "../../options.ts";
import type {
  Advanced,
  DueSchedules,
  NewSchedule,
  Schedule,
  SchedulePage,
  Schedules,
} from "../../recurring.ts";
import type { Bench } from "./bench.ts";
import { replace } from "./locks.ts";
import type { Taken } from "./idlock.ts";
import { idOfToken, idToken } from "./names.ts";
import type { Place } from "./place.ts";
import { type Once, pushJobs } from "./push.ts";
import { deleteMessage, each, lastOf, subjectsOf } from "./read.ts";

/** What the header line says of a schedule. */
interface Sheet {
  readonly tick: number;
  readonly paused: boolean;
  /** Absent: empty. */
  readonly note?: string | undefined;
  readonly text: string;
  /** When its tick was claimed by somebody who began to push it, in milliseconds since the epoch. */
  readonly claimed?: number | undefined;
  /** The lock under which its job is stored, where a caller chose that job's id. */
  readonly lock?: Taken | undefined;
}

/** A schedule as it lies in the stream. */
interface Kept extends Sheet {
  readonly key: string;
  readonly payload: Uint8Array;
  readonly seq: number;
  /** Its tick had been claimed before: what is refused now may be stored already. */
  readonly resumed?: boolean;
}

/** Bounds a call and waits for a connection. */
type Run = <T>(call: Call, action: string, work: (until: number) => Promise<T>) => Promise<T>;

/** Makes the ability to store recurring jobs. */
export function createSchedules(bench: Bench, run: Run): Schedules {
  const { places } = bench;
  return {
    put: (schedule, call) =>
      run(
        call,
        "put a schedule",
        async (until) => await put(bench, await places.make(schedule.queue, until), schedule, until),
      ),
    get: (queue, key, call) =>
      run(call, "get a schedule", async (until) => {
        const place = await places.find(queue, until);
        return place && (await readAll(bench, place, [key], until))[0];
      }),
    list: (queue, page, call) =>
      run(call, "list schedules", async (until) => {
        checkInteger("list schedules", "limit", page.limit, 1, Number.MAX_SAFE_INTEGER);
        const place = await places.find(queue, until);
        return place === undefined ? { schedules: [] } : await listed(bench, place, page, until);
      }),
    remove: (queue, key, call) =>
      run(call, "remove a schedule", async (until) => {
        const place = await places.find(queue, until);
        const kept = place && await look(bench, place, key, until);
        return place !== undefined && kept !== undefined && await end(bench, place, kept, until);
      }),
    pause: (queue, key, paused, note, call) =>
      run(call, "pause a schedule", async (until) => {
        const place = await places.find(queue, until);
        return place !== undefined &&
          await change(bench, place, key, (kept) => ({ ...kept, paused, note }), until);
      }),
    due: (queues, limit, call) =>
      run(call, "look for due schedules", (until) => due(bench, queues, limit, until)),
    advance: (queue, key, tick, next, job, call) =>
      run(call, "advance a schedule", async (until) => {
        const place = await places.find(queue, until);
        return place === undefined ? "stale" : await advance(bench, place, { key, tick, next, job }, until);
      }),
  };
}

function subjectOf({ base }: Place, key: string): string {
  return `${base}s.${idToken(key)}`;
}

async function look(bench: Bench, place: Place, key: string, until: number): Promise<Kept | undefined> {
  const stored = await lastOf(bench, place, subjectOf(place, key), until);
  if (stored === undefined) return undefined;
  const { tick = 0, paused = false, note, text = "", claimed, lock } = sheetOf(stored.header);
  return { key, tick, paused, note, text, claimed, lock, payload: stored.payload, seq: stored.seq };
}

/** What a header line says; one that another program spoilt is its schedule's text, and hides no other. */
function sheetOf(header: string): Partial<Sheet> {
  try {
    const sheet: unknown = JSON.parse(header);
    if (typeof sheet === "object" && sheet !== null) return sheet;
  } catch {
    // Told by the core, which cannot read the text either.
  }
  return { text: header };
}

/** Writes a schedule in the place of the one that was read; undefined when another stands there. */
function write(
  bench: Bench,
  place: Place,
  { key, tick, paused, note, text, claimed, lock, payload, seq }: Kept,
  until: number,
): Promise<number | undefined> {
  const sheet: Sheet = { tick, paused, note: note === "" ? undefined : note, text, claimed, lock };
  return replace(bench, place, subjectOf(place, key), JSON.stringify(sheet), seq, until, payload);
}

/** Changes a schedule, however many others do; false when there is none. */
async function change(
  bench: Bench,
  place: Place,
  key: string,
  changed: (kept: Kept) => Kept,
  until: number,
): Promise<boolean> {
  for (;;) {
    const kept = await look(bench, place, key, until);
    if (kept === undefined) return false;
    if (await write(bench, place, changed(kept), until) !== undefined) return true;
  }
}

/** Takes a schedule away, whatever it has become since it was read; false when it was gone. */
async function end(bench: Bench, place: Place, kept: Kept, until: number): Promise<boolean> {
  for (let last: Kept | undefined = kept; last !== undefined;) {
    if (await deleteMessage(bench, place, last.seq, until)) return true;
    last = await look(bench, place, kept.key, until);
  }
  return false;
}

async function put(
  bench: Bench,
  place: Place,
  { key, tick, text, payload, from }: NewSchedule,
  until: number,
): Promise<"created" | "replaced" | "same" | "stale"> {
  for (;;) {
    const kept = await look(bench, place, key, until);
    if (kept !== undefined && kept.text === text && sameBytes(kept.payload, payload)) return "same";
    if (from !== undefined && from !== (kept?.tick ?? "none")) return "stale";
    const { seq = 0, paused = false, note } = kept ?? {};
    const written = await write(bench, place, { key, tick, paused, note, text, payload, seq }, until);
    if (written !== undefined) return kept === undefined ? "created" : "replaced";
  }
}

/** The keys of a queue's schedules, in order. */
async function keysOf(bench: Bench, place: Place, until: number): Promise<readonly string[]> {
  const start = `${place.base}s.`;
  const subjects = await subjectsOf(bench, place, `${start}>`, until);
  return subjects.map((subject) => idOfToken(subject.slice(start.length))).sort();
}

async function readAll(
  bench: Bench,
  place: Place,
  keys: readonly string[],
  until: number,
): Promise<readonly Schedule[]> {
  const all = await each(keys, (key) => look(bench, place, key, until));
  return all.flatMap((kept) => {
    if (kept === undefined) return [];
    const { key, tick, paused, note = "", text, payload } = kept;
    return [{ queue: place.queue, key, tick, paused, note, text, payload }];
  });
}

async function listed(
  bench: Bench,
  place: Place,
  { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
  until: number,
): Promise<SchedulePage> {
  const keys = (await keysOf(bench, place, until)).filter((key) => cursor === undefined || key > cursor);
  const schedules = await readAll(bench, place, keys.slice(0, limit), until);
  const last = keys[limit - 1];
  return keys.length > limit && last !== undefined ? { schedules, cursor: last } : { schedules };
}

async function due(
  bench: Bench,
  queues: readonly string[],
  limit: number,
  until: number,
): Promise<DueSchedules> {
  checkInteger("look for due schedules", "limit", limit, 1, Number.MAX_SAFE_INTEGER);
  const all = await Promise.all(queues.map(async (queue) => {
    const place = await bench.places.find(queue, until);
    return place === undefined ? [] : await readAll(bench, place, await keysOf(bench, place, until), until);
  }));
  const now = bench.clock.now();
  const awake = all.flat().filter(({ paused }) => !paused).sort((a, b) => a.tick - b.tick);
  const schedules = awake.filter(({ tick }) => tick <= now).slice(0, limit);
  const next = awake[schedules.length];
  return next === undefined ? { now, schedules } : { now, schedules, next: Math.max(0, next.tick - now) };
}

/** A tick that is to be pushed, and what comes after it. */
interface Step {
  readonly key: string;
  readonly tick: number;
  readonly next: number | undefined;
  readonly job: PushJob | undefined;
}

async function advance(
  bench: Bench,
  place: Place,
  { key, tick, next, job }: Step,
  until: number,
): Promise<Advanced> {
  let kept = await claim(bench, place, key, tick, job !== undefined, until);
  if (kept === undefined) return "stale";
  const resumed = kept.resumed === true;
  const missed = job !== undefined && bench.clock.now() - (kept.claimed ?? 0) > place.window / 2;
  let pushed: Pushed | undefined;
  if (job !== undefined && !missed) {
    let last = kept;
    const once: Once = {
      messageId: `s${idToken(key)}.${tick}`,
      lock: kept.lock,
      async keep(lock) {
        const noted = await note(bench, place, last, lock, until);
        last = noted ?? last;
        return noted?.lock;
      },
    };
    [pushed] = await pushJobs(bench, [job], until, once);
    if (pushed instanceof Error) throw pushed;
    kept = last;
  }
  const moved = next === undefined
    ? await deleteMessage(bench, place, kept.seq, until)
    : await write(bench, place, { ...kept, tick: next, claimed: undefined, lock: undefined }, until) !==
      undefined;
  if (!moved) return "stale";
  if (job === undefined) return "none";
  if (missed) return "missed";
  return pushed === "duplicate" && !resumed ? "duplicate" : "pushed";
}

/** A tick that is this caller's to push, or that somebody else had begun to; undefined when it is over. */
async function claim(
  bench: Bench,
  place: Place,
  key: string,
  tick: number,
  needed: boolean,
  until: number,
): Promise<Kept | undefined> {
  for (;;) {
    const kept = await look(bench, place, key, until);
    if (kept === undefined || kept.paused || kept.tick !== tick) return undefined;
    if (!needed || kept.claimed !== undefined) return { ...kept, resumed: true };
    const claimed = { ...kept, claimed: bench.clock.now() };
    const seq = await write(bench, place, claimed, until);
    if (seq !== undefined) return { ...claimed, seq };
  }
}

/**
 * Writes down under which lock a tick's job is to be stored, before it is. Another's that was written down before holds,
 * unless that one had it from somebody else, whose job may be another. Undefined when the tick is over.
 */
async function note(
  bench: Bench,
  place: Place,
  first: Kept,
  lock: Taken,
  until: number,
): Promise<Kept | undefined> {
  for (let kept = first;;) {
    const { lock: known } = kept;
    if (known !== undefined && (known.seq >= lock.seq || known.inherited !== true)) return kept;
    const seq = await write(bench, place, { ...kept, lock }, until);
    if (seq !== undefined) return { ...kept, lock, seq };
    const now = await look(bench, place, kept.key, until);
    if (now?.tick !== kept.tick || now.claimed === undefined) return undefined;
    kept = now;
  }
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
