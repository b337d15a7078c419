/**
 * One transaction, and so one fsync, for all calls that are there. They are carried out in the order in which they
 * were made; when one fails, nothing was done, and each is done alone.
 *
 * @module
 */

import { explain, isBusy, isFull, isLost } from "../errors.ts";
import type { Session } from "../context.ts";
import { type Operation, type Place, transact } from "./transact.ts";

/** Carries out operations. */
export interface Committer {
  submit(operation: Operation): void;
  /** Ends everything; waiting calls, and those to come, fail with the error that `reason` makes. */
  close(reason: () => unknown): void;
}

interface Item {
  readonly operation: Operation;
  /** It failed in company, and now goes alone. */
  alone: boolean;
  /** It found the disk full once. */
  relieved: boolean;
}

/** Items of one transaction, unless a single call has more: some milliseconds, in which no timer fires. */
const MAX_ITEMS = 2_000;
/** The first and the longest pause before a locked database is tried again, in milliseconds. */
const FIRST_PAUSE = 0.5;
const LAST_PAUSE = 8;
const PAUSE_GROWTH = 1.6;

interface State extends Place {
  items: Item[];
  /** Takes back the turn to come; present also during one. */
  cancel: (() => void) | undefined;
  /** How long the database is left alone when it is found locked the next time, before jitter. */
  pause: number;
  /** Makes the error of calls that come after the end. */
  closed: (() => unknown) | undefined;
}

/** Makes a committer. */
export function createCommitter(place: Place): Committer {
  const state: State = { ...place, items: [], cancel: undefined, pause: FIRST_PAUSE, closed: undefined };
  return {
    submit(operation) {
      if (state.closed !== undefined) return operation.fail(state.closed());
      state.items.push(itemOf(operation));
      // Lets everything that belongs to this tick come along.
      if (state.cancel === undefined) schedule(state, 0);
    },
    close(reason) {
      state.closed = reason;
      state.cancel?.();
      for (const { operation } of state.items.splice(0)) if (!operation.over) operation.fail(reason());
    },
  };
}

/** By a timer: a sleep that a signal ends had each lone push pay for a listener. */
function schedule(state: State, ms: number): void {
  state.cancel = state.runtime.timer(ms, () => turn(state));
}

function turn(state: State): void {
  let pause = 0;
  try {
    if (attempt(state)) state.pause = FIRST_PAUSE;
    else pause = pauseOf(state);
  } finally {
    state.cancel = undefined;
    // Timers fire between two transactions.
    if (state.items.length > 0) schedule(state, pause);
    else state.pause = FIRST_PAUSE;
  }
}

/** Milliseconds until a locked database is tried again, no later than the first call gives up. */
function pauseOf(state: State): number {
  const { items, runtime, pause } = state;
  const first = items.reduce((least, { operation }) => Math.min(least, operation.deadline), Infinity);
  state.pause = Math.min(LAST_PAUSE, pause * PAUSE_GROWTH);
  return Math.max(0, Math.min(pause * (0.5 + runtime.random()), first - runtime.monotonic()));
}

/** Carries out the next group; false when the database is locked. */
function attempt(state: State): boolean {
  const { connection, waiting } = state;
  const group = take(state, connection.space.rows(MAX_ITEMS));
  if (group.length === 0) return true;
  let session: Session | undefined;
  try {
    session = connection.session();
    const operations = group.map(({ operation }) => operation);
    try {
      transact(state, session, operations);
      connection.space.widen();
      connection.space.forget();
      if (connection.space.isTight()) connection.relieve();
    } finally {
      for (const operation of operations.slice(group.length)) group.push(itemOf(operation));
    }
  } catch (error) {
    if (isBusy(error)) return postpone(state, group, error);
    excuse(state, group, error, session);
  }
  if (session !== undefined) waiting.rest(session);
  return true;
}

function take(state: State, most: number): Item[] {
  const items = state.items = state.items.filter(({ operation }) => !operation.over);
  let count = 0;
  for (let size = 0; count < items.length; count++) {
    const item = items[count];
    if (item === undefined || (count > 0 && item.alone)) break;
    size += item.operation.size;
    if (count > 0 && size > most) break;
    if (item.alone) return items.splice(0, 1);
  }
  return items.splice(0, count);
}

function postpone(state: State, group: Item[], error: unknown): false {
  const now = state.runtime.monotonic();
  state.items = [...group, ...state.items].filter(({ operation }) => {
    if (operation.over) return false;
    if (operation.deadline > now) return true;
    operation.fail(explain(error, state.connection.label));
    return false;
  });
  return false;
}

/**
 * A group that failed goes one by one; a call that fails alone is told so, but for a full disk that may yield some
 * space, or have enough for fewer rows.
 */
function excuse(
  { items, connection }: State,
  group: readonly Item[],
  error: unknown,
  session: Session | undefined,
): void {
  const [first] = group;
  if (first === undefined) return;
  if (session !== undefined && group.length > 1) {
    for (const item of group) item.alone = true;
    items.unshift(...group);
    return;
  }
  if (isFull(error) && !first.relieved) {
    connection.relieve();
    for (const item of group) item.relieved = item.alone = true;
    items.unshift(...group);
    return;
  }
  if (isFull(error) && first.operation.narrows === true && connection.space.narrow()) {
    connection.relieve();
    items.unshift(...group);
    return;
  }
  if (isLost(error)) connection.drop();
  for (const { operation } of group) operation.fail(explain(error, connection.label));
}

function itemOf(operation: Operation): Item {
  return { operation, alone: false, relieved: false };
}
