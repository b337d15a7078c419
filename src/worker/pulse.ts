/**
 * Whether the thread has its turns: a heartbeat that is overdue says that a handler held it, or that the process was
 * stopped, and that nothing of this worker could leave meanwhile. And whether the machine's clock was set forward, by
 * itself or as the machine slept, so that leases in a store have ended before their time.
 *
 * @module
 */

import { HEARTBEAT_PART } from "../defaults.ts";
import { HeartbeatLate } from "../errors.ts";
import type { Heartbeat, State } from "./state.ts";

/** A beat is overdue after so many times the time between two. */
const OVERDUE = 1.5;

/** Writes down that a beat comes now, and whether it comes late; tells of one that came after leases may have ended. */
export function noteBeat({ heartbeat, held, bench: { runtime, events } }: State): void {
  const now = runtime.monotonic();
  if (isOverdue(heartbeat, now)) {
    heartbeat.late = { alive: heartbeat.late?.alive ?? heartbeat.last, noticed: now };
  }
  const gap = now - heartbeat.last;
  heartbeat.last = now;
  if (gap <= heartbeat.lease || held.size === 0) return;
  const error = new HeartbeatLate(Math.round(gap), heartbeat.lease);
  events.emit("error", { error, during: "extending leases" });
}

/** Whether a beat is overdue, or was late and nothing was done about it yet. */
export function isLate({ heartbeat, bench: { runtime } }: State, now: number = runtime.monotonic()): boolean {
  return heartbeat.late !== undefined || isOverdue(heartbeat, now);
}

/** Writes down where the wall clock stands. */
export function noteClock({ heartbeat, bench: { runtime } }: State): void {
  heartbeat.ahead = runtime.now() - runtime.monotonic();
}

/**
 * Whether a store may take leases for ended before their time: the machine's clock was set forward, by which the store
 * goes, too, or the machine slept, while a server's clock went on. Writes down a step back: leases that are granted
 * behind it end by the clock as it is then.
 */
export function isSetForward(
  { heartbeat, bench: { runtime, transport } }: State,
  now: number = runtime.monotonic(),
): boolean {
  if (transport.features.clock === "process") return false;
  const ahead = runtime.now() - now;
  heartbeat.ahead = Math.min(heartbeat.ahead, ahead);
  return ahead - heartbeat.ahead > heartbeat.lease * HEARTBEAT_PART;
}

/** Since when an answer that is read now may have been there: it may have waited for the thread to be back. */
export function arrivalOf(state: State, now: number = state.bench.runtime.monotonic()): number {
  const { heartbeat } = state;
  return isLate(state, now) ? heartbeat.late?.alive ?? heartbeat.last : now;
}

function isOverdue({ last, lease, next }: Heartbeat, now: number): boolean {
  // It rests while nothing is held.
  return next !== undefined && now - last > lease * HEARTBEAT_PART * OVERDUE;
}
