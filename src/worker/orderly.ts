/**
 * Order after a block, or a step of the machine's clock: when the thread is back, a look for jobs may come before the
 * settlement of runs that have just ended, and before the heartbeat, and reclaim jobs that this very process holds. So
 * before each reserve that follows a block or a step, runs that have ended are settled, and held leases are extended.
 *
 * @module
 */

import type { User } from "../flow/users.ts";
import { beat } from "./lease.ts";
import { isLate, isSetForward, noteBeat, noteClock } from "./pulse.ts";
import type { State } from "./state.ts";

/** Milliseconds at most in which other transports of this process may do the same: their jobs are not known here. */
const ELSEWHERE = 50;

/** Whether all of these are in order: relays on one transport, or workers of one relay. */
export function allOrderly(users: Iterable<User>): Promise<void> | undefined {
  let waiting: Promise<void>[] | undefined;
  for (const user of users) {
    const order = user.orderly?.();
    if (order !== undefined) (waiting ??= []).push(order);
  }
  return waiting === undefined ? undefined : Promise.all(waiting).then(() => undefined);
}

/** Whether a worker is in order; as {@linkcode User.orderly}. `now`: the monotonic clock, where it was just read. */
export function orderly(state: State, now?: number): Promise<void> | undefined {
  if (state.ordering !== undefined || state.over) return state.ordering;
  if (isLate(state, now) || isSetForward(state, now)) state.ordering = putInOrder(state);
  return state.ordering;
}

async function putInOrder(state: State): Promise<void> {
  const { bench: { runtime, callTimeout }, heartbeat, settings } = state;
  noteBeat(state);
  noteClock(state);
  const { late } = heartbeat;
  const since = late?.noticed ?? runtime.monotonic();
  // By then runs that end with this turn have ended, and their settlements are on their way.
  await runtime.sleep(0);
  const held = state.held.items();
  for (const run of held) if (run.sent < since) beat(state, run, settings.lease);
  await until(state, callTimeout, () => held.every((run) => run.held < 0 || run.answered >= since));
  await until(state, Math.min(ELSEWHERE, settings.lease / 10), () => false);
  // The thread may have been held again meanwhile.
  if (heartbeat.late === late) heartbeat.late = undefined;
  state.ordering = undefined;
  state.pump();
  state.room.open();
}

/** Waits for answers to make something true, but no longer than so many milliseconds, nor than the worker lives. */
async function until(state: State, ms: number, isTrue: () => boolean): Promise<void> {
  let enough = false;
  const alarm = state.alarms.set(ms, () => {
    enough = true;
    state.answered.open();
  });
  while (!enough && !state.over && !isTrue()) await state.answered.wait();
  alarm.cancel();
}
