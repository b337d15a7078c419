/**
 * Series: the counts of one queue and one name of a job, and the families of metrics that show them.
 *
 * @module
 */

import type { ObservedRun, RunEnd } from "../events/events.ts";
import { createHistogram, type Histogram } from "./histogram.ts";
import type { Family, Sample } from "./text.ts";

/** Pairs of a queue and a job's name that are told apart; the rest are counted together. */
export const MAX_SERIES: number = 1_000;
/** The stand-in for those. */
export const OTHER = "other";

/** The outcomes that are shown: how a delivery ended. */
const OUTCOMES = [
  "completed",
  "retrying",
  "failed",
  "rescheduled",
  "released",
  "stale",
] as const satisfies RunEnd[];

/** The counts of one queue and name. */
export interface Series {
  readonly labels: { readonly queue: string; readonly job_type: string };
  readonly outcomes: Record<RunEnd, number>;
  readonly dispatched: { stored: number; duplicate: number };
  readonly duration: Histogram;
  readonly wait: Histogram;
}

/** The counts of one queue and name, and the waits of the runs that are under way now. */
export interface Shown extends Series {
  readonly waits: readonly number[];
}

/** The counts by queue and name. */
export interface SeriesTable {
  /** The counts of a queue and name, made when they are asked for first; beyond so many those of the rest. */
  of(queue: string, name: string): Series;
  /** All of them with the runs that are under way now. */
  list(underWay: readonly ObservedRun[]): readonly Shown[];
}

/** Makes a table without any series. */
export function createSeriesTable(): SeriesTable {
  /** By queue, then by name. */
  const all = new Map<string, Map<string, Series>>();
  let size = 0;
  const of = (queue: string, name: string): Series => {
    const known = all.get(queue)?.get(name);
    if (known !== undefined) return known;
    if (size >= MAX_SERIES && queue !== OTHER) return of(OTHER, OTHER);
    const series = emptySeries(queue, name);
    const names = all.get(queue) ?? new Map<string, Series>();
    all.set(queue, names.set(name, series));
    size++;
    return series;
  };
  return {
    of,
    list(underWay) {
      const runs = Map.groupBy(underWay, ({ delivery: { queue, name } }) => of(queue, name));
      return [...all.values()].flatMap((names) =>
        [...names.values()].map((series) => ({
          ...series,
          waits: (runs.get(series) ?? []).map(({ wait }) => wait),
        }))
      );
    },
  };
}

function emptySeries(queue: string, name: string): Series {
  return {
    labels: { queue, job_type: name },
    outcomes: { completed: 0, retrying: 0, failed: 0, rescheduled: 0, released: 0, stale: 0, untold: 0 },
    dispatched: { stored: 0, duplicate: 0 },
    duration: createHistogram(),
    wait: createHistogram(),
  };
}

/** The families of the page: those of the series, and the counts that have no queue. */
export function familiesOf(
  all: readonly Shown[],
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
      samples: all.flatMap(({ labels, wait, waits }) => wait.samples(labels, waits)),
    },
    {
      name: "relevo_jobs_in_flight",
      help: "Handlers that run now in this process.",
      type: "gauge",
      samples: all.map(({ labels, waits }) => ({ labels, value: waits.length })),
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
