/**
 * Reserve calls that wait: each poll is an operation, in the transaction of the push that woke its call where there is
 * one. While a call sleeps it is looked for other processes' commits.
 *
 * @module
 */

import type { Runtime } from "../../runtime.ts";
import type { Poll } from "../../store/poll.ts";
import { createWaiters, type Waiters } from "../../store/waiters.ts";
import type { Connection } from "./engine/connection.ts";
import { hasWork, nextTimes, queuesInUse, reserveJobs } from "./reserve.ts";
import type { Operation, Wakes } from "./engine/transact.ts";

/** The calls that wait, and how a transaction wakes them. */
export interface Waiting extends Wakes {
  readonly waiters: Waiters;
}

/** What waiting needs. */
export interface WaitingOptions {
  readonly connection: Connection;
  readonly runtime: Runtime;
  /** Milliseconds at most between two looks for commits. */
  readonly probe: number;
  readonly submit: (operation: Operation) => void;
}

/** Milliseconds at least between two looks, and the part of the time since others were seen at work that they are. */
const FIRST_PROBE = 2;
const QUIET_PART = 1 / 250;
/** Milliseconds between two looks where no other process can be at work, as a wall clock may jump. */
const ALONE = 1_000;
/** Milliseconds without a change in the store after which its log is emptied. */
const IDLE = 5_000;

/** Makes the waiting of a transport. */
export function createWaiting({ connection, runtime, probe, submit }: WaitingOptions): Waiting {
  let seen = connection.version();
  let busyAt = runtime.monotonic();
  let storedAt = busyAt;
  let tidied = true;
  /** Operations of calls that a transaction wakes, while it does. */
  let woken: Operation[] | undefined;

  const waiters = createWaiters(runtime, {
    poll(poll) {
      const operation = operationOf(poll, runtime, submit);
      if (woken === undefined) submit(operation);
      else woken.push(operation);
    },
    check: {
      first: true,
      every: () =>
        connection.probes
          ? Math.min(probe, Math.max(FIRST_PROBE, (runtime.monotonic() - busyAt) * QUIET_PART))
          : ALONE,
      run() {
        waiters.tell(runtime.now());
        if (!othersCommitted()) return tidyWhenIdle();
        busyAt = runtime.monotonic();
        tidied = false;
        notifyInUse();
      },
    },
  });

  function othersCommitted(): boolean {
    const before = seen;
    try {
      seen = connection.version();
    } catch {
      // What keeps the database from being read is told to the call that comes next.
    }
    return seen !== before;
  }

  /** A commit does not say where: it may be in any queue that holds something now. */
  function notifyInUse(): void {
    // Of another file at this place the calls that wait shall hear by themselves.
    if (seen < 0) return waiters.notifyAll();
    try {
      waiters.notify(queuesInUse(connection.session()));
    } catch {
      waiters.notifyAll();
    }
  }

  /** Once for each time that something was stored, when nothing was for a while. */
  function tidyWhenIdle(): void {
    if (tidied || runtime.monotonic() - Math.max(busyAt, storedAt) < IDLE) return;
    tidied = true;
    try {
      connection.tidy();
    } catch {
      // The log can be neither seen nor emptied now: SQLite goes on with it as it is.
    }
  }

  return {
    waiters,
    wake({ came }) {
      if (came.size === 0) return [];
      woken = [];
      waiters.notify(came.keys(), came);
      const operations = woken;
      woken = undefined;
      return operations;
    },
    rest({ came, expected }) {
      for (const [queue, time] of expected) waiters.expect(queue, time);
      if (came.size + expected.size === 0) return;
      storedAt = runtime.monotonic();
      tidied = false;
    },
  };
}

function operationOf(poll: Poll, runtime: Runtime, submit: (operation: Operation) => void): Operation {
  const { queues, options: { slots, deadline, limit, ready }, until } = poll;
  let inVain = false;
  const operation: Operation = {
    size: limit,
    writes: true,
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
