/**
 * Whether the thread has its turns: a heartbeat that is overdue says that a handler held it, or that the process was
 * stopped, and that nothing of this worker could leave meanwhile.
 *
 * @module
 */

import { HEARTBEAT_PART } from "../defaults.ts";
import type { Heartbeat, State } from "./state.ts";

/** A beat is overdue after so many times the time between two. */
const OVERDUE = 1.5;

/** Writes down that a beat comes now, and whether it comes late. */
export function noteBeat(heartbeat: Heartbeat, now: number): void {
  if (isOverdue(heartbeat, now)) {
    heartbeat.late = { alive: heartbeat.late?.alive ?? heartbeat.last, noticed: now };
  }
  heartbeat.last = now;
}

/** Whether a beat is overdue, or was late and nothing was done about it yet. */
export function isLate({ heartbeat, bench: { runtime } }: State): boolean {
  return heartbeat.late !== undefined || isOverdue(heartbeat, runtime.monotonic());
}

/** Since when an answer that is read now may have been there: it may have waited for the thread to be back. */
export function arrivalOf(state: State): number {
  const { heartbeat, bench: { runtime } } = state;
  return isLate(state) ? heartbeat.late?.alive ?? heartbeat.last : runtime.monotonic();
}

function isOverdue({ last, lease }: Heartbeat, now: number): boolean {
  return now - last > lease * HEARTBEAT_PART * OVERDUE;
}
