/**
 * Reserve calls that wait, over any store: which of them wait for which queues, and which queues may hold something for
 * them. A store brings a poll that never waits, and says by `notify` in which queue something came. A notification
 * names its queue, and that queue alone is polled, for the call that has waited longest.
 *
 * The state of a queue outlives the call, so a store must notify each change of its own, whether a call waits or not.
 * Changes that it does not hear of (those of other processes) it looks for in `check`, while a call waits.
 *
 * @module
 */

import { createAlarms } from "../flow/alarms.ts";
import { briefly } from "../flow/deadline.ts";
import type { Delivery, ReserveOptions } from "../jobs/exchange.ts";
import type { Runtime } from "../runtime.ts";
import { createInstants } from "./instants.ts";
import type { Found, Poll, WaitersStore } from "./poll.ts";
import { arm, armCheck, check, expect, isCheckDue, ripen, tell } from "./timers.ts";
import {
  call,
  dropOld,
  end,
  fail,
  heed,
  LINGER,
  notify,
  type Queue,
  type State,
  type Waiter,
} from "./waiter.ts";
import { findList, firstAsleep, keepList, openFor, type QueueList, setEmpty } from "./watched_queues.ts";

/** The reserve calls of a transport. */
export interface Waiters {
  reserve(queues: readonly string[], options: ReserveOptions): Promise<readonly Delivery[]>;
  /**
   * Something came to these queues; `jobs`: how many of them, so that as many calls are woken at once (default 1, and
   * one after the other). Says whether a call was woken.
   */
  notify(queues: Iterable<string>, jobs?: ReadonlyMap<string, number>): boolean;
  /** As `notify`, where another process counts on a poll from here. */
  called(queues: Iterable<string>): void;
  /** Whether a call sleeps that takes whatever comes to a queue. */
  isAwaited(queue: string): boolean;
  /** Something happens in a queue at this time of the store's clock, if not before. */
  expect(queue: string, time: number): void;
  /** As `notify` for all queues, where it is not known in which of them something came. */
  notifyAll(): void;
  /** Whether a queue is known to be empty. */
  isEmpty(queue: string): boolean;
  /** The time of the store's clock. */
  tell(now: number): void;
  /** Has the store's `check` run now, if a call sleeps; says whether one does. */
  check(): boolean;
  /** The calls that wait for a queue end with an error. */
  fail(queue: string, error: unknown): void;
  /** Ends all calls, and resolves when the deliveries of polls under way have been given back. */
  close(error: unknown): Promise<void>;
}

/** Milliseconds for which the end waits for polls, so that their deliveries can be given back. */
const FAREWELL = 1_000;

function nothing(): void {}

/** Makes the waiters of a store. */
export function createWaiters(runtime: Runtime, store: WaitersStore): Waiters {
  const state: State = {
    runtime,
    store,
    alarms: createAlarms(runtime),
    watched: new Map(),
    instants: createInstants(),
    waiters: new Set(),
    pending: new Set(),
    settled: undefined,
    offset: 0,
    number: 0,
    asleep: 0,
    timer: undefined,
    checking: undefined,
    checked: -Infinity,
    lingering: false,
    closed: undefined,
    proceed: (waiter) => proceed(state, waiter),
  };
  return {
    reserve: (queues, options) =>
      new Promise((resolve, reject) => begin(state, queues, options, resolve, reject)),
    notify: (queues, jobs) => notify(state, queues, jobs),
    called: (queues) => call(state, queues),
    isAwaited(queue) {
      const known = state.watched.get(queue);
      return known !== undefined && firstAsleep(known, 1) !== undefined;
    },
    expect: (queue, time) => expect(state, queue, time),
    notifyAll: () => void notify(state, [...state.watched.keys()]),
    isEmpty: (queue) => (state.watched.get(queue)?.empty ?? 0) > 0,
    tell: (now) => tell(state, now),
    check() {
      if (state.asleep === 0) return false;
      if (state.checking !== "now") check(state);
      return true;
    },
    fail: (queue, error) => fail(state, state.watched.get(queue), error),
    close: (error) => close(state, error),
  };
}

function begin(
  state: State,
  queues: readonly string[],
  options: ReserveOptions,
  resolve: Waiter["resolve"],
  reject: Waiter["reject"],
): void {
  const { signal, wait, slots } = options;
  if (state.closed !== undefined) return reject(state.closed.error);
  if (signal?.aborted) return reject(signal.reason);
  const { list, first } = wait > 0 ? listOf(state, queues) : { list: undefined, first: 0 };
  const now = state.runtime.monotonic();
  const waiter: Waiter = {
    queues,
    options,
    list,
    first,
    until: now + wait,
    level: slots > 0 ? 2 : 1,
    number: state.number++,
    asleep: false,
    slept: false,
    over: false,
    alarm: undefined,
    look: undefined,
    abort: () => end(state, waiter, () => reject(signal?.reason)),
    resolve,
    reject,
  };
  state.waiters.add(waiter);
  list?.waiters.add(waiter);
  ripen(state, now);
  proceed(state, waiter, now);
  if (!waiter.over) signal?.addEventListener("abort", waiter.abort, { once: true });
}

function listOf(
  state: State,
  queues: readonly string[],
): { readonly list: QueueList<Waiter>; readonly first: number } {
  const { watched, runtime, store } = state;
  const found = findList(watched, queues);
  if (found !== undefined) return found;
  const names = new Set(queues);
  if (names.size < queues.length) return listOf(state, [...names]);
  const now = runtime.monotonic();
  if (store.leave === undefined) dropOld(state, now - LINGER);
  const { list, fresh } = keepList(watched, queues, now);
  if (fresh.length > 0) store.watch?.(fresh);
  return { list, first: 0 };
}

