/**
 * A limit on jobs under way: jobs beyond it wait for room in the order in which they came.
 *
 * @module
 */

import type { Alarms } from "./alarms.ts";
import { unlessLate } from "./deadline.ts";
import { TransportBusy } from "../errors.ts";

/** Counts jobs on their way to the store. */
export interface Berths {
  /**
   * Calls `go` as soon as there is room for so many jobs; more than there ever is room for go when nothing else does.
   *
   * @throws {TransportBusy} when there was no room in time, and the signal's reason; `go` was not called then.
   */
  take<T>(jobs: number, signal: AbortSignal | undefined, go: () => Promise<T>): Promise<T>;
}

/** Its bounds. */
export interface BerthsOptions {
  /** Jobs under way at once. */
  readonly most: number;
  readonly alarms: Alarms;
  /** Milliseconds that a job may wait for room. */
  readonly ms: number;
}

interface Waiting {
  readonly jobs: number;
  readonly enter: () => void;
}

/** Makes one with nothing under way. */
export function createBerths({ most, alarms, ms }: BerthsOptions): Berths {
  const waiting = new Set<Waiting>();
  let taken = 0;
  const late = (): Error =>
    new TransportBusy(`Cannot dispatch as 'maxPending' left no room for ${ms} ms: current value is ${most}`);
  const fits = (jobs: number): boolean => taken === 0 || taken + jobs <= most;

  function leave(jobs: number): void {
    taken -= jobs;
    for (const next of waiting) {
      if (!fits(next.jobs)) return;
      waiting.delete(next);
      taken += next.jobs;
      next.enter();
    }
  }

  async function enter(jobs: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (waiting.size === 0 && fits(jobs)) {
      taken += jobs;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const own = { jobs, enter: resolve };
    waiting.add(own);
    try {
      await unlessLate(alarms, promise, { ms, late, signal });
    } catch (error) {
      // Those behind it may fit where it did not.
      leave(waiting.delete(own) ? 0 : jobs);
      throw error;
    }
  }

  return {
    async take(jobs, signal, go) {
      await enter(jobs, signal);
      try {
        return await go();
      } finally {
        leave(jobs);
      }
    },
  };
}
