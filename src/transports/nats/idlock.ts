/**
 * The lock of an id that a caller chose: a message of its own on the subject `<...>.i.<id>`, which is replaced only by
 * who knows the last one. It says until when the id is taken whatever becomes of its job, and whether the job was stored,
 * or which dead one comes back under it.
 *
 * @module
 */

import type { Bench } from "./bench.ts";
import { lastMessage, replace, type Single } from "./locks.ts";
import { idToken } from "./names.ts";
import type { Place } from "./place.ts";
import { isTopic, placesOf } from "./registry.ts";

/** A lock as it stands. */
export interface Lock {
  readonly seq: number;
  /** When it was written. */
  readonly time: number;
  /** Until when the id is taken anyway. */
  readonly end: number;
  /** Its job was stored. */
  readonly closed: boolean;
  /** The dead job that is being reloaded under it. */
  readonly reload: Reload | undefined;
}

/** The reload of one dead job. */
export interface Reload {
  /** The dead job's number. */
  readonly seq: number;
  /** It gets a full life. */
  readonly reset: boolean;
  /** When the reload began, by the server's clock. */
  readonly at: number;
}

/** An id that was taken for a job which is to be stored now. */
export interface Taken {
  /** The lock's number. */
  readonly seq: number;
  /** Until when the id is taken whatever becomes of the job. */
  readonly end: number;
  /** Another took it, and may have stored its job. */
  readonly inherited?: boolean;
}

/** Milliseconds for which a lock counts under which a dead job is being reloaded. */
export const RELOAD = 15_000;
/** Where a job is that is not dead: in a line, or on its way to the groups of its topic. */
const LIVE = ["w", "d", "b", "p"] as const;

function subjectOf(place: Place, id: string): string {
  return `${place.base}i.${idToken(id)}`;
}

/** The lock of an id, if it has one. */
export async function readLock(
  bench: Bench,
  place: Place,
  id: string,
  until: number,
): Promise<Lock | undefined> {
  const last = await lastMessage(bench, place, subjectOf(place, id), until);
  return last === undefined ? undefined : lockOf(last);
}

/** Reads a lock. */
export function lockOf({ seq, time, text }: Single): Lock {
  const parts: unknown = JSON.parse(text);
  const [end, closed, reload] = Array.isArray(parts) ? parts : [];
  return {
    seq,
    time,
    end: typeof end === "number" ? end : 0,
    closed: closed === true,
    reload: isReload(reload) ? reload : undefined,
  };
}

function isReload(value: unknown): value is Reload {
  return typeof value === "object" && value !== null && "seq" in value && "at" in value;
}

/**
 * Writes a lock whose job is to be stored, in the place of the one with that number, 0 for none; its number, or undefined
 * when another stands there.
 */
export function openLock(
  bench: Bench,
  place: Place,
  id: string,
  { end, reload }: Pick<Lock, "end" | "reload">,
  expected: number,
  until: number,
): Promise<number | undefined> {
  return write(bench, place, id, reload === undefined ? [end, false] : [end, false, reload], expected, until);
}

/** Writes into a lock that its job was stored, unless another has taken the id since. */
export async function closeLock(
  bench: Bench,
  place: Place,
  id: string,
  { seq, end }: Taken,
  until: number,
): Promise<void> {
  await write(bench, place, id, [end, true], seq, until);
}

function write(
  bench: Bench,
  place: Place,
  id: string,
  lock: readonly [end: number, closed: boolean, reload?: Reload],
  expected: number,
  until: number,
): Promise<number | undefined> {
  return replace(bench, place, subjectOf(place, id), JSON.stringify(lock), expected, until);
}

/** Whether a job is about to be stored under a lock, or its pusher has died a moment ago. */
export function isOpen({ closed, reload, time }: Lock, { window }: Place, now: number): boolean {
  return !closed && reload === undefined && now < time + window / 2;
}

/** Whether a dead job is about to be reloaded under a lock, or who did that has died a moment ago. */
export function isReloading({ reload, time }: Lock, now: number): boolean {
  return reload !== undefined && now < time + RELOAD;
}

/** Whether a job with an id waits, is delayed or reserved; of a topic's in the topic or in one of its groups. */
export async function isLive(bench: Bench, place: Place, id: string, until: number): Promise<boolean> {
  const places = isTopic(place) ? [place, ...await placesOf(bench, place, until)] : [place];
  const token = idToken(id);
  const found = await Promise.all(
    places.flatMap((one) =>
      LIVE.map((line) => lastMessage(bench, one, `${one.base}${line}.${token}`, until))
    ),
  );
  return found.some((message) => message !== undefined);
}
