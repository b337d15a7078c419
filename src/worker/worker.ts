/**
 * A worker from the outside: it runs until it is stopped, can be changed while it runs, and can run again.
 *
 * @module
 */

import type { User } from "../flow/users.ts";
import { createAlarms } from "../flow/alarms.ts";
import { RelayClosed } from "../errors.ts";
import { createFifo } from "../flow/fifo.ts";
import type { Gate } from "../flow/gate.ts";
import { createLatch } from "../flow/latch.ts";
import { OnceATurn } from "../flow/once_a_turn.ts";
import { checkKnown, checkSignal, checkTime } from "../options.ts";
import { MetaReader } from "../jobs/record.ts";
import { createSlots } from "../flow/slots.ts";
import { fetchLoop } from "./fetch.ts";
import { tellIgnored } from "./ignored.ts";
import { givenBack } from "./judge.ts";
import { createExtensions, startHeartbeat } from "./lease.ts";
import { heldOnly, type Leaving, untilEnded } from "./leaving.ts";
import { createLink } from "./link.ts";
import { createMeter } from "./meter.ts";
import { orderly } from "./orderly.ts";
import { pump, settleWithin, tellStuck } from "./perform.ts";
import { defaultSettings, type Settings, withOptions, type WorkerOptions } from "./settings.ts";
import { createSettlements, settle } from "./settle.ts";
import {
  type Bench,
  type DrainBounds,
  isRunning,
  letGo,
  queuesOf,
  rearm,
  rouse,
  type State,
  type Tally,
} from "./state.ts";
import { createRefusals } from "./refusals.ts";
import { pushDueOnce, startTicker } from "./ticks.ts";
import { createTroubles } from "./trouble.ts";

/** The abort reason of the work beside fetching when the worker stops. */
const ENDING = new Error("the worker stops");

/**
 * Milliseconds beyond the grace in which the store may answer, as jobs that are given back at its end are sent only
 * then.
 */
const LAST_ANSWERS = 1_000;

/** The end of a run. */
export interface RunOptions {
  /**
   * Ends the run: no job is reserved any more, handlers see their signals abort with this one's reason, and have the
   * worker's `grace` to finish. An error that they throw after that is no failure; a job that does not finish is given
   * back. Where the store does not answer, `run` lasts a second longer than the grace at most.
   */
  readonly signal?: AbortSignal | undefined;
}

/** How a worker stops. */
export interface StopOptions {
  /**
   * Milliseconds that running handlers have before their signals abort; a handler that ignores its signal is given up
   * after the worker's `grace` more. Default: as long as they need.
   */
  readonly grace?: number | undefined;
}

/** A worker. */
export interface Worker {
  /**
   * Handles jobs until the signal aborts or {@linkcode Worker.stop} is called; resolves when nothing of it is alive.
   *
   * @throws {TypeError} when it is running already.
   * @throws {RelayClosed} when its relay is closing.
   * @throws {TransportClosed} when the transport is closed under it.
   */
  run(options?: RunOptions): Promise<void>;
  /**
   * Lets the running handlers finish, gives back jobs that were not started, and resolves when `run` has. Called by a
   * handler of this worker, it does not wait for that handler's run, which goes on and is settled before `run`
   * resolves. Where the runtime has no `AsyncLocalStorage`, that cannot be told: without a `grace` of its own it then
   * resolves after the worker's `grace` at the latest, a run that goes on is told as `stuck`.
   */
  stop(options?: StopOptions): Promise<void>;
  /**
   * Changes options, also while it runs; returns the worker.
   *
   * @throws {TypeError | RangeError} for an option that is wrong or unknown; all stay as they were.
   */
  update(options: WorkerOptions): Worker;
}

/**
 * Makes a worker; `onRun` is told each run, so that a relay that closes can stop it, and starts no more behind its
 * gate.
 */
