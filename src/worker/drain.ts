/**
 * The one-shot: a worker that handles due jobs and returns.
 *
 * @module
 */

import { checkInteger, checkOptions, checkSignal, checkTime } from "../options.ts";
import { tellIgnored } from "./ignored.ts";
import { defaultSettings, withOptions, type WorkerOptions } from "./settings.ts";
import type { Bench, Drained } from "./state.ts";
import { type Engine, type RunOptions, startEngine } from "./worker.ts";

/** The bounds of a drain beside its signal. */
export interface DrainOptions extends RunOptions {
  /** Deliveries to take at most. Default: all that are due. */
  readonly limit?: number | undefined;
  /** Milliseconds after which no further job is started; running ones finish. Default: no limit. */
  readonly budget?: number | undefined;
}

/** Handles due jobs; rejects when the transport fails. */
export async function drain(
  bench: Bench,
  options: WorkerOptions & DrainOptions,
  onRun: (engine: Engine) => void,
): Promise<Drained> {
  const action = "drain";
  checkOptions(action, options);
  const { limit, budget, signal, ...workerOptions } = options;
  checkSignal(action, signal);
  const settings = withOptions(defaultSettings(bench.transport), workerOptions, action, [
    "limit",
    "budget",
    "signal",
  ]);
  const left = limit === undefined
    ? Number.MAX_SAFE_INTEGER
    : checkInteger(action, "limit", limit, 1, Number.MAX_SAFE_INTEGER);
  if (budget !== undefined) checkTime(action, "budget", budget);
  tellIgnored(bench, workerOptions);
  const engine = startEngine(bench, settings, signal, { left });
  onRun(engine);
  if (budget === undefined) return { ...await engine.done };
  const over = new AbortController();
  // Cut short when the drain ends first.
  bench.runtime.sleep(budget, over.signal).then(() => engine.stop()).catch(() => undefined);
  try {
    return { ...await engine.done };
  } finally {
    over.abort();
  }
}