/** Polls the queues that may hold a job for a call, or lets it sleep. */
function proceed(state: State, waiter: Waiter, now?: number): void {
  if (waiter.over) return;
  const { list, first, level, slept, options, queues } = waiter;
  const open = list === undefined ? [] : openFor(list, first, level);
  if (list !== undefined && open.length === 0) return sleep(state, waiter, now);
  // Jobs that its own process holds must not be taken back by a poll that comes first after a block.
  const order = slept ? options.ready?.() : undefined;
  if (order !== undefined) return void order.then(() => proceed(state, waiter));
  // All of them are those of the call, in its order.
  const asked = list === undefined || open.length === queues.length ? queues : open.map(({ queue }) => queue);
  poll(state, waiter, open, asked);
}

function poll(state: State, waiter: Waiter, open: readonly Queue[], queues: readonly string[]): void {
  const look = new Look(state, waiter, open, queues);
  waiter.look = look;
  if (state.store.giveBack !== undefined) state.pending.add(look);
  state.store.poll(look);
}

/** A poll for one call. A class, as getters of an object's own would cost more than the rest of it. */
class Look implements Poll {
  readonly queues: readonly string[];
  readonly options: ReserveOptions;
  readonly waits: boolean;
  readonly until: number;
  readonly done: Poll["done"];
  readonly failed: Poll["failed"];
  readonly #waiter: Waiter;
  readonly #open: readonly Queue[];
  /** The changes of each queue when it began. */
  readonly #before: number[] = [];
  #ended = false;

  constructor(state: State, waiter: Waiter, open: readonly Queue[], queues: readonly string[]) {
    const { level, options, list, until } = waiter;
    this.queues = queues;
    this.options = options;
    this.waits = list !== undefined;
    this.until = until;
    this.#waiter = waiter;
    this.#open = open;
    for (const queue of open) {
      queue.polls++;
      if (level === 2) queue.called = false;
      this.#before.push(queue.changes);
    }
    this.done = (found) => {
      this.#answered(state);
      learn(state, open, this.#before, level, found);
      conclude(state, waiter, found.deliveries);
      heedAll(state, open);
    };
    this.failed = (error) => {
      this.#answered(state);
      end(state, waiter, () => waiter.reject(error));
      heedAll(state, open);
    };
  }

  get over(): boolean {
    return this.#waiter.over;
  }

  get missed(): boolean {
    return this.#open.some(({ changes }, index) => changes !== this.#before[index]);
  }

  /** Its call has ended, or it has: it is no poll of its queues any more. */
  forget(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const queue of this.#open) queue.polls--;
  }

  #answered(state: State): void {
    this.forget();
    leavePending(state, this);
  }
}

function heedAll(state: State, open: readonly Queue[]): void {
  for (const queue of open) heed(state, queue, 1);
}

/** Notes the state of its queues by a poll. */
function learn(
  state: State,
  open: readonly Queue[],
  before: readonly number[],
  level: 1 | 2,
  { deliveries, now, read, next }: Found,
): void {
  tell(state, now, read);
  for (let index = 0; index < open.length; index++) {
    const queue = open[index];
    const time = next?.[index] ?? (deliveries.length === 0 ? Infinity : undefined);
    if (queue === undefined || time === undefined) continue;
    state.instants.set(queue, time);
    if (queue.changes === before[index]) setEmpty(queue, level);
  }
  let last = "";
  for (const { queue, lease } of deliveries) {
    if (queue !== last) expect(state, queue, now + lease);
    last = queue;
  }
  arm(state);
}

function conclude(state: State, waiter: Waiter, deliveries: readonly Delivery[]): void {
  if (waiter.over) {
    const giving = deliveries.length === 0 ? undefined : state.store.giveBack?.(deliveries);
    if (giving === undefined) return;
    state.pending.add(giving);
    giving.then(nothing, nothing).then(() => leavePending(state, giving));
  } else if (deliveries.length > 0 || waiter.list === undefined) {
    end(state, waiter, () => waiter.resolve(deliveries));
  } else proceed(state, waiter);
}

function leavePending(state: State, one: object): void {
  if (state.pending.delete(one) && state.pending.size === 0) state.settled?.();
}

function sleep(state: State, waiter: Waiter, now: number = state.runtime.monotonic()): void {
  const rest = waiter.until - now;
  if (!(rest > 0)) return end(state, waiter, () => waiter.resolve([]));
  const begins = !waiter.slept;
  waiter.asleep = true;
  waiter.slept = true;
  state.asleep++;
  if (begins && state.store.check?.first && isCheckDue(state)) check(state);
  else armCheck(state);
  if (!waiter.asleep) return;
  // One that rings during a poll leaves the answer to that. It is set first: mostly it is the next, so that the other
  // one needs no timer.
  waiter.alarm ??= state.alarms.set(rest, () => {
    if (waiter.asleep) end(state, waiter, () => waiter.resolve([]));
  });
  arm(state, now);
}

async function close(state: State, error: unknown): Promise<void> {
  const { alarms, pending, store, runtime, watched } = state;
  state.closed = { error };
  for (const waiter of [...state.waiters]) end(state, waiter, () => waiter.reject(error));
  if (pending.size > 0) {
    const settled = new Promise<void>((resolve) => state.settled = resolve);
    await briefly(runtime, FAREWELL, settled);
  }
  alarms.clear();
  if (watched.size > 0) await store.leave?.([...watched.keys()], true);
  watched.clear();
}
