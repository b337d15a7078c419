/**
 * Ids that callers chose. Each has a message of its own, its lock, on the subject `<...>.i.<id>`, which is replaced only
 * by who knows the last one. It says until when the id is taken whatever becomes of its job, and whether the job was
 * stored: a pusher that died in between leaves a lock that the next one completes.
 *
 * @module
 */

import type { PushJob } from "../../exchange.ts";
import type { Bench } from "./bench.ts";
import { ApiError } from "./errors.ts";
import { idToken, type Line } from "./names.ts";
import type { Place } from "./places.ts";
import { lineSubject, type Receipt, receipted } from "./publish.ts";
import { EXPECTED_SEQUENCE, HEADER, type Stored, storedOf } from "./wire.ts";

/** A lock as it stands. */
export interface Lock {
  readonly seq: number;
  /** When it was written. */
  readonly time: number;
  /** Until when the id is taken anyway. */
  readonly until: number;
  /** Its job was stored. */
  readonly closed: boolean;
}

/** Tries to write a lock before it is taken as contended. */
const TRIES = 20;
const LINES: readonly Line[] = ["w", "d", "b"];

function subjectOf(place: Place, id: string): string {
  return `${place.base}i.${idToken(id)}`;
}

/** An id that was taken for a job which is to be stored now. */
export interface Taken {
  /** The lock's number. */
  readonly seq: number;
  /** Until when the id is taken whatever becomes of the job. */
  readonly end: number;
}

/** The message id under which the one job of a lock is stored. */
export function jobOf({ seq }: Taken): string {
  return `i${seq}`;
}

/** Takes the id that a job's caller chose, if it is free. */
export async function takeId(bench: Bench, place: Place, job: PushJob, until: number): Promise<Taken | undefined> {
  const { id, idWindow = 0 } = job;
  const end = bench.clock.now() + Math.ceil(idWindow);
  let expected = 0;
  for (let tries = 0; tries < TRIES; tries++) {
    const seq = await write(bench, place, id, { until: end, closed: false }, expected, until);
    if (seq !== undefined) return { seq, end };
    const last = await readLock(bench, place, id, until);
    expected = last?.seq ?? 0;
    if (last === undefined) continue;
    const now = bench.clock.now();
    if ((last.closed && now < last.until) || await isLive(bench, place, id, until)) return undefined;
    // Whoever wrote the lock may be about to store its job, or dead: both would store the one job of this lock.
    if (!last.closed && now < last.time + place.window / 2) return { seq: last.seq, end: last.until };
  }
  return undefined;
}

/** Notes that the job of a lock was stored. Nobody waits for it: without the note the next pusher finds out by itself. */
export async function closeLock(
  bench: Bench,
  place: Place,
  id: string,
  { seq, end }: Taken,
  until: number,
): Promise<void> {
  await write(bench, place, id, { until: end, closed: true }, seq, until).catch(() => undefined);
}

/** Writes a lock in the place of the one with that number, 0 for none; undefined when another stands there. */
export async function write(
  { link }: Bench,
  place: Place,
  id: string,
  lock: Pick<Lock, "until" | "closed">,
  expected: number,
  until: number,
): Promise<number | undefined> {
  const lines: [string, string][] = [
    [EXPECTED_SEQUENCE, `${expected}`],
    ["Nats-Rollup", "sub"],
    [HEADER, JSON.stringify([lock.until, lock.closed])],
  ];
  const what = `lock an id in stream '${place.stream}'`;
  try {
    const receipt = await new Promise<Receipt>((resolve, reject) =>
      link.ask(
        { subject: subjectOf(place, id), data: "", lines },
        until,
        receipted(what, (answer, error) => answer === undefined ? reject(error) : resolve(answer)),
      )
    );
    return receipt.seq;
  } catch (error) {
    if (error instanceof Error && error.cause instanceof ApiError && error.cause.fault === 10071) return undefined;
    throw error;
  }
}

/** The lock of an id. */
export async function readLock(
  bench: Bench,
  place: Place,
  id: string,
  until: number,
): Promise<Lock | undefined> {
  const message = await lastOf(bench, place, subjectOf(place, id), until);
  if (message === undefined) return undefined;
  const { headers, seq, time } = message;
  const parts: unknown = JSON.parse(headers);
  const [end, closed] = Array.isArray(parts) ? parts : [];
  return { seq, time, until: typeof end === "number" ? end : 0, closed: closed === true };
}

/** The last message of a subject, with its header's text as it is. */
async function lastOf(
  { link }: Bench,
  place: Place,
  subject: string,
  until: number,
): Promise<(Stored & { readonly headers: string }) | undefined> {
  const data = JSON.stringify({ last_by_subj: subject });
  const answer = await link.request({ subject: `$JS.API.DIRECT.GET.${place.stream}`, data }, until);
  const stored = storedOf(answer, place.queue);
  return stored === undefined ? undefined : { ...stored, headers: answer.headers?.get(HEADER) ?? "" };
}

/** Whether a job with an id waits, is delayed or reserved. */
export async function isLive(bench: Bench, place: Place, id: string, until: number): Promise<boolean> {
  const found = await Promise.all(
    LINES.map((line) => lastOf(bench, place, lineSubject(place, line, id), until)),
  );
  return found.some((message) => message !== undefined);
}

/**
 * Takes an id for a job that comes back from the dead; answers until when it is taken anyway, or undefined when somebody
 * else has just taken it. A window that is still open stays as it is, and is nobody's hindrance here.
 */
export async function hold(
  bench: Bench,
  place: Place,
  id: string,
  end: number,
  until: number,
): Promise<number | undefined> {
  const last = await readLock(bench, place, id, until);
  const later = Math.max(end, last?.until ?? 0);
  const seq = await write(bench, place, id, { until: later, closed: true }, last?.seq ?? 0, until);
  return seq === undefined ? undefined : later;
}
