/**
 * The workers of a relay: they are made, run, drained and closed together.
 *
 * @module
 */

import { RelayClosed } from "../errors.ts";
import type { User } from "../flow/users.ts";
import { checkKnown, checkOptions, checkTime } from "../options.ts";
import type { RelayParts } from "./relay_parts.ts";
import { drain, type DrainOptions } from "../worker/drain.ts";
import { untilEnded } from "../worker/leaving.ts";
import { allOrderly } from "../worker/orderly.ts";
import type { WorkerOptions } from "../worker/settings.ts";
import type { Drained } from "../worker/state.ts";
import {
  createWorker,
  type Engine,
  type RunOptions,
  type StopOptions,
  type Worker,
} from "../worker/worker.ts";

/** The workers of a relay, and how far it has come. */
export interface RelayWorkers {
  readonly parts: RelayParts;
  /** Those that run, drains among them. */
  readonly engines: Set<Engine>;
  /** This relay among the users of its transport. */
  readonly self: User;
  /** Adds an engine until it is done. */
  readonly track: (engine: Engine) => void;
  /** The worker of `run`, while it runs. */
  own: Worker | undefined;
  closing: Promise<void> | undefined;
}

/** Joins the users of the transport; no worker is there yet. */
export function createWorkers(parts: RelayParts): RelayWorkers {
  const engines = new Set<Engine>();
  const self: User = { orderly: () => allOrderly(engines), scheduled: parts.scheduler.scheduled };
  parts.users.add(self);
  const track = (engine: Engine): void => {
    engines.add(engine);
    const forget = (): void => void engines.delete(engine);
    engine.done.then(forget, forget);
  };
  return { parts, engines, self, track, own: undefined, closing: undefined };
}

/** Makes a worker; `beside` are the options of the call that are not the worker's. */
export function makeWorker(
  { parts: { bench, gate }, track }: RelayWorkers,
  options: WorkerOptions,
  beside?: readonly string[],
): Worker {
  if (gate.closing) throw new RelayClosed("make a worker");
  return createWorker(bench, options, track, gate, beside);
}

/** Runs the relay's own worker until the signal aborts. */
export async function runWorker(workers: RelayWorkers, options: WorkerOptions & RunOptions): Promise<void> {
  checkOptions("run", options);
  const { signal, ...workerOptions } = options;
  if (workers.own !== undefined) throw new TypeError("Cannot run a relay that is running already");
  workers.own = makeWorker(workers, workerOptions, ["signal"]);
  try {
    await workers.own.run({ signal });
  } finally {
    workers.own = undefined;
  }
}

/** Handles due jobs and returns. */
export async function drainJobs(
  { parts: { bench, gate }, track }: RelayWorkers,
  options: WorkerOptions & DrainOptions,
): Promise<Drained> {
  if (gate.closing) throw new RelayClosed("drain");
  return await drain(bench, options, track);
}

/** Stops the workers and closes the relay. */
export async function closeWorkers(workers: RelayWorkers, options: StopOptions): Promise<void> {
  checkStop(options);
  const { parts: { bench, inline, logbook, alarms, gate }, engines } = workers;
  if (workers.closing === undefined) {
    bench.vitals.close();
    workers.closing = closeAll(workers, options).finally(() => {
      logbook.close();
      // A schema or filter whose caller has gone may never answer.
      alarms.clear();
    });
  } // A second close with a grace is in more of a hurry than the first.
  else if (options.grace !== undefined) {
    for (const engine of engines) engine.stop(options.grace).catch(() => undefined);
  }
  await untilEnded(bench, inline === undefined ? [...engines] : [...engines, inline], workers.closing, gate);
}

/**
 * Checks the options of `close`.
 *
 * @throws {TypeError | RangeError} for an option that is wrong or unknown.
 */
export function checkStop(options: StopOptions): void {
  const action = "close a relay";
  checkKnown(action, options, ["grace"]);
  if (options.grace !== undefined) checkTime(action, "grace", options.grace);
}

async function closeAll({ parts, engines, self }: RelayWorkers, { grace }: StopOptions): Promise<void> {
  const { patience, users, gate, inline } = parts;
  gate.announce();
  // A handler that still runs may dispatch until it has ended: a handler that is refused would fail for no fault of its
  // own.
  await Promise.allSettled([...engines].map((engine) => engine.stop(grace)));
  await inline?.ended();
  await gate.close();
  users.delete(self);
  if (users.size === 0) await patience[Symbol.asyncDispose]();
}
