/**
 * Schedules that are put into a store, and those that are due in it.
 *
 * @module
 */

import type { Pushed } from "../jobs/exchange.ts";
import type { Advanced, DueSchedules, NewSchedule, Schedule } from "../contract/recurring.ts";
import { sameBytes } from "../kinds.ts";

/** The fate of a schedule, beside the one that is there under its key. */
export function fateOfPut(
  found: Pick<Schedule, "tick" | "text" | "payload"> | undefined,
  { text, payload, from }: NewSchedule,
): "created" | "replaced" | "same" | "stale" {
  if (found !== undefined && found.text === text && sameBytes(found.payload, payload)) return "same";
  if (from !== undefined && from !== (found?.tick ?? "none")) return "stale";
  return found === undefined ? "created" : "replaced";
}

/** Schedules as they are due, and milliseconds to the next tick. */
export type Due<Kept> = Omit<DueSchedules, "schedules"> & { readonly schedules: readonly Kept[] };

/** Those of some schedules that are due, in the order of their ticks; `later` is the first tick of all others. */
export function dueAmong<Kept extends Pick<Schedule, "tick" | "paused">>(
  found: readonly Kept[],
  now: number,
  limit: number,
  later: number = Infinity,
): Due<Kept> {
  const come: Kept[] = [];
  let next = later;
  for (const one of found) {
    if (one.paused) continue;
    if (one.tick <= now) come.push(one);
    else next = Math.min(next, one.tick);
  }
  // Only those are sorted: workers ask once a second, and most schedules are not due.
  come.sort((a, b) => a.tick - b.tick);
  const schedules = come.slice(0, limit);
  const first = come[limit]?.tick ?? next;
  return first === Infinity ? { now, schedules } : { now, schedules, next: Math.max(0, first - now) };
}

/** The answer to a tick whose job, if there was one, was pushed. Where its id is taken it is there already. */
export function advancedBy(pushed: Pushed | undefined): Advanced {
  if (pushed instanceof Error) throw pushed;
  if (pushed === undefined) return "none";
  return pushed === "duplicate" ? "duplicate" : "pushed";
}
