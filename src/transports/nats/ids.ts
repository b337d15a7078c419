/**
 * Ids that callers chose. Each has a message of its own, its lock, on the subject `<...>.i.<id>`, which is replaced only
 * by who knows the last one. It says until when the id is taken whatever becomes of its job, and whether the job was
 * stored: a pusher that died in between leaves a lock that the next one completes.
 *
 * @module
 */

import type { PushJob } from "../../exchange.ts";
import type { Bench } from "./bench.ts";
import { lastMessage, replace, type Single } from "./locks.ts";
import { patrol } from "./patrol.ts";
import { deleteMessage } from "./read.ts";
import { idOfToken, idToken } from "./names.ts";
import type { Place } from "./place.ts";
import { isTopic, placesOf } from "./registry.ts";

/** A lock as it stands. */
interface Lock {
  readonly seq: number;
  /** When it was written. */
  readonly time: number;
  /** Until when the id is taken anyway. */
  readonly end: number;
  /** Its job was stored. */
  readonly closed: boolean;
  /** A dead job is being reloaded under it. */
  readonly reloading: boolean;
}

/** An id that was taken for a job which is to be stored now. */
export interface Taken {
  /** The lock's number. */
  readonly seq: number;
  /** Until when the id is taken whatever becomes of the job. */
  readonly end: number;
}

/** Milliseconds for which locks outlast their time. */
const GRACE = 5_000;
/** What a lock says under which a dead job is being reloaded, and for how many milliseconds that counts. */
const RELOADING = "reload";
export const RELOAD = 15_000;
/** Tries to write a lock before it is taken as contended. */
const TRIES = 20;
/** Where a job is that is not dead: in a line, or on its way to the groups of its topic. */
const LIVE = ["w", "d", "b", "p"] as const;

function subjectOf(place: Place, id: string): string {
  return `${place.base}i.${idToken(id)}`;
}

/** The message id under which the one job of a lock is stored. */
export function jobOf({ seq }: Taken): string {
  return `i${seq}`;
}

/** Takes the id that a job's caller chose, if it is free. */
export async function takeId(
  bench: Bench,
  place: Place,
  job: PushJob,
  until: number,
): Promise<Taken | undefined> {
  const { id, idWindow = 0 } = job;
  // Who only pushes has nobody else who does.
  await bench.clock.renew(place, until);
  const end = bench.clock.now() + Math.ceil(idWindow);
  let expected = 0;
  for (let tries = 0; tries < TRIES; tries++) {
    const seq = await write(bench, place, id, [end, false], expected, until);
    if (seq !== undefined) return { seq, end };
    const last = await readLock(bench, place, id, until);
    expected = last?.seq ?? 0;
    if (last === undefined) continue;
    const now = bench.clock.now();
    if (((last.closed || last.reloading) && now < last.end) || isReloading(last, now)) return undefined;
    if (await isLive(bench, place, id, until)) return undefined;
    // Whoever wrote the lock may be about to store its job, or dead: both would store the one job of this lock.
    if (isOpen(last, place, now)) return { seq: last.seq, end: last.end };
  }
  return undefined;
}

/** Notes that the job of a lock was stored. Without the note the next pusher finds out by itself. */
export async function closeLock(
  bench: Bench,
  place: Place,
  id: string,
  { seq, end }: Taken,
  until: number,
): Promise<void> {
  await write(bench, place, id, [end, true], seq, until);
}

/** Whether a job is about to be stored under a lock, or its pusher has died a moment ago. */
function isOpen({ closed, reloading, time }: Lock, { window }: Place, now: number): boolean {
  return !closed && !reloading && now < time + window / 2;
}

function isReloading({ reloading, time }: Lock, now: number): boolean {
  return reloading && now < time + RELOAD;
}

/**
 * Takes an id for a job that comes back from the dead, until that is stored and the lock is closed; undefined when
 * somebody else has just taken it. A window that is still open stays as it is, and is nobody's hindrance here.
 */
export async function retakeId(
  bench: Bench,
  place: Place,
  id: string,
  until: number,
): Promise<Taken | undefined> {
  if (await isLive(bench, place, id, until)) return undefined;
  const last = await readLock(bench, place, id, until);
  const now = bench.clock.now();
  if (last !== undefined && (isOpen(last, place, now) || isReloading(last, now))) return undefined;
  const end = last?.end ?? 0;
  const seq = await write(bench, place, id, [end, false, RELOADING], last?.seq ?? 0, until);
  if (seq === undefined) return undefined;
  const taken = { seq, end };
  // From here on nobody else takes it. Whoever did before has stored a job by now.
  if (!await isLive(bench, place, id, until)) return taken;
  await closeLock(bench, place, id, taken, until);
  return undefined;
}

/** Writes a lock in the place of the one with that number, 0 for none; undefined when another stands there. */
function write(
  bench: Bench,
  place: Place,
  id: string,
  lock: readonly [end: number, closed: boolean, reloading?: typeof RELOADING],
  expected: number,
  until: number,
): Promise<number | undefined> {
  return replace(bench, place, subjectOf(place, id), JSON.stringify(lock), expected, until);
}

async function readLock(bench: Bench, place: Place, id: string, until: number): Promise<Lock | undefined> {
  const message = await lastMessage(bench, place, subjectOf(place, id), until);
  if (message === undefined) return undefined;
  return lockOf(message);
}

function lockOf({ seq, time, text }: Single): Lock {
  const parts: unknown = JSON.parse(text);
  const [end, closed, state] = Array.isArray(parts) ? parts : [];
  return {
    seq,
    time,
    end: typeof end === "number" ? end : 0,
    closed: closed === true,
    reloading: state === RELOADING,
  };
}

/** Whether a job with an id waits, is delayed or reserved; of a topic's in the topic or in one of its groups. */
async function isLive(bench: Bench, place: Place, id: string, until: number): Promise<boolean> {
  const places = isTopic(place) ? [place, ...await placesOf(bench, place, until)] : [place];
  const token = idToken(id);
  const found = await Promise.all(
    places.flatMap((one) =>
      LIVE.map((line) => lastMessage(bench, one, `${one.base}${line}.${token}`, until))
    ),
  );
  return found.some((message) => message !== undefined);
}

/** Deletes locks whose time is over and whose job is gone. */
export async function letGo(bench: Bench, place: Place, until: number): Promise<void> {
  const over = bench.clock.now() - GRACE;
  await patrol(bench, place, "i", async ({ subject, seq, time, header }) => {
    const { end, closed } = lockOf({ seq, time, text: header });
    const id = idOfToken(subject.slice(`${place.base}i.`.length));
    // One whose pusher died in between is of no use any more when the server has forgotten the job's message id.
    if (end > over || (!closed && time > over - place.window)) return;
    if (!await isLive(bench, place, id, until)) await deleteMessage(bench, place, seq, until);
  }, until);
}
