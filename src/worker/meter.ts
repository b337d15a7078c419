/**
 * How fast a worker's handlers are, measured over the last runs, so that it fetches ahead the jobs that start soon and
 * no more.
 *
 * @module
 */

/** How many runs are looked back upon. */
const WINDOW = 64;
/** Below so many runs nothing is known. */
const ENOUGH = 8;
/** The median is found anew after so many runs. */
const STEP = 32;
/** Handlers that take longer at the median gain nothing from jobs fetched ahead, in milliseconds. */
const SLOW = 100;
/** Jobs are fetched ahead for so many milliseconds of work: many round trips' worth, and little for others to miss. */
const AHEAD = 100;

/** Measures runs. */
export interface Meter {
  /** A run ended now, after so many milliseconds. */
  record(now: number, duration: number): void;
  /** How many jobs may be held beyond the running ones. */
  allowance(now: number, lease: number, limit: number): number;
}

/** Makes a meter that knows nothing yet. */
export function createMeter(): Meter {
  const durations = new Float64Array(WINDOW);
  const stamps = new Float64Array(WINDOW);
  let count = 0;
  let median = 0;
  return {
    record(now, duration) {
      durations[count % WINDOW] = duration;
      stamps[count % WINDOW] = now;
      count++;
      if (count !== ENOUGH && count % STEP !== 0) return;
      const known = Math.min(count, WINDOW);
      median = durations.slice(0, known).sort()[known >> 1] ?? 0;
    },
    allowance(now, lease, limit) {
      const known = Math.min(count, WINDOW);
      if (known < ENOUGH) return 0;
      if (median > SLOW) return 0;
      const oldest = stamps[count < WINDOW ? 0 : count % WINDOW] ?? 0;
      const rate = known / Math.max(now - oldest, 0.001);
      return Math.min(limit, Math.floor(rate * Math.min(AHEAD, lease / 3)));
    },
  };
}
