/**
 * The runs of a relay by its events, counted by queue and name of the job.
 *
 * @module
 */

import type { EventMap, EventName, JobEvents } from "../events/events.ts";
import { observe } from "../events/events.ts";
import {
  createSeriesTable,
  familiesOf,
  MAX_SERIES,
  OTHER,
  type Outcome,
  type Series,
  type SeriesTable,
} from "./series.ts";
import type { Family } from "./text.ts";
import { createThroughput, type Throughput } from "./throughput.ts";

/** Counts the events of relays. */
export interface Runs extends Disposable {
  /** Hears one more relay; the same one again is heard once. */
  hear(events: JobEvents): void;
  families(): readonly Family[];
  /** Jobs of a queue that end in a minute, at the rate of the last one. */
  perMinute(queue: string): number;
}

/** The counts so far. */
interface State {
  readonly monotonic: () => number;
  readonly table: SeriesTable;
  /** The series in which runs that have begun count. */
  readonly running: Map<string, Series>;
  /** Ends of runs by queue. */
  readonly rates: Map<string, Throughput>;
  readonly heard: Map<JobEvents, readonly Disposable[]>;
  errors: number;
  lost: number;
}

/** Makes one that has heard nothing. */
export function createRuns(monotonic: () => number): Runs {
  const state: State = {
    monotonic,
    table: createSeriesTable(),
    running: new Map(),
    rates: new Map(),
    heard: new Map(),
    errors: 0,
    lost: 0,
  };
  const { table, rates, heard } = state;
  return {
    hear(events) {
      if (!heard.has(events)) heard.set(events, observersOf(state, events));
    },
    families: () => familiesOf(table.list(), state),
    perMinute: (queue) => rates.get(queue)?.perMinute() ?? 0,
    [Symbol.dispose]() {
      for (const each of [...heard.values()].flat()) each[Symbol.dispose]();
      heard.clear();
    },
  };
}

function observersOf(state: State, events: JobEvents): readonly Disposable[] {
  const on = <Name extends EventName>(type: Name, listen: (detail: EventMap[Name]) => void): Disposable =>
    observe(events, type, listen);
  return [
    on("dispatched", ({ queue, name, status }) => void state.table.of(queue, name).dispatched[status]++),
    on("started", (started) => begin(state, started)),
    ...(["completed", "retrying", "failed", "rescheduled"] as const).map((type) =>
      on(type, ({ job, duration }) => end(state, type, job, duration))
    ),
    on("released", ({ job }) => end(state, "released", job)),
    on("stale", ({ queue, id }) => end(state, "stale", { queue, id })),
    on("lost", () => void state.lost++),
    on("error", () => void state.errors++),
  ];
}

function begin({ table, running }: State, { job, wait }: EventMap["started"]): void {
  const series = table.of(job.queue, job.name);
  series.wait.observe(wait);
  series.running++;
  running.set(keyOf(job), series);
}

/** The job of a delivery. A run that is stale is told without its name. */
interface Ended {
  readonly queue: string;
  readonly id: string;
  readonly name?: string;
}

/** Ends a run, if it was one: a job that is dead or given back without a run has no time. */
function end(state: State, outcome: Outcome, job: Ended, duration?: number): void {
  const { queue, name = OTHER } = job;
  const key = keyOf(job);
  const begun = state.running.get(key);
  const series = begun ?? state.table.of(queue, name);
  series.outcomes[outcome]++;
  if (begun === undefined) return;
  state.running.delete(key);
  begun.running--;
  if (duration !== undefined) begun.duration.observe(duration);
  if (outcome === "completed" || outcome === "failed") rateOf(state, queue).add(1);
}

function rateOf({ rates, monotonic }: State, queue: string): Throughput {
  const known = rates.get(queue);
  if (known !== undefined) return known;
  const rate = createThroughput(monotonic);
  if (rates.size < MAX_SERIES) rates.set(queue, rate);
  return rate;
}

function keyOf({ queue, id }: { readonly queue: string; readonly id: string }): string {
  return `${queue}\n${id}`;
}
