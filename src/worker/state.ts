/**
 * The state that the steps of one worker share while it runs, from `run` until it has stopped.
 *
 * @module
 */

import type { User } from "../flow/users.ts";
import type { Alarm, Alarms } from "../flow/alarms.ts";
import type { Batcher } from "../flow/batch.ts";
import type { Definitions } from "../jobs/definitions.ts";
import type { Events } from "../events/events.ts";
import type { Extended, Extension, Pushed, PushJob, Settled, Settlement } from "../jobs/exchange.ts";
import type { MetaReader } from "../jobs/record.ts";
import type { Fifo } from "../flow/fifo.ts";
import type { Filtering } from "../payload/filtering.ts";
import type { Handlers } from "../jobs/handle.ts";
import type { Vital, Vitals } from "../events/health.ts";
import type { Latch } from "../flow/latch.ts";
import type { OnceATurn } from "../flow/once_a_turn.ts";
import type { Readers } from "../events/readers.ts";
import type { Schedules } from "../contract/recurring.ts";
import type { Runtime } from "../runtime.ts";
import type { Kinds } from "../schedules/kinds.ts";
import type { Step, Trail, Way } from "../flow/trail.ts";
import type { Transport } from "../contract/transport.ts";
import type { Fate } from "./fate.ts";
import type { Judge } from "./judge.ts";
import type { KnownQueues } from "./known_queues.ts";
import type { Link } from "./link.ts";
import type { Meter } from "./meter.ts";
import type { Refusals } from "./refusals.ts";
import type { Run, SettleWithin } from "./run.ts";
import type { Settings } from "./settings.ts";
import type { Troubles } from "./trouble.ts";
import type { Slots } from "../flow/slots.ts";

/** The parts that a worker needs to push the ticks of schedules. */
export interface Ticks {
  /** Absent where the transport has none. */
  readonly schedules: Schedules | undefined;
  readonly kinds: Kinds;
  /** Sends jobs through the relay's middleware to the store. */
  readonly outgoing: (
    jobs: readonly PushJob[],
    store: (jobs: readonly PushJob[]) => Promise<readonly Pushed[]>,
  ) => Promise<readonly Pushed[]>;
  /** Calls back when the relay has stored a schedule; returns how to leave off. */
  watch(stored: () => void): () => void;
}
/** The reason of a reserve that is cut short to be asked anew. */
const REARM = new Error("asked anew");

/** The values that a worker gets from its relay. */
export interface Bench {
  readonly ticks: Ticks;
  readonly transport: Transport;
  /** The relays on the transport. */
  readonly users: Iterable<User>;
  readonly runtime: Runtime;
  readonly events: Events;
  readonly definitions: Definitions;
  readonly handlers: Handlers;
  readonly knownQueues: KnownQueues;
  readonly readers: Readers;
  /** Which runs a call is part of; undefined where the runtime cannot tell. */
  readonly trail: Trail | undefined;
  readonly vitals: Vitals;
  readonly callTimeout: number;
  readonly filtering: Filtering;
  readonly encode: Judge["bench"]["encode"];
  /** Runs of all workers of the relay whose jobs die with the next lost lease: one at a time. */
  readonly suspects: Set<object>;
  /** The queues of groups that were unbound by hand here: no worker binds those again while it runs. */
  readonly unbound: Set<string>;
}

/** How many runs of a drain ended in which way. */
export interface Drained {
  /** Jobs that are done; with `unknown: "drop"` the dropped ones too. */
  readonly completed: number;
  /** Runs that failed, and whose jobs run again. */
  readonly retried: number;
  /** Runs that did not fail, and whose jobs run again. */
  readonly rescheduled: number;
  /** Jobs that are dead. */
  readonly failed: number;
  /** Jobs given back without counting: stopped or busy, unknown here, or written by a newer version. */
  readonly released: number;
  /** Settlements and extensions that came too late, and changed nothing. */
  readonly stale: number;
}

/** The same while it is being counted. */
export type Tally = { -readonly [Ending in keyof Drained]: Drained[Ending] };

/** The bounds of a worker that handles due jobs and returns. */
export interface DrainBounds {
  /** Deliveries that may still be taken. */
  left: number;
  /** The first queue that did not work: told when the rest is done. */
  fault?: { readonly error: unknown };
}

/** When leases are extended next. */
export interface Heartbeat {
  /** The shortest lease that it keeps, in milliseconds. */
  lease: number;
  /** The last beat, by the monotonic clock. */
  last: number;
  /** A beat came late, and its cost was not looked after yet: when the last in time was, and when this. */
  late: { readonly alive: number; readonly noticed: number } | undefined;
  /**
   * Milliseconds by which the wall clock was ahead of the monotonic one when leases were last in order; not kept
   * where the store goes by the monotonic one.
   */
  ahead: number;
  next: Alarm | undefined;
}

/** The part that pushes ticks beside a worker's jobs. */
export interface Ticker {
  /** Looks at once: a schedule was stored here, or the worker stops. */
  wake(): void;
  /** Resolves when nothing of it is alive. */
  readonly done: Promise<void>;
}

