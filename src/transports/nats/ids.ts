/**
 * Ids that callers chose. A pusher takes the lock of its job's id first, and closes it when the job is stored; one that
 * died in between leaves a lock that the next one completes.
 *
 * @module
 */

import type { PushJob } from "../../exchange.ts";
import type { Bench } from "./bench.ts";
import { arrivedOf, type Whither } from "./followed.ts";
import {
  closeLock,
  isLive,
  isOpen,
  isReloading,
  type Lock,
  lockOf,
  openLock,
  readLock,
  type Taken,
} from "./idlock.ts";
import { idOfToken } from "./names.ts";
import { patrol } from "./patrol.ts";
import type { Place } from "./place.ts";
import { deleteMessage } from "./read.ts";
import { finishReload } from "./revive.ts";

/** Milliseconds for which locks outlast their time. */
const GRACE = 5_000;
/** Where the job of a lock is that nobody had yet. */
const ALIVE: Whither = { lines: ["w", "d"], dead: false };
/** Tries to write a lock before it is taken as contended. */
const TRIES = 20;

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
    const seq = await openLock(bench, place, id, { end, reload: undefined }, expected, until);
    if (seq !== undefined) return { seq, end };
    const last = await readLock(bench, place, id, until);
    expected = last?.seq ?? 0;
    if (last === undefined) continue;
    const now = bench.clock.now();
    const isWindow = (last.closed || last.reload !== undefined) && now < last.end;
    if (isWindow || isReloading(last, now)) return undefined;
    if (last.reload !== undefined) await finishReload(bench, place, id, last, last.reload, until);
    if (await isLive(bench, place, id, until)) return undefined;
    // Whoever wrote the lock may be about to store its job, or dead: both would store the one job of this lock.
    if (isOpen(last, place, now)) return { seq: last.seq, end: last.end, inherited: true };
  }
  return undefined;
}

/** Closes a lock whose job is there: its pusher died before it could, or is about to. */
async function closeStored(bench: Bench, place: Place, id: string, lock: Lock, until: number): Promise<void> {
  const sent = { id, once: jobOf(lock) };
  if ((await arrivedOf(bench, place, [sent], ALIVE, until)).size > 0) {
    await closeLock(bench, place, id, lock, until);
  }
}

/**
 * Deletes locks whose time is over and whose job is gone, closes those whose job is there, and ends the reloads of
 * processes that died.
 */
export async function letGo(bench: Bench, place: Place, until: number): Promise<void> {
  const now = bench.clock.now();
  const over = now - GRACE;
  await patrol(bench, place, "i", async ({ subject, seq, time, header }) => {
    const lock = lockOf({ seq, time, text: header });
    const id = idOfToken(subject.slice(`${place.base}i.`.length));
    if (lock.reload !== undefined) {
      if (!isReloading(lock, now)) await finishReload(bench, place, id, lock, lock.reload, until);
      return;
    }
    if (isOpen(lock, place, now)) return await closeStored(bench, place, id, lock, until);
    // One whose pusher died in between is of no use any more when the server has forgotten the job's message id.
    if (lock.end > over || (!lock.closed && time > over - place.window)) return;
    if (!await isLive(bench, place, id, until)) await deleteMessage(bench, place, seq, until);
  }, until);
}
