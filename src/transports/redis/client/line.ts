/**
 * A line to one server: a connection that is made when it is wanted, and made anew, ever less eagerly, for as long as
 * a call wants it. Where none wants it nothing is tried, and no timer runs.
 *
 * @module
 */

import type { Runtime } from "../../../runtime.ts";
import type { Ticket } from "../../../store/calls.ts";
import type { Connection } from "./connection.ts";
import { isLasting, unavailable } from "../errors.ts";

/** A line. */
export interface Line {
  /** The connection, once there is one. Rejects early when to wait is of no use: a wrong password, a wrong version. */
  connected(ticket: Ticket): Promise<Connection>;
  /** The connection that there is. */
  readonly connection: Connection | undefined;
  /** Rejects the calls that wait for a connection, and leaves one that is there alone. */
  dismiss(reason: unknown): void;
  /** Ends the connection, and rejects the calls that wait for one with `reason`. */
  close(reason: unknown): void;
}

/** The parts of a line. */
export interface LineOptions {
  readonly name: string;
  readonly runtime: Runtime;
  /** Opens one connection; once at a time. An aborted attempt leaves nothing behind. */
  readonly open: (signal: AbortSignal) => Promise<Connection>;
  /** Told of each connection. */
  readonly opened?: ((connection: Connection) => void) | undefined;
}

interface Waiter {
  resolve(connection: Connection): void;
  reject(error: unknown): void;
}

/** Milliseconds between two attempts, at least and at most; they double, and chance takes up to half. */
const PAUSE_MIN = 50;
const PAUSE_MAX = 2_000;
/** Milliseconds that a connection must have lasted so that its end is not one more failure in a row. */
const STEADY = 1_000;

/** Why a pause ends early. No caller sees it. */
const DROPPED = "dropped";

/** A line, and how far its next connection is. */
interface State {
  readonly options: LineOptions;
  readonly waiters: Set<Waiter>;
  connection: Connection | undefined;
  busy: boolean;
  failures: number;
  /** No attempt before this instant, by the monotonic clock. */
  earliest: number;
  pausing: AbortController | undefined;
  readonly ending: AbortController;
  closed: { readonly reason: unknown } | undefined;
  last: unknown;
}

/** Makes a line; nothing is opened yet. */
export function createLine(options: LineOptions): Line {
  const state: State = {
    options,
    waiters: new Set(),
    connection: undefined,
    busy: false,
    failures: 0,
    earliest: 0,
    pausing: undefined,
    ending: new AbortController(),
    closed: undefined,
    last: undefined,
  };
  return {
    get connection() {
      return state.connection;
    },
    connected(ticket) {
      if (state.closed !== undefined) return Promise.reject(state.closed.reason);
      if (ticket.over) return Promise.reject(DROPPED);
      const { connection } = state;
      return connection?.alive ? Promise.resolve(connection) : waited(state, ticket);
    },
    dismiss: (reason) => rejectAll(state, reason),
    close(reason) {
      state.closed = { reason };
      rejectAll(state, reason);
      state.pausing?.abort(DROPPED);
      state.ending.abort(DROPPED);
      state.connection?.close();
    },
  };
}

function waited(state: State, ticket: Ticket): Promise<Connection> {
  const { waiters, options } = state;
  ticket.late = () => unavailable(options.name, ticket.deadline, state.last);
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      waiters.delete(waiter);
      stay();
      if (waiters.size === 0) state.pausing?.abort(DROPPED);
    };
    const waiter: Waiter = {
      resolve: (made) => {
        leave();
        resolve(made);
      },
      reject: (error) => {
        leave();
        reject(error);
      },
    };
    // A call that is over is not answered by this promise any more, but must not be waited for in vain either.
    const stay = ticket.whenOver(() => waiter.reject(DROPPED));
    waiters.add(waiter);
    work(state);
  });
}

function work(state: State): void {
  if (state.busy || state.waiters.size === 0) return;
  state.busy = true;
  void loop(state).finally(() => {
    state.busy = false;
    if (state.closed === undefined && state.connection === undefined) work(state);
  });
}

async function loop(state: State): Promise<void> {
  const { runtime } = state.options;
  while (state.waiters.size > 0 && state.connection === undefined && state.closed === undefined) {
    const pause = state.earliest - runtime.monotonic();
    if (pause > 0) {
      state.pausing = new AbortController();
      // The last waiting call left, or the line is closed: the loop's head sees it.
      await runtime.sleep(pause, state.pausing.signal).catch(() => undefined);
      state.pausing = undefined;
      continue;
    }
    await attempt(state);
  }
}

async function attempt(state: State): Promise<void> {
  try {
    const made = await state.options.open(state.ending.signal);
    if (state.closed === undefined) adopt(state, made);
    else made.close();
  } catch (error) {
    state.last = error;
    fail(state);
    if (isLasting(error)) rejectAll(state, error);
  }
}

function adopt(state: State, made: Connection): void {
  const { runtime, opened } = state.options;
  const since = runtime.monotonic();
  state.connection = made;
  state.last = undefined;
  made.whenLost(() => {
    if (state.connection === made) state.connection = undefined;
    if (runtime.monotonic() - since >= STEADY) state.failures = 0;
    fail(state);
    work(state);
  });
  opened?.(made);
  for (const waiter of [...state.waiters]) waiter.resolve(made);
}

function fail(state: State): void {
  const { runtime } = state.options;
  const pause = Math.min(PAUSE_MAX, PAUSE_MIN * 2 ** Math.min(state.failures++, 16));
  state.earliest = runtime.monotonic() + pause * (0.5 + runtime.random() / 2);
}

function rejectAll({ waiters }: State, error: unknown): void {
  for (const waiter of [...waiters]) waiter.reject(error);
}
