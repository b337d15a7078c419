/**
 * The runs of a relay by its events, counted by queue and name of the job.
 *
 * @module
 */

import { type JobEvents, observe, type Observed, type ObservedRun, observeRuns } from "../events/events.ts";
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
  /** The rates of queues' ends. */
  readonly rates: Map<string, Throughput>;
  readonly monotonic: () => number;
  readonly heard: Map<JobEvents, Heard>;
  errors: number;
  lost: number;
}

/** What is heard of a relay. */
interface Heard {
  readonly runs: Observed;
  readonly others: readonly Disposable[];
}

/** Makes one that has heard nothing. */
export function createRuns(monotonic: () => number): Runs {
  const state: State = {
    table: createSeriesTable(),
    rates: new Map(),
    monotonic,
    heard: new Map(),
    errors: 0,
    lost: 0,
  };
  const { heard, table, rates } = state;
  return {
    hear(events) {
      if (!heard.has(events)) heard.set(events, observersOf(state, events));
    },
    families: () => familiesOf(table.list([...heard.values()].flatMap(({ runs }) => runs.underWay())), state),
    perMinute: (queue) => rates.get(queue)?.perMinute() ?? 0,
    [Symbol.dispose]() {
      for (const { runs, others } of heard.values()) {
        [runs, ...others].forEach((each) => each[Symbol.dispose]());
      }
      heard.clear();
    },
  };
}

function observersOf(state: State, events: JobEvents): Heard {
  return {
    runs: observeRuns(events, (ended) => count(state, ended)),
    others: [
      observe(
        events,
        "dispatched",
        ({ queue, name, status }) => void state.table.of(queue, name).dispatched[status]++,
      ),
      observe(events, "lost", () => void state.lost++),
      observe(events, "error", () => void state.errors++),
    ],
  };
}

/**
 * Counts runs that ended in one go: most are of one queue and name and ended in the same way, and those behind one
 * another are counted by one look at the table. One whose handler was not called has neither a wait nor a time.
 */
function count({ table, rates, monotonic }: State, ended: readonly ObservedRun[]): void {
  let from = 0;
  while (from < ended.length) {
    const { delivery: { queue, name }, end = "untold" } = ended[from] as ObservedRun;
    const { wait, duration, outcomes } = table.of(queue, name);
    let done = 0;
    let to = from;
    for (; to < ended.length; to++) {
      const run = ended[to] as ObservedRun;
      if (run.end !== end || run.delivery.queue !== queue || run.delivery.name !== name) break;
      if (run.wait < 0) continue;
      done++;
      wait.observe(run.wait);
      duration.observe(run.duration);
    }
    outcomes[end] += to - from;
    if (done > 0 && (end === "completed" || end === "failed")) rateOf(rates, queue, monotonic).add(done);
    from = to;
  }
}

function rateOf(rates: Map<string, Throughput>, queue: string, monotonic: () => number): Throughput {
  const rate = rates.get(queue) ?? createThroughput(monotonic);
  if (rates.size < MAX_SERIES) rates.set(queue, rate);
  return rate;
}
