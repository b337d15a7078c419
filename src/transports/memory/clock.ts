/**
 * The process clock: whole milliseconds since the transport was made, by the runtime's monotonic clock. It judges all
 * due times, leases and windows, so that a wall clock that is set forward or back moves none of them. The wall clock
 * is for data: an instant that comes in is translated when it comes, a time that goes out is what the wall clock
 * showed, or was to show, when the time was set.
 *
 * @module
 */

import type { Runtime } from "../../runtime.ts";

/** One reading of the clock, which serves all of a batch. */
export interface Moment {
  /** The process time, rounded down: what is due by it is due. */
  readonly now: number;
  /** The process time, rounded up: where spans begin, so that none is short. */
  readonly start: number;
  /** By how many milliseconds the wall clock is ahead of the process clock's epoch plus time: 0 until it is set. */
  readonly skew: number;
}

/** Tells the time. */
export interface Clock {
  /** What the wall clock showed at process time 0, in milliseconds since the epoch. */
  readonly epoch: number;
  moment(): Moment;
  /** The process time with its fraction. */
  elapsed(): number;
}

/** Starts a clock at 0. */
export function createClock(runtime: Runtime): Clock {
  const start = runtime.monotonic();
  const epoch = Math.floor(runtime.now());
  let skew = 0;
  const elapsed = (): number => runtime.monotonic() - start;
  return {
    epoch,
    elapsed,
    moment() {
      const time = elapsed();
      // The wall clock may show whole milliseconds only, so its skew is from `least` to less than `least + 1`. One that
      // is kept gives equal instants equal times; one that is too high would let a job run early.
      const least = runtime.now() - epoch - time;
      if (skew >= least + 1 || skew < least - 1) skew = Math.floor(least);
      return { now: Math.floor(time), start: Math.ceil(time), skew };
    },
  };
}
