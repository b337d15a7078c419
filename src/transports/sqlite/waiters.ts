/**
 * Reserve calls that wait: each poll is an operation, in the transaction of the push that woke its call where there is
 * one. While a call sleeps, commits of other processes are looked for.
 *
 * @module
 */

import type { Runtime } from "../../runtime.ts";
import type { Poll } from "../../store/poll.ts";
import { createWaiters, type Waiters } from "../../store/waiters.ts";
import type { Connection } from "./engine/connection.ts";
import { createForeignCommits, type ForeignCommits } from "./waiters_commits.ts";
import { watchFile } from "./engine/log_watch.ts";
import { hasWork, nextTimes, queuesInUse, reserveJobs } from "./reserve.ts";
import type { Session } from "./context.ts";
import type { Operation, Wakes } from "./engine/transact.ts";

/** The calls that wait, and how a transaction wakes them. */
export interface Waiting extends Wakes {
  readonly waiters: Waiters;
  /** Ends all calls; as {@linkcode Waiters.close}. */
  close(error: unknown): Promise<void>;
}

/** What waiting needs. */
export interface WaitingOptions {
  readonly connection: Connection;
  readonly runtime: Runtime;
  /** Milliseconds at most between two checks for commits, where the system does not notify of them. */
  readonly probe: number;
  readonly submit: (operation: Operation) => void;
}

/** Milliseconds without a change in the store after which its log is emptied. */
const IDLE = 5_000;

interface State extends WaitingOptions {
  readonly waiters: Waiters;
  readonly foreign: ForeignCommits;
  /** Operations of calls that a transaction wakes, while it does. */
  woken: Operation[] | undefined;
  storedAt: number;
  tidied: boolean;
}

/** Makes the waiting of a transport. */
export function createWaiting(options: WaitingOptions): Waiting {
  const { connection, runtime, probe, submit } = options;
  const waiters = createWaiters(runtime, {
    poll(poll) {
      const operation = operationOf(poll, runtime, submit);
      if (state.woken === undefined) submit(operation);
      else state.woken.push(operation);
    },
    check: { first: true, every: () => foreign.every(), run: () => check(state) },
  });
  const foreign = createForeignCommits({
    connection,
    runtime,
    probe,
    watch: watchFile,
    checkNow: waiters.check,
  });
  const state: State = {
    ...options,
    waiters,
    foreign,
    woken: undefined,
    storedAt: runtime.monotonic(),
    tidied: true,
  };
  return {
    waiters,
    wake: ({ came }) => wake(state, came),
    rest: (session) => rest(state, session),
    close(error) {
      foreign.close();
      return waiters.close(error);
    },
  };
}

function check(state: State): void {
  const { waiters, foreign, runtime } = state;
  waiters.tell(runtime.now());
  if (!foreign.check()) return tidyWhenIdle(state);
  state.tidied = false;
  notifyInUse(state);
}

/** A commit does not say where: it may be in any queue that holds something now. */
function notifyInUse({ waiters, foreign, connection }: State): void {
  // Of another file at this place the calls that wait shall hear by themselves.
  if (foreign.replaced) return waiters.notifyAll();
  try {
    waiters.notify(queuesInUse(connection.session()));
  } catch {
    waiters.notifyAll();
  }
}

/** Once for each time that something was stored, when nothing was for a while. */
function tidyWhenIdle(state: State): void {
  const { foreign, connection, runtime, storedAt } = state;
  if (state.tidied || runtime.monotonic() - Math.max(foreign.busyAt, storedAt) < IDLE) return;
  state.tidied = true;
  try {
    connection.tidy();
  } catch {
    // The log can be neither seen nor emptied now: SQLite goes on with it as it is.
  }
}

function wake(state: State, came: Session["came"]): readonly Operation[] {
  state.foreign.wrote();
  if (came.size === 0) return [];
  const operations: Operation[] = [];
  state.woken = operations;
  state.waiters.notify(came.keys(), came);
  state.woken = undefined;
  return operations;
}

function rest(state: State, { came, expected }: Session): void {
  for (const [queue, time] of expected) state.waiters.expect(queue, time);
  if (came.size + expected.size === 0) return;
  state.storedAt = state.runtime.monotonic();
  state.tidied = false;
  state.foreign.stored();
}

function operationOf(poll: Poll, runtime: Runtime, submit: (operation: Operation) => void): Operation {
  const { queues, options: { slots, deadline, limit, ready }, until } = poll;
  let inVain = false;
  const operation: Operation = {
    size: limit,
    writes: true,
    narrows: true,
    deadline: until + deadline,
    get over(): boolean {
      return poll.over;
    },
    needed: (session) => hasWork(session, queues, slots),
    idle(session) {
      const next = nextTimes(session, queues);
      return () => poll.done({ deliveries: [], next, now: runtime.now() });
    },
    hungry: () => inVain && poll.waits && poll.missed,
    run(session) {
      const held = ready?.();
      if (held !== undefined) return () => void held.then(() => poll.over || submit(operation));
      const found = reserveJobs(session, queues, poll.options);
      inVain = found.deliveries.length === 0;
      return () => poll.done({ ...found, now: runtime.now() });
    },
    fail: (error) => poll.failed(error),
  };
  return operation;
}
