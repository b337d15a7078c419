/**
 * Those who wait for a job, and the one sleep that looks out for all of them: for other processes' commits, for the
 * next due time, for the next lease end. Nothing sleeps while nobody waits.
 *
 * @module
 */

import { type Alarms, createAlarms } from "../../alarms.ts";
import type { Runtime } from "../../runtime.ts";
import { createAgenda } from "./agenda.ts";
import type { Connection } from "./connection.ts";
import type { Crowd, Operation } from "./transact.ts";

/** Somebody who waits for a job. */
export interface Waiter {
  readonly queues: readonly string[];
  /** Asks again. */
  readonly operation: Operation;
}

/** The crowd, and what it needs. */
export interface Waiting extends Crowd {
  readonly alarms: Alarms;
  park(waiter: Waiter): void;
  /** Takes somebody out; false when they did not wait. */
  leave(waiter: Waiter): boolean;
}

/** How it looks out. */
export interface WaitingOptions {
  readonly connection: Connection;
  readonly runtime: Runtime;
  /** Milliseconds at most between two looks. */
  readonly probe: number;
  readonly submit: (operation: Operation) => void;
}

/** Milliseconds at least between two looks, and the part of the time since others were seen at work that they are. */
const FIRST_PROBE = 2;
const QUIET_PART = 1 / 250;
/** Milliseconds between two looks where nobody else can be at work, as a wall clock may jump. */
const ALONE = 1_000;

/** Milliseconds without a change in the store after which its log is emptied. */
const IDLE = 5_000;

/** Why a sleep ends early. Nobody sees it; without a reason each abort would make an error with a stack. */
const ROUSED = "roused";

/** Makes an empty crowd. */
export function createWaiting({ connection, runtime, probe, submit }: WaitingOptions): Waiting {
  const alarms = createAlarms(runtime);
  const parked = new Set<Waiter>();
  const agenda = createAgenda();
  let seen = connection.version();
  let busyAt = runtime.monotonic();
  let storedAt = busyAt;
  let tidied = true;
  let lookAt = Infinity;
  /** Ends the sleep; lasts for many of them, as it costs more than a look does. */
  let rousing: AbortController | undefined;

  function rouse(): void {
    rousing?.abort(ROUSED);
    rousing = undefined;
    lookAt = Infinity;
  }

  function leave(waiter: Waiter): boolean {
    if (!parked.delete(waiter)) return false;
    if (parked.size > 0) return true;
    rouse();
    agenda.clear();
    return true;
  }

  function wake(queues?: ReadonlySet<string>): void {
    for (const waiter of [...parked]) {
      if (queues !== undefined && !waiter.queues.some((queue) => queues.has(queue))) continue;
      leave(waiter);
      submit(waiter.operation);
    }
  }

  function arm(): void {
    if (parked.size === 0) return;
    const now = runtime.monotonic();
    const longest = connection.probes
      ? Math.min(probe, Math.max(FIRST_PROBE, (now - busyAt) * QUIET_PART))
      : ALONE;
    const ms = Math.max(1, Math.min(longest, agenda.next - runtime.now()));
    if (lookAt <= now + ms) return;
    if (lookAt < Infinity) rouse();
    lookAt = now + ms;
    rousing ??= new AbortController();
    runtime.sleep(ms, rousing.signal).then(lookOut, () => {});
  }

  function lookOut(): void {
    lookAt = Infinity;
    if (othersCommitted()) {
      busyAt = runtime.monotonic();
      tidied = false;
      agenda.clear();
      wake();
      return;
    }
    const now = runtime.now();
    if (agenda.next <= now) wake(agenda.take(now));
    tidyWhenIdle();
    arm();
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

  function othersCommitted(): boolean {
    const before = seen;
    try {
      seen = connection.version();
    } catch {
      // What keeps the database from being read is told to the call that comes next.
    }
    return seen !== before;
  }

  return {
    alarms,
    park(waiter) {
      parked.add(waiter);
    },
    leave,
    claim(touched) {
      const claimed: Operation[] = [];
      for (const [queue, waiters] of touched) {
        let rest = waiters;
        for (const waiter of [...parked]) {
          if (rest <= 0) break;
          if (!waiter.queues.includes(queue)) continue;
          leave(waiter);
          claimed.push(waiter.operation);
          rest--;
        }
      }
      return claimed;
    },
    rest(session) {
      if (session.touched.size > 0) {
        storedAt = runtime.monotonic();
        tidied = false;
      }
      if (parked.size === 0) return;
      try {
        agenda.refresh(session, parked);
      } catch {
        // The next look will ask again.
      }
      arm();
    },
  };
}
