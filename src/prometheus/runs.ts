/**
 * The runs of a relay by its events, counted by queue and name of the job.
 *
 * @module
 */

import { type JobEvents, observe, observeRuns, type RunObserver } from "../events/events.ts";
import { onceATurn } from "../flow/once_a_turn.ts";
import { createSeriesTable, familiesOf, MAX_SERIES, type SeriesTable } from "./series.ts";
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
  readonly table: SeriesTable;
  /** The rate of a queue's ends. */
  readonly rateOf: (queue: string) => Throughput;
  readonly heard: Map<JobEvents, readonly Disposable[]>;
  errors: number;
  lost: number;
}

/** Makes one that has heard nothing. */
export function createRuns(monotonic: () => number): Runs {
  const rates = new Map<string, Throughput>();
  const table = createSeriesTable();
  const state: State = {
    table,
    rateOf: createRates(rates, onceATurn(monotonic)),
    heard: new Map(),
    errors: 0,
    lost: 0,
  };
  const { heard } = state;
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
  return [
    observe(
      events,
      "dispatched",
      ({ queue, name, status }) => void state.table.of(queue, name).series.dispatched[status]++,
    ),
    observeRuns(events, runsOf(state)),
    observe(events, "lost", () => void state.lost++),
    observe(events, "error", () => void state.errors++),
  ];
}

/** Counts runs. One that is dead or given back without a run has no time, and its wait was not told. */
function runsOf({ table, rateOf }: State): RunObserver {
  return {
    began({ queue, name }, wait) {
      const { series } = table.of(queue, name);
      series.wait.observe(wait);
      series.running++;
    },
    ended({ queue, name }, end, begun, { duration }) {
      const counts = table.of(queue, name);
      const { series } = counts;
      if (end !== undefined) series.outcomes[end]++;
      if (!begun) return;
      series.running--;
      if (duration !== undefined) series.duration.observe(duration);
      if (end === "completed" || end === "failed") (counts.rate ??= rateOf(queue)).add(1);
    },
  };
}

function createRates(rates: Map<string, Throughput>, monotonic: () => number): State["rateOf"] {
  return (queue) => {
    const rate = rates.get(queue) ?? createThroughput(monotonic);
    if (rates.size < MAX_SERIES) rates.set(queue, rate);
    return rate;
  };
}
