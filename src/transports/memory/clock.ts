/**
 * The process clock: whole milliseconds since the transport was made, by the runtime's monotonic clock. It judges all
 * due times, leases and windows, so that a wall clock that is set forward or back moves none of them.
 *
 * @module
 */

import type { Runtime } from "../../runtime.ts";

/** Tells the time. */
export interface Clock {
  /** What the wall clock showed when the transport was made: process time plus this is in milliseconds since the epoch. */
  readonly epoch: number;
  /** Milliseconds since then, with their fraction. Rounded down it is now; rounded up, what spans count from. */
  read(): number;
  /**
   * By how many milliseconds the wall clock is ahead of `epoch` plus process time, 0 until it is set. An instant of
   * the wall clock is translated once, when it is given, and keeps its distance from then on.
   */
  skew(elapsed: number): number;
}

/** Starts a clock at 0. */
export function createClock(runtime: Runtime): Clock {
  const epoch = Math.floor(runtime.now());
  const start = runtime.monotonic();
  let skew = 0;
  return {
    epoch,
    read: () => runtime.monotonic() - start,
    skew(elapsed) {
      // The wall clock may show whole milliseconds only, so the skew is from `least` to less than `least + 1`. One that
      // is kept gives equal instants equal times; one that is too high would let a job run early.
      const least = runtime.now() - epoch - elapsed;
      if (skew >= least + 1 || skew < least - 1) skew = Math.floor(least);
      return skew;
    },
  };
}
