/**
 * How many jobs a minute, from the counts in a window of the last seconds (seed 002).
 *
 * @module
 */

import { checkTime, wrongType } from "../options.ts";

/** A rate over a moving window. */
export interface Throughput {
  /** Counts so many more, now. */
  add(count: number): void;
  /** A minute's worth at the rate of the window; of a window that has only begun, at that of the time gone by. */
  perMinute(): number;
}

/** Parts of a window that go at once. */
const PARTS = 60;
const MINUTE = 60_000;

/**
 * Makes a sampler.
 *
 * @param monotonic A clock in milliseconds that never steps.
 * @param window Milliseconds that are looked at. Default a minute.
 * @throws {TypeError | RangeError} for a clock that is no function, and a window that is no time.
 */
export function createThroughput(monotonic: () => number, window: number = MINUTE): Throughput {
  const action = "sample a throughput";
  if (typeof monotonic !== "function") throw wrongType(action, "'monotonic'", "a function", monotonic);
  checkTime(action, "window", window, 1);
  const part = window / PARTS;
  const begun = monotonic();
  /** The ends of parts, and what each counted, from the oldest to the current one. */
  let parts: { readonly end: number; count: number }[] = [];
  let current: { readonly end: number; count: number } | undefined;
  const prune = (now: number): void => {
    if (parts[0] !== undefined && parts[0].end <= now - window) {
      parts = parts.filter(({ end }) => end > now - window);
    }
  };
  return {
    add(count) {
      const now = monotonic();
      if (current === undefined || now >= current.end) {
        prune(now);
        current = { end: (Math.floor(now / part) + 1) * part, count: 0 };
        parts.push(current);
      }
      current.count += count;
    },
    perMinute() {
      const now = monotonic();
      prune(now);
      const passed = Math.min(window, now - begun);
      if (passed <= 0) return 0;
      return parts.reduce((sum, { count }) => sum + count, 0) / passed * MINUTE;
    },
  };
}
