/**
 * Reserve calls and the queues that they wait for: how a notification wakes one of them, and how each ends.
 *
 * @module
 */

import type { Alarm, Alarms } from "../flow/alarms.ts";
import type { Delivery, ReserveOptions } from "../jobs/exchange.ts";
import type { Runtime } from "../runtime.ts";
import type { Instants } from "./instants.ts";
import type { WaitersStore } from "./poll.ts";
import {
  change,
  dropLists,
  firstAsleep,
  isAwaited,
  type QueueList,
  type Waiting,
  type WatchedQueue,
  type WatchedQueues,
} from "./watched_queues.ts";

/** A reserve call. */
export interface Waiter extends Waiting {
  readonly queues: readonly string[];
  readonly options: ReserveOptions;
  /** Absent for a call that does not wait. */
  readonly list: QueueList<Waiter> | undefined;
  /** The place in the list at which it begins. */
  readonly first: number;
  readonly until: number;
  over: boolean;
  /** It has slept. */
  slept: boolean;
  alarm: Alarm | undefined;
  /** The poll that was begun last; forgotten with the call, if it is under way. */
  look: { forget(): void } | undefined;
  readonly abort: () => void;
  readonly resolve: (deliveries: readonly Delivery[]) => void;
  readonly reject: (error: unknown) => void;
}

/** A queue that is waited for. */
export type Queue = WatchedQueue<Waiter>;

/** The waiters of one store. */
export interface State {
  readonly runtime: Runtime;
  readonly store: WaitersStore;
  readonly alarms: Alarms;
  readonly watched: WatchedQueues<Waiter>;
  readonly instants: Instants<Queue>;
  /** All calls under way. */
  readonly waiters: Set<Waiter>;
  /** Polls whose answers are to come, and give-backs under way. */
  readonly pending: Set<object>;
  /** Called when `pending` is empty. */
  settled: (() => void) | undefined;
  /** The store's clock less the monotonic one. */
  offset: number;
  number: number;
  asleep: number;
  timer: { readonly at: number; readonly alarm: Alarm } | undefined;
  checking: Alarm | "now" | undefined;
  checked: number;
  lingering: boolean;
  closed: { readonly error: unknown } | undefined;
  /** Polls the queues that may hold a job for a call, or lets it sleep. */
  readonly proceed: (waiter: Waiter) => void;
}

/** Milliseconds for which the state of queues is kept when no call waits for them any more. */
export const LINGER = 2_000;

function wake(state: State, waiter: Waiter): void {
  waiter.asleep = false;
  state.asleep--;
  state.proceed(waiter);
}

/** Sees to it that queues that may hold a job are polled; says whether a call was woken for it. */
export function heed(state: State, queue: Queue, jobs: number): boolean {
  if (state.closed !== undefined) return false;
  let woken = false;
  for (let left = jobs - queue.polls; left > 0 && queue.empty < 2; left--) {
    const waiter = firstAsleep(queue);
    if (waiter === undefined) break;
    woken = true;
    wake(state, waiter);
  }
  if (queue.called && queue.polls === 0 && !isAwaited(queue)) {
    queue.called = false;
    state.store.pass?.(queue.queue);
  }
  return woken;
}

/** Something came to queues; as `Waiters.notify`. */
export function notify(state: State, names: Iterable<string>, jobs?: ReadonlyMap<string, number>): boolean {
  if (state.watched.size === 0) return false;
  const changed: Queue[] = [];
  for (const name of names) {
    const queue = state.watched.get(name);
    if (queue === undefined) continue;
    change(queue);
    changed.push(queue);
  }
  let woken = false;
  for (const queue of changed) woken = heed(state, queue, jobs?.get(queue.queue) ?? 1) || woken;
  return woken;
}

/** Another process counts on a poll of queues. */
export function call(state: State, names: Iterable<string>): void {
  const called = [...names];
  for (const name of called) {
    const queue = state.watched.get(name);
    if (queue !== undefined) queue.called = true;
  }
  notify(state, called);
}

/** Ends a call, once. */
export function end(state: State, waiter: Waiter, then: () => void): void {
  if (waiter.over) return;
  waiter.over = true;
  if (waiter.asleep) state.asleep--;
  waiter.asleep = false;
  waiter.alarm?.cancel();
  waiter.options.signal?.removeEventListener("abort", waiter.abort);
  state.waiters.delete(waiter);
  waiter.look?.forget();
  then();
  const { list } = waiter;
  if (list !== undefined) {
    list.waiters.delete(waiter);
    list.left = state.runtime.monotonic();
    for (const queue of list.open) heed(state, queue, 1);
    if (list.waiters.size === 0) linger(state);
  }
  if (state.asleep === 0) rest(state);
}

/** Ends the calls that sleep for a queue. */
export function fail(state: State, queue: Queue | undefined, error: unknown): void {
  if (queue === undefined) return;
  // The next call must not be told that nothing came while that cannot be known.
  change(queue);
  for (const { waiters } of queue.lists) {
    for (const waiter of [...waiters]) if (waiter.asleep) end(state, waiter, () => waiter.reject(error));
  }
}

/** Forgets the queues for which no call has waited since then. */
export function dropOld({ watched, instants }: State, since: number): readonly string[] {
  return dropLists(watched, since).map((dropped) => {
    instants.set(dropped, Infinity);
    return dropped.queue;
  });
}

/** Leaves the queues for which no call has waited for a while. */
function linger(state: State): void {
  const { store, lingering, closed, alarms, watched, runtime } = state;
  if (store.leave === undefined || lingering || closed !== undefined) return;
  state.lingering = true;
  alarms.set(LINGER, () => {
    state.lingering = false;
    const left = dropOld(state, runtime.monotonic() - LINGER / 2);
    if (left.length > 0) void store.leave?.(left, false);
    for (const queue of watched.values()) if (!isAwaited(queue)) return linger(state);
  });
}

/** While no call sleeps nothing else does, but a timer for queues that are to be left in a moment. */
function rest(state: State): void {
  state.timer?.alarm.cancel();
  state.timer = undefined;
  if (state.checking === "now") return;
  state.checking?.cancel();
  state.checking = undefined;
}