export function createWorker(
  bench: Bench,
  options: WorkerOptions,
  onRun: (engine: Engine) => void,
  gate: Gate,
  beside: readonly string[] = [],
): Worker {
  let settings = withOptions(defaultSettings(bench.transport), options, "make a worker", beside);
  let given = options;
  let engine: Engine | undefined;
  const worker: Worker = {
    async run(runOptions = {}) {
      checkKnown("run a worker", runOptions, ["signal"]);
      checkSignal("run a worker", runOptions.signal);
      if (gate.closing) throw new RelayClosed("run a worker");
      if (engine !== undefined) throw new TypeError("Cannot run a worker that is running already");
      tellIgnored(bench, given);
      engine = startEngine(bench, settings, runOptions.signal);
      onRun(engine);
      try {
        await engine.done;
      } finally {
        engine = undefined;
      }
    },
    async stop(stopOptions = {}) {
      checkKnown("stop a worker", stopOptions, ["grace"]);
      if (stopOptions.grace !== undefined) checkTime("stop a worker", "grace", stopOptions.grace);
      if (engine === undefined) return;
      // The caller of `run` is told how it ended.
      const ended = engine.stop(stopOptions.grace).catch(() => undefined);
      await untilEnded(bench, [engine], ended);
    },
    update(changes) {
      settings = withOptions(settings, changes, "update a worker");
      given = { ...given, ...changes };
      engine?.update(settings);
      return worker;
    },
  };
  return worker;
}

/** One run of a worker. */
export interface Engine extends Leaving {
  /** How the runs ended, once nothing of it is alive. */
  readonly done: Promise<Tally>;
  /** Lets running handlers finish; after `grace` milliseconds their signals abort. */
  stop(grace?: number): Promise<Tally>;
  /** Whether its leases are looked after, after a block of the thread. */
  readonly orderly: NonNullable<User["orderly"]>;
  update(settings: Settings): void;
}

/** Starts the engine of a worker; with `drain` it ends by itself when nothing is due. */
export function startEngine(
  bench: Bench,
  settings: Settings,
  signal: AbortSignal | undefined,
  drain?: DrainBounds,
): Engine {
  const state = createState(bench, settings, drain);
  state.way = bench.trail?.from();
  const abort = (): void => halt(state, signal?.reason);
  const unwatch = bench.handlers.watch(() => {
    bench.readers.changed();
    rearm(state);
  });
  const leave = drain === undefined ? bench.readers.join(() => queuesOf(state)) : undefined;
  const unobserve = bench.events.join(() => state.held.items());
  if (drain === undefined) state.vital = bench.vitals.join();
  startHeartbeat(state);
  if (signal?.aborted) abort();
  else signal?.addEventListener("abort", abort, { once: true });

  async function work(): Promise<Tally> {
    try {
      if (drain !== undefined) await pushDueOnce(state, signal);
      else if (bench.ticks.schedules !== undefined) state.ticker = startTicker(state);
      await fetchLoop(state);
      state.fetched = true;
      rouse(state);
    } catch (error) {
      halt(state, error);
      throw error;
    } finally {
      await windDown(state);
      signal?.removeEventListener("abort", abort);
      unwatch();
      leave?.();
      unobserve();
      state.vital?.leave();
    }
    return state.tally;
  }

  const done = work();
  return {
    done,
    stop(grace) {
      if (grace !== undefined) {
        endWithin(state, grace + state.settings.grace);
        state.alarms.set(grace, () => halt(state, new Error("the worker stops")));
      }
      leaveOff(state);
      return done;
    },
    held: () => heldOnly(state, done),
    orderly: () => orderly(state),
    update(changed) {
      state.settings = changed;
      bench.readers.changed();
      rearm(state);
      state.pump();
    },
  };
}

