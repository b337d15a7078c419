/**
 * Series: the counts of one queue and one name of a job, and the families of metrics that show them.
 *
 * @module
 */

import { createHistogram, type Histogram } from "./histogram.ts";
import type { Family, Sample } from "./text.ts";
import type { Throughput } from "./throughput.ts";

/** Pairs of a queue and a job's name that are told apart; the rest are counted together. */
export const MAX_SERIES: number = 1_000;
/** The stand-in for those. */
export const OTHER = "other";

const OUTCOMES = ["completed", "retrying", "failed", "rescheduled", "released", "stale"] as const;
/** How a delivery ends, as the metrics name it. */
export type Outcome = (typeof OUTCOMES)[number];

/** The counts of one queue and name. */
export interface Series {
  readonly labels: { readonly queue: string; readonly job_type: string };
  readonly outcomes: Record<Outcome, number>;
  readonly dispatched: { stored: number; duplicate: number };
  readonly duration: Histogram;
  readonly wait: Histogram;
  running: number;
}

/** What is counted for a queue and a job's name. */
export interface Counts {
  readonly queue: string;
  readonly name: string;
  /** One of their own, or that of the rest. */
  readonly series: Series;
  /** The rate of the queue's ends; undefined before the first. */
  rate: Throughput | undefined;
}

/** The counts by queue and name. */
export interface SeriesTable {
  /** The counts of a queue and name, made when they are asked for first. */
  of(queue: string, name: string): Counts;
  list(): readonly Series[];
}

/** Makes a table without any series. */
export function createSeriesTable(): SeriesTable {
  const all = new Map<string, Map<string, Counts>>();
  let size = 0;
  let last: Counts | undefined;
  const find = (queue: string, name: string): Counts => {
    const known = all.get(queue)?.get(name);
    if (known !== undefined) return known;
    if (size >= MAX_SERIES && queue !== OTHER) {
      return { queue, name, series: find(OTHER, OTHER).series, rate: undefined };
    }
    const counts: Counts = { queue, name, series: emptySeries(queue, name), rate: undefined };
    const names = all.get(queue) ?? new Map<string, Counts>();
    all.set(queue, names.set(name, counts));
    size++;
    return counts;
  };
  return {
    of(queue, name) {
      // Most runs are of the queue and name of the one before.
      if (last === undefined || last.queue !== queue || last.name !== name) last = find(queue, name);
      return last;
    },
    list: () => [...all.values()].flatMap((names) => [...names.values()].map(({ series }) => series)),
  };
}

function emptySeries(queue: string, name: string): Series {
  return {
    labels: { queue, job_type: name },
    outcomes: { completed: 0, retrying: 0, failed: 0, rescheduled: 0, released: 0, stale: 0 },
    dispatched: { stored: 0, duplicate: 0 },
    duration: createHistogram(),
    wait: createHistogram(),
    running: 0,
  };
}

/** The families of the page: those of the series, and the counts that have no queue. */
export function familiesOf(
  all: readonly Series[],
  { errors, lost }: { readonly errors: number; readonly lost: number },
): readonly Family[] {
  const outcomes = (series: Series): readonly Sample[] =>
    OUTCOMES.filter((outcome) => series.outcomes[outcome] > 0).map((outcome) => ({
      labels: { ...series.labels, outcome },
      value: series.outcomes[outcome],
    }));
  const dispatched = ({ labels, dispatched: counts }: Series): readonly Sample[] =>
    (["stored", "duplicate"] as const).filter((status) => counts[status] > 0)
      .map((status) => ({ labels: { ...labels, status }, value: counts[status] }));
  const one = (value: number): readonly Sample[] => [{ labels: {}, value }];
  return [
    {
      name: "relevo_jobs_dispatched_total",
      help: "Jobs that this process dispatched.",
      type: "counter",
      samples: all.flatMap(dispatched),
    },
    {
      name: "relevo_job_runs_total",
      help: "Runs and other ends of deliveries, by what became of the job.",
      type: "counter",
      samples: all.flatMap(outcomes),
    },
    {
      name: "relevo_job_run_seconds",
      help: "How long handlers ran.",
      type: "histogram",
      samples: all.flatMap(({ labels, duration }) => duration.samples(labels)),
    },
    {
      name: "relevo_job_wait_seconds",
      help: "How long jobs had been due when their handlers were called.",
      type: "histogram",
      samples: all.flatMap(({ labels, wait }) => wait.samples(labels)),
    },
    {
      name: "relevo_jobs_in_flight",
      help: "Handlers that run now in this process.",
      type: "gauge",
      samples: all.map(({ labels, running }) => ({ labels, value: running })),
    },
    {
      name: "relevo_leases_lost_total",
      help: "Jobs that came back to this process from lost leases.",
      type: "counter",
      samples: one(lost),
    },
    {
      name: "relevo_errors_total",
      help: "Errors that no caller waited for.",
      type: "counter",
      samples: one(errors),
    },
  ];
}
