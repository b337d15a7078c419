/**
 * Timers while calls sleep: instants of queues come, and the store checks for changes that no notification tells of.
 *
 * @module
 */

import type { Slept } from "./poll.ts";
import { fail, heed, type Queue, type State } from "./waiter.ts";
import { change } from "./watched_queues.ts";

/** Something happens in a queue at a time of the store's clock. */
export function expect(state: State, name: string, time: number): void {
  const queue = state.watched.get(name);
  if (queue === undefined || time >= queue.next) return;
  state.instants.set(queue, time);
  arm(state);
}

/** The time of the store's clock. */
export function tell(state: State, now: number, read: number = state.runtime.monotonic()): void {
  state.offset = now - read;
  arm(state);
}

/** Has the timer ring at the first instant, while a call sleeps. `read`: the monotonic clock, where it was just read. */
export function arm(state: State, read?: number): void {
  if (state.asleep === 0 || state.closed !== undefined) return;
  const at = state.instants.first() - state.offset;
  if (at === Infinity || (state.timer !== undefined && state.timer.at <= at)) return;
  state.timer?.alarm.cancel();
  const ms = Math.max(1, Math.ceil(at - (read ?? state.runtime.monotonic())));
  const alarm = state.alarms.set(ms, () => {
    state.timer = undefined;
    for (const queue of ripen(state, state.runtime.monotonic())) heed(state, queue, 1);
    arm(state);
  });
  state.timer = { at, alarm };
}

/** Notes where an instant has come by this time of the monotonic clock. */
export function ripen({ instants, offset }: State, now: number): readonly Queue[] {
  const ripe = instants.take(now + offset);
  for (const queue of ripe) change(queue);
  return ripe;
}

/** Has the store checked in time, while a call sleeps. */
export function armCheck(state: State): void {
  const { store, checking, asleep, closed, checked, runtime } = state;
  if (store.check === undefined || checking !== undefined || asleep === 0 || closed !== undefined) return;
  const ms = checked + store.check.every() - runtime.monotonic();
  state.checking = state.alarms.set(Math.max(1, ms), () => check(state));
}

/** Whether the store would have been checked by now, had a call slept. */
export function isCheckDue({ store, checking, checked, runtime }: State): boolean {
  return store.check !== undefined && checking !== "now" &&
    checked + store.check.every() <= runtime.monotonic();
}

/** Has the store check. */
export function check(state: State): void {
  const { store, checking, watched, runtime } = state;
  if (checking !== "now") checking?.cancel();
  state.checking = "now";
  const slept = (): Slept => ({
    queues: sleptFor(state).map(({ queue }) => queue),
    deadline: [...state.waiters].reduce(
      (least, { asleep, options: { deadline } }) => asleep ? Math.min(least, deadline) : least,
      Infinity,
    ),
  });
  const over = (): void => {
    state.checking = undefined;
    state.checked = runtime.monotonic();
    armCheck(state);
  };
  const failed = (error: unknown): void => {
    for (const queue of sleptFor(state)) fail(state, watched.get(queue.queue), error);
    over();
  };
  try {
    const checked = store.check?.run(slept);
    if (checked === undefined) over();
    else checked.then(over, failed);
  } catch (error) {
    failed(error);
  }
}

/** The queues for which calls sleep. */
function sleptFor({ watched }: State): readonly Queue[] {
  return [...watched.values()].filter(({ lists }) => {
    for (const { waiters } of lists) for (const { asleep } of waiters) if (asleep) return true;
    return false;
  });
}