/** Makes the state of a worker at rest. */
export function createState(bench: Bench, settings: Settings, drain: DrainBounds | undefined): State {
  const { runtime, events } = bench;
  const alarms = createAlarms(runtime);
  const state: State = {
    bench,
    settings,
    alarms,
    way: undefined,
    link: createLink(events, runtime.random, (away) => state.vital?.away(away)),
    vital: undefined,
    meter: createMeter(),
    metaReader: new MetaReader(),
    epoch: new OnceATurn(() => runtime.now() - runtime.monotonic()),
    settlements: createSettlements(bench, alarms),
    extensions: createExtensions(bench, alarms),
    heartbeat: { lease: settings.lease, last: 0, late: undefined, ahead: 0, next: undefined },
    tally: { completed: 0, retried: 0, rescheduled: 0, failed: 0, released: 0, stale: 0 },
    drain,
    buffer: createFifo(),
    held: createSlots(),
    running: createSlots(),
    unsettled: 0,
    stopping: false,
    endBy: Infinity,
    over: false,
    sealing: new AbortController(),
    watching: false,
    subscribed: false,
    fetching: undefined,
    fetcher: { idle: undefined, looks: 0 },
    room: createLatch(),
    quiet: createLatch(),
    answered: createLatch(),
    ordering: undefined,
    fetched: false,
    leaving: new Set(),
    beside: new Set(),
    sealers: new Set(),
    ticker: undefined,
    ending: new AbortController(),
    asides: new Set(),
    apart: new Set(),
    failures: 0,
    partedAt: -Infinity,
    troubles: createTroubles(events, runtime.random),
    refusals: createRefusals(events, runtime),
    bound: new Set(),
    binding: new Set(),
    roused: () => rouse(state),
    pump: () => pump(state),
    settleWithin: (run, transaction, outcome) => settleWithin(state, run, transaction, outcome),
  };
  return state;
}

/** Fetches no more and gives back jobs that were not started. */
function leaveOff(state: State): void {
  state.stopping = true;
  state.ticker?.wake();
  state.ending.abort(ENDING);
  rearm(state);
  state.pump();
}

/** Tells the running handlers to end, and gives up those that have not after the worker's grace. */
function halt(state: State, reason: unknown): void {
  endWithin(state, state.settings.grace);
  leaveOff(state);
  for (const run of state.running.items()) {
    run.stopped = true;
    run.abort(reason);
  }
  state.alarms.set(state.settings.grace, () => {
    for (const run of state.running.items()) {
      run.running = -1;
      if (run.abandoned === undefined && !run.settling) {
        run.abandoned = "stop";
        tellStuck(state, run, "stop");
        settle(state, run, givenBack(state, run));
      }
    }
    state.running.clear();
    rouse(state);
  });
}

/** Bounds the wait for answers, as a server that is gone must not hold the end up beyond the grace. */
function endWithin(state: State, grace: number): void {
  const { bench: { callTimeout, runtime } } = state;
  const ms = grace + Math.min(callTimeout, LAST_ANSWERS);
  state.endBy = Math.min(state.endBy, runtime.monotonic() + ms);
  state.alarms.set(ms, () => endNow(state));
}

function endNow(state: State): void {
  state.over = true;
  state.quiet.open();
}

/** Waits for the last handler and the last answer, the latter no longer than a call may take or the grace leaves. */
async function windDown(state: State): Promise<void> {
  const { bench: { callTimeout, events }, quiet } = state;
  leaveOff(state);
  let beside = true;
  const end = (): void => {
    beside = false;
    quiet.open();
  };
  Promise.all([...state.asides, state.ticker?.done]).then(end, end);
  while (isRunning(state) || (beside && !state.over)) await quiet.wait();
  const enough = state.alarms.set(callTimeout, () => endNow(state));
  while ((state.unsettled > 0 || state.extensions.size > 0) && !state.over) await quiet.wait();
  enough.cancel();
  state.over = true;
  state.sealing.abort();
  state.answered.open();
  await state.ordering;
  state.alarms.clear();
  for (const run of state.held.items()) {
    letGo(state, run);
    events.over(run);
  }
  if (state.unsettled > 0) {
    const error = new Error(
      `Stopped with ${state.unsettled} jobs whose settlement was not confirmed: they may run again`,
    );
    events.emit("error", { error, during: "stopping a worker" });
  }
}
