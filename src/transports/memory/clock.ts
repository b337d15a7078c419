/**
 * The process clock: whole milliseconds since the transport was first used, by the runtime's monotonic clock. It judges
 * all due times, leases and windows, so that a wall clock that is set forward or back moves none of them. The wall
 * clock is for data: an instant that comes in is translated when it comes, a time that goes out is the one that the
 * wall clock showed, or was to show, when the time was set.
 *
 * @module
 */

import type { Runtime } from "../../runtime.ts";

/** One reading of the clock, which serves all of a batch. */
export interface Moment {
  /** The process time with its fraction, and the runtime's monotonic clock, both as they were read. */
  readonly time: number;
  readonly read: number;
  /** The process time, rounded down: a job that is due by it is due. */
  readonly now: number;
  /** The process time, rounded up: where spans begin, so that none is short. */
  readonly start: number;
  /** By how many milliseconds the wall clock is ahead of the process clock's epoch plus time: 0 until it is set. */
  readonly skew: number;
}

/** Tells the time. */
export interface Clock {
  /** The wall clock's time at process time 0, in milliseconds since the epoch. */
  readonly epoch: number;
  moment(): Moment;
  /** The process time with its fraction. */
  elapsed(): number;
}

/** Makes a clock that starts at 0 with its first reading: where a module is loaded there may be no time to read yet. */
export function createClock(runtime: Runtime): Clock {
  let begun: { readonly start: number; readonly epoch: number } | undefined;
  const begin = (): { readonly start: number; readonly epoch: number } => {
    begun ??= { start: runtime.monotonic(), epoch: Math.floor(runtime.now()) };
    return begun;
  };
  let skew = 0;
  const readjust = (start: number, epoch: number): void => {
    const before = runtime.monotonic() - start;
    const wall = runtime.now() - epoch;
    const time = runtime.monotonic() - start;
    if (skew >= wall - before + 1 || skew < wall - time - 1) skew = Math.floor(wall - time);
  };
  const elapsed = (): number => runtime.monotonic() - begin().start;
  return {
    get epoch(): number {
      return begin().epoch;
    },
    elapsed,
    moment() {
      const { start, epoch } = begin();
      const wall = runtime.now() - epoch;
      const read = runtime.monotonic();
      const time = read - start;
      // The wall clock may show whole milliseconds only, and this thread may have had no turn between two readings: the
      // skew is from `wall - time` to less than `wall - before + 1`, where `before` is the process time before the wall
      // clock's, and no later than `time`. One that is kept gives equal instants equal times; one that is too high would
      // let a job run early.
      if (skew >= wall - time + 1 || skew < wall - time - 1) readjust(start, epoch);
      return { time, read, now: Math.floor(time), start: Math.ceil(time), skew };
    },
  };
}
