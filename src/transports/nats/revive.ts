/**
 * Dead jobs on their way back to work. Like any move that is the successor first, and then the end of what it follows;
 * the lock of the job's id says what is under way, so that nobody else stores a job under that id meanwhile, and who
 * finds the lock later ends what a process left half done.
 *
 * @module
 */

import { TooLargeError } from "../../errors.ts";
import type { Bench } from "./bench.ts";
import { AnswerLost, ApiError } from "./errors.ts";
import { arrivedOf, memoryOf, type Whither } from "./followed.ts";
import {
  closeLock,
  isLive,
  isOpen,
  isReloading,
  type Lock,
  openLock,
  readLock,
  RELOAD,
  type Reload,
  type Taken,
} from "./idlock.ts";
import { successorOf } from "./moves.ts";
import type { Place } from "./place.ts";
import { lineSubject, published, refusalOf } from "./publish.ts";
import { purge, storedAt } from "./read.ts";
import type { Stored } from "./wire.ts";

/** What became of a dead job: it waits again, its id is another's, or it was brought back before. */
export type Revived = "reloaded" | "taken" | "gone";

/** Where one may be that was brought back. */
const BACK: Whither = { lines: ["w", "b", "d"], dead: false };

/** A dead job whose id was taken for it. */
interface Claimed {
  readonly dead: Stored;
  readonly taken: Taken;
  readonly reload: Reload;
}

/**
 * Brings dead jobs back to work in their order, none of which has the id of another; what became of each, or why it is
 * not known. All take their ids at once and are stored at once, as each takes seven round trips.
 */
export async function reloadAll(
  bench: Bench,
  place: Place,
  dead: readonly Stored[],
  reset: boolean,
  until: number,
): Promise<PromiseSettledResult<Revived>[]> {
  const claims = await Promise.allSettled(dead.map((one) => claim(bench, place, one, reset, until)));
  return await Promise.allSettled(claims.map(async (end) => {
    if (end.status === "rejected") throw end.reason;
    return typeof end.value === "string" ? end.value : await revive(bench, place, end.value, until);
  }));
}

/** Takes the id of a dead job for it, or says what became of it otherwise. */
async function claim(
  bench: Bench,
  place: Place,
  dead: Stored,
  reset: boolean,
  until: number,
): Promise<Claimed | Revived> {
  const { id, seq } = dead;
  let lock = await readLock(bench, place, id, until);
  if (lock?.reload !== undefined && !isReloading(lock, bench.clock.now())) {
    const end = await finishReload(bench, place, id, lock, lock.reload, until);
    if (end !== undefined && lock.reload.seq === seq) return end;
    lock = await readLock(bench, place, id, until);
  }
  const reload = { seq, reset, at: bench.clock.now() };
  const taken = await retakeId(bench, place, id, lock, reload, until);
  return taken === undefined ? "taken" : { dead, taken, reload };
}

/**
 * Ends a reload whose process died at it. The server knows whether the job was stored, until it forgets message ids;
 * after that the job is looked for, and where it is not found the dead one stays. Undefined where nothing was found to
 * be brought back.
 */
export async function finishReload(
  bench: Bench,
  place: Place,
  id: string,
  half: Lock,
  reload: Reload,
  until: number,
): Promise<Revived | undefined> {
  const dead = await storedAt(bench, place, { seq: reload.seq }, until);
  const isThere = dead !== undefined && dead.id === id &&
    ["f", "t"].some((line) => dead.subject.startsWith(`${place.base}${line}.`));
  if (!isThere) {
    await closeLock(bench, place, id, half, until);
    return undefined;
  }
  const seq = await openLock(bench, place, id, half, half.seq, until);
  if (seq === undefined) return "taken";
  const taken = { seq, end: half.end };
  if (bench.clock.now() < reload.at + memoryOf(place)) {
    return await revive(bench, place, { dead, taken, reload }, until);
  }
  const sent = { id, once: successorOf(reload.seq) };
  const isBack = (await arrivedOf(bench, place, [sent], BACK, until)).size > 0;
  if (isBack) await purge(bench, place, dead.subject, until);
  await closeLock(bench, place, id, taken, until);
  return isBack ? "gone" : undefined;
}

/**
 * Takes an id for a job that comes back from the dead, until that is stored and the lock is closed; undefined when
 * somebody else has just taken it. A window that is still open stays as it is, and is nobody's hindrance here.
 */
async function retakeId(
  bench: Bench,
  place: Place,
  id: string,
  last: Lock | undefined,
  reload: Reload,
  until: number,
): Promise<Taken | undefined> {
  if (await isLive(bench, place, id, until)) return undefined;
  const now = bench.clock.now();
  if (last !== undefined && (isOpen(last, place, now) || isReloading(last, now))) return undefined;
  const end = last?.end ?? 0;
  const seq = await openLock(bench, place, id, { end, reload }, last?.seq ?? 0, until);
  if (seq === undefined) return undefined;
  const taken = { seq, end };
  // From here on nobody else takes it. Whoever did before has stored a job by now.
  if (!await isLive(bench, place, id, until)) return taken;
  await closeLock(bench, place, id, taken, until);
  return undefined;
}

/** Stores the job, takes the dead one away, and closes the lock. What fails in between is ended by who finds the lock. */
async function revive(
  bench: Bench,
  place: Place,
  { dead: { id, name, meta, payload, seq, subject }, taken, reload: { reset } }: Claimed,
  until: number,
): Promise<Revived> {
  const record = { id, name, meta, marks: { until: taken.end, ...reset ? { reset } : {} } };
  const letter = { place, subject: lineSubject(place, "w", id), payload, record, once: successorOf(seq) };
  // The lock counts for so long that nobody else stores a job under the id meanwhile.
  const soon = Math.min(until, bench.link.settings.runtime.monotonic() + RELOAD / 2);
  let isKnown = false;
  try {
    isKnown = (await published(bench.link, letter, soon)).duplicate;
  } catch (error) {
    // Nothing was stored; without a closed lock the id is free again in a moment.
    if (isRefused(error)) await closeLock(bench, place, id, taken, until).catch(() => undefined);
    throw error;
  }
  await purge(bench, place, subject, until);
  await closeLock(bench, place, id, taken, until);
  return isKnown ? "gone" : "reloaded";
}

/** Whether it is sure that a message was not stored. */
function isRefused(error: unknown): boolean {
  if (error instanceof TooLargeError) return true;
  return error instanceof Error && !(error instanceof AnswerLost) && refusalOf(error) instanceof ApiError;
}
