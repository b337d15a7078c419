/**
 * The runs of a relay by its events, counted by queue and name of the job.
 *
 * @module
 */

import type { EventMap, EventName, JobEvents } from "../events.ts";
import { observe } from "../events.ts";
import { createHistogram, type Histogram } from "./histogram.ts";
import type { Family, Sample } from "./text.ts";
import { createThroughput, type Throughput } from "./throughput.ts";

/** Pairs of a queue and a job's name that are told apart; the rest are counted together. */
export const MAX_SERIES: number = 1_000;
/** The stand-in for those. */
const OTHER = "other";

const OUTCOMES = ["completed", "retrying", "failed", "rescheduled", "released", "stale"] as const;
type Outcome = (typeof OUTCOMES)[number];

/** The counts of one queue and name. */
interface Series {
  readonly labels: { readonly queue: string; readonly job_type: string };
  readonly outcomes: Record<Outcome, number>;
  readonly dispatched: { stored: number; duplicate: number };
  readonly duration: Histogram;
  readonly wait: Histogram;
  running: number;
}

/** Counts the events of relays. */
export interface Runs extends Disposable {
  /** Hears one more relay; the same one again is heard once. */
  hear(events: JobEvents): void;
  families(): readonly Family[];
  /** Jobs of a queue that end in a minute, at the rate of the last one. */
  perMinute(queue: string): number;
}

/** Makes one that has heard nothing. */
export function createRuns(monotonic: () => number): Runs {
  const all = new Map<string, Map<string, Series>>();
  const running = new Map<string, Series>();
  const rates = new Map<string, Throughput>();
  const heard = new Map<JobEvents, readonly Disposable[]>();
  let size = 0;
  let errors = 0;
  let lost = 0;

  function seriesOf(queue: string, name: string): Series {
    const known = all.get(queue)?.get(name);
    if (known !== undefined) return known;
    if (size >= MAX_SERIES && queue !== OTHER) return seriesOf(OTHER, OTHER);
    const series: Series = {
      labels: { queue, job_type: name },
      outcomes: { completed: 0, retrying: 0, failed: 0, rescheduled: 0, released: 0, stale: 0 },
      dispatched: { stored: 0, duplicate: 0 },
      duration: createHistogram(),
      wait: createHistogram(),
      running: 0,
    };
    const names = all.get(queue) ?? new Map<string, Series>();
    all.set(queue, names.set(name, series));
    size++;
    return series;
  }

  function rateOf(queue: string): Throughput {
    const known = rates.get(queue);
    if (known !== undefined) return known;
    const rate = createThroughput(monotonic);
    if (rates.size < MAX_SERIES) rates.set(queue, rate);
    return rate;
  }

  function begin({ job, wait }: EventMap["started"]): void {
    const series = seriesOf(job.queue, job.name);
    series.wait.observe(wait);
    series.running++;
    running.set(keyOf(job), series);
  }

  /** Ends a run, if it was one: a job that is dead or given back without a run has no time. */
  function end(
    outcome: Outcome,
    queue: string,
    id: string,
    name: string | undefined,
    duration?: number,
  ): void {
    const key = keyOf({ queue, id });
    const begun = running.get(key);
    const series = begun ?? seriesOf(queue, name ?? OTHER);
    series.outcomes[outcome]++;
    if (begun === undefined) return;
    running.delete(key);
    begun.running--;
    if (duration !== undefined) begun.duration.observe(duration);
    if (outcome === "completed" || outcome === "failed") rateOf(queue).add(1);
  }

  function hear(events: JobEvents): void {
    if (heard.has(events)) return;
    const on = <Name extends EventName>(type: Name, listen: (detail: EventMap[Name]) => void): Disposable =>
      observe(events, type, listen);
    heard.set(events, [
      on("dispatched", ({ queue, name, status }) => void seriesOf(queue, name).dispatched[status]++),
      on("started", begin),
      ...(["completed", "retrying", "failed", "rescheduled"] as const).map((type) =>
        on(type, ({ job, duration }) => end(type, job.queue, job.id, job.name, duration))
      ),
      on("released", ({ job }) => end("released", job.queue, job.id, job.name)),
      on("stale", ({ queue, id }) => end("stale", queue, id, undefined)),
      on("lost", () => void lost++),
      on("error", () => void errors++),
    ]);
  }

  return {
    hear,
    families: () => familiesOf([...all.values()].flatMap((names) => [...names.values()]), { errors, lost }),
    perMinute: (queue) => rates.get(queue)?.perMinute() ?? 0,
    [Symbol.dispose]() {
      for (const each of [...heard.values()].flat()) each[Symbol.dispose]();
      heard.clear();
    },
  };
}

function keyOf({ queue, id }: { readonly queue: string; readonly id: string }): string {
  return `${queue}\n${id}`;
}

function familiesOf(
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