/** One worker at work. */
export interface State extends Judge {
  readonly bench: Bench;
  settings: Settings;
  readonly alarms: Alarms;
  /**
   * From where it was started to its runs; undefined where each run is its caller's, and where the runtime cannot tell.
   */
  way: Way | undefined;
  readonly link: Link;
  /** Its own state for probes; absent for a drain, which says by its end how it went. */
  vital: Vital | undefined;
  readonly meter: Meter;
  /** Reads the metadata of its deliveries. */
  readonly metaReader: MetaReader;
  /** When the monotonic clock began, by the wall clock; read once a turn, as the latter costs each run a look more. */
  readonly epoch: OnceATurn;
  readonly settlements: Batcher<Settlement, Settled>;
  readonly extensions: Batcher<Extension, Extended>;
  readonly heartbeat: Heartbeat;
  readonly tally: Tally;
  /** Absent for a worker that runs until it is stopped. */
  readonly drain: DrainBounds | undefined;
  /** Fetched and not started, in order. */
  readonly buffer: Fifo<Run>;
  /** Every run whose lease is ours: buffered, running or settling. */
  readonly held: Slots<Run>;
  /** Runs whose handlers run. */
  readonly running: Slots<Run>;
  /** Settlements that were not answered yet. */
  unsettled: number;
  /** No further job is fetched or started. */
  stopping: boolean;
  /** Ends encryptions under way when the worker has stopped. */
  readonly sealing: AbortController;
  /**
   * When a worker that stops waits for no answer any more, by the monotonic clock; Infinity while its handlers may go
   * on.
   */
  endBy: number;
  /** The worker has stopped: whatever still comes in belongs to no run. */
  over: boolean;
  /** It is looked from time to time whether its groups are bound still. */
  watching: boolean;
  /** The first round of subscriptions is over, where the transport has any. */
  subscribed: boolean;
  /** Ends the reserve that is under way. */
  fetching: AbortController | undefined;
  /** The controller of an earlier reserve, which the next one may take, and how many have had it. */
  readonly fetcher: { idle: AbortController | undefined; looks: number };
  /** Aborts the work beside fetching, when the worker stops. */
  readonly ending: AbortController;
  /** The work beside fetching: groups that are bound, queues in trouble that are tried. */
  readonly asides: Set<Promise<unknown>>;
  /** Queues that are tried by themselves. */
  readonly apart: Set<string>;
  /** Reserves that failed one after another. */
  failures: number;
  /** When all queues were last found not to work, by the monotonic clock. */
  partedAt: number;
  readonly troubles: Troubles;
  /** The queues of which settlements or extensions are refused. */
  readonly refusals: Refusals;
  /** Opened when fetching may be possible again. */
  readonly room: Latch;
  /** Opened when a run or settlement ended, for calls that wait for the last one. */
  readonly quiet: Latch;
  /** Opened when a settlement or an extension was answered, for calls that wait for those of one moment. */
  readonly answered: Latch;
  /** Settles and extends the runs that a block held up. */
  ordering: Promise<void> | undefined;
  /** The last look for jobs has ended. */
  fetched: boolean;
  /** Called whenever something has ended that may be the last that a run waits for which ends its own worker. */
  readonly leaving: Set<() => void>;
  /** The groups' queues that were bound since the transport last failed. */
  readonly bound: Set<string>;
  /** Pushes the ticks of schedules beside the jobs; absent for a drain, and where there are no schedules. */
  ticker: Ticker | undefined;
  /** The groups' queues that are being bound. */
  readonly binding: Set<string>;
  /** The ticks and settlements under way that call functions of the program's. */
  readonly beside: Set<Step>;
  readonly sealers: Set<Step>;
  /** Told when one of its runs begins or ceases to wait for an end. */
  readonly roused: () => void;
  /** Starts as many as the slots allow. */
  readonly pump: () => void;
  /** Takes the end of a run that no store waits for; absent: it is settled. */
  readonly conclude?: ((run: Run, fate: Fate) => void) | undefined;
  /** The function behind a handler's `settle`. */
  readonly settleWithin: SettleWithin;
}

/** A run is no longer this worker's. */
export function letGo({ held, link, refusals, bench: { suspects } }: State, run: Run): boolean {
  suspects.delete(run);
  link.leave(run);
  if (refusals.size > 0) refusals.leave(run);
  if (run.held < 0) return false;
  held.remove(run.held);
  run.held = -1;
  return true;
}

/** The queues that a worker reads. */
export function queuesOf({ settings, bench: { handlers } }: State): readonly string[] {
  return settings.queues ?? handlers.queues();
}

/** Whether a store is in this process alone: nothing comes to it, or is lost from it, without its telling. */
export function isOfProcess({ features }: Transport): boolean {
  return !features.shared && features.clock === "process";
}

/** Tells the calls that wait for the end that it may have come. */
export function rouse({ quiet, leaving }: State): void {
  quiet.open();
  // Twice a run, and nearly always for nothing: a walk through an empty set costs its iterator.
  if (leaving.size > 0) { for (const check of leaving) check(); }
}

/** Those queues that are reserved from together. */
export function together(state: State): readonly string[] {
  const queues = queuesOf(state);
  return state.apart.size === 0 ? queues : queues.filter((queue) => !state.apart.has(queue));
}

/** Cuts the reserve under way short, so that the next one asks for as many as are wanted now. */
export function rearm(state: State): void {
  state.fetching?.abort(REARM);
  state.room.open();
}

/** Lets something go on beside fetching; a worker that stops waits for it. */
export function aside({ asides }: State, work: Promise<unknown>): void {
  const known = work.finally(() => asides.delete(known));
  asides.add(known);
}

/** Whether nothing is running or on its way any more. */
export function isQuiet(state: State): boolean {
  return state.unsettled === 0 && state.buffer.size === 0 && !isRunning(state);
}

/** Whether a run is ours to wait for: a handler that it was taken from may ignore that for ever. */
export function isRunning({ running }: State): boolean {
  if (running.size === 0) return false;
  for (const run of running.items()) if (run.abandoned === undefined) return true;
  return false;
}
