/**
 * How long something took, counted in buckets.
 *
 * @module
 */

import type { Sample } from "./text.ts";

/** The upper bounds of the buckets, in seconds: from a handler that does nothing to one that runs for an hour. */
export const BUCKETS: readonly number[] = [
  0.001,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
  30,
  60,
  300,
  1_800,
  3_600,
];

/** A histogram of times. */
export interface Histogram {
  /** Counts a time. */
  observe(ms: number): void;
  /** Buckets, sum and count, in seconds; with times that are to be counted later, and are to be seen now. */
  samples(labels: Readonly<Record<string, string>>, more?: readonly number[]): readonly Sample[];
}

/** Makes an empty one. */
export function createHistogram(): Histogram {
  // Typed, as a number with a fraction that a closure keeps is a new object each time.
  return histogramOf(new Float64Array(BUCKETS.length + 1), new Float64Array(1));
}

/** A histogram of counts by bucket, and of the sum of all times. */
function histogramOf(counts: Float64Array, sum: Float64Array): Histogram {
  let index = 0;
  let lower = -Infinity;
  let upper = BUCKETS[0] ?? Infinity;

  function find(seconds: number): void {
    index = 0;
    while (seconds > (BUCKETS[index] ?? Infinity)) index++;
    lower = BUCKETS[index - 1] ?? -Infinity;
    upper = BUCKETS[index] ?? Infinity;
  }

  return {
    observe(ms) {
      const seconds = Math.max(0, ms) / 1_000;
      // Most times are in the bucket of the one before.
      if (seconds > upper || seconds <= lower) find(seconds);
      counts[index] = (counts[index] ?? 0) + 1;
      sum[0] = (sum[0] ?? 0) + seconds;
    },
    samples(labels, more = []) {
      if (more.length > 0) {
        const all = histogramOf(counts.slice(), sum.slice());
        for (const ms of more) all.observe(ms);
        return all.samples(labels);
      }
      return samplesOf(labels, counts, sum[0] ?? 0);
    },
  };
}

function samplesOf(
  labels: Readonly<Record<string, string>>,
  counts: Float64Array,
  sum: number,
): readonly Sample[] {
  let below = 0;
  const buckets = BUCKETS.map((bound, index) => {
    below += counts[index] ?? 0;
    return { suffix: "_bucket", labels: { ...labels, le: String(bound) }, value: below };
  });
  const count = counts.reduce((total, each) => total + each, 0);
  return [
    ...buckets,
    { suffix: "_bucket", labels: { ...labels, le: "+Inf" }, value: count },
    { suffix: "_sum", labels, value: sum },
    { suffix: "_count", labels, value: count },
  ];
}
