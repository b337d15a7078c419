/**
 * The relay, which the user holds. It ties definitions, a transport, handlers and workers together.
 *
 * @module
 */

import type { Admin } from "./admin.ts";
import type { Fitting, Jobs } from "../jobs/definitions.ts";
import type { BulkOptions, Dispatch, Dispatched, DispatchMany, DispatchOptions } from "./dispatch.ts";
import { RelayClosed } from "../errors.ts";
import type { JobEvents } from "../events/events.ts";
import type { Groups } from "./groups.ts";
import type { Handle, HandleOptions } from "../jobs/handle.ts";
import type { Health } from "../events/health.ts";
import type { AddedBy, AnyMiddleware } from "../sides/middleware.ts";
import { shown } from "../options.ts";
import type { RelayOptions } from "./relay_options.ts";
import { createParts } from "./relay_parts.ts";
import { closeWorkers, createWorkers, drainJobs, makeWorker, runWorker } from "./relay_workers.ts";
import type { RelaySchedules, ScheduleJob } from "./scheduler.ts";
import type { Transport } from "../contract/transport.ts";
import type { DrainOptions } from "../worker/drain.ts";
import type { WorkerOptions } from "../worker/settings.ts";
import type { Drained } from "../worker/state.ts";
import type { RunOptions, StopOptions, Worker } from "../worker/worker.ts";

/** Typed jobs, dispatched here and handled anywhere. */
export interface Relay<J extends Jobs, Added = unknown> extends Admin, Groups<J>, AsyncDisposable {
  /** The one that the relay was given, or the memory that it made. */
  readonly transport: Transport;
  /** The events of this relay and its workers. */
  readonly events: JobEvents;
  /**
   * Stores a job; resolves when it is stored.
   *
   * @throws {InvalidPayloadError} with every issue, when the schema refuses the payload.
   * @throws {UnencodableError | TooLargeError | UnknownJobError | UnknownQueueError | DuplicateJobError}
   * @throws {TypeError | RangeError} for an option that is wrong or unknown.
   * @throws {TransportBusy | TransportFull | TransportError} when it could not be stored.
   * @throws {RelayClosed | TransportClosed} when it is too late.
   * @throws {OutcomeUnknown} when it may have been stored.
   */
  readonly dispatch: Dispatch<J>;
  /** Stores many jobs; rejects with `BulkRefusedError`, which names each failure by its index. */
  readonly dispatchMany: DispatchMany<J>;
  /**
   * Stores a recurring job: `created`, `replaced`, or `same` when it is there as it is, so that every start of a
   * program may store its schedules. Workers of any relay that defines its queue push its ticks.
   *
   * @throws {RelevoError | TypeError | RangeError} as `dispatch` does; for a recurrence that cannot be written down or
   * never fires; where the transport has no schedules.
   */
  readonly schedule: ScheduleJob<J>;
  /** Recurring jobs as operators see them, and `sync`, which makes the store equal to a program's list. */
  readonly schedules: RelaySchedules<J>;
  /**
   * Registers a handler, also while workers run; disposing of the answer takes it away again.
   *
   * @throws {UnknownJobError} for a name that no definition has.
   * @throws {TypeError} for a value that is no handler, for a second one without `replace`, for a topic's job without
   * `group` and for any other with one.
   * @throws {RelayClosed} when the relay is closed.
   */
  readonly handle: Handle<J, Added>;
  /**
   * Runs a worker of these options until the signal aborts; resolves when nothing of it is alive.
   *
   * @throws {TypeError} for a second `run` while one is running, and for an option that is wrong or unknown.
   * @throws {RangeError} for a number that is out of its range.
   * @throws {RelayClosed} when the relay is closed.
   * @throws {TransportClosed} when the transport is closed under it.
   */
  run(options?: WorkerOptions & RunOptions): Promise<void>;
  /**
   * Makes a worker, to run, change and stop by hand.
   *
   * @throws {TypeError | RangeError | RelayClosed} as `run` does.
   */
  worker(options?: WorkerOptions): Worker;
  /**
   * Handles due jobs and returns: for runtimes that must not loop for ever, and for tests.
   *
   * @throws {TypeError | RangeError | RelayClosed} as `run` does.
   * @throws {TransportBusy | TransportError | TransportClosed} when the transport fails: a drain does not wait for it.
   */
  drain(options?: WorkerOptions & DrainOptions): Promise<Drained>;
  /**
   * Whether its workers reach the store, since when, and how far they are behind, as they know it themselves: it costs
   * no call, so that a probe may ask as often as it likes.
   */
  health(): Health;
  /**
   * Stops the workers as their `stop` does, waits for calls under way, and closes the transport if no other relay uses
   * it. Called by a function that this relay calls, such as a handler, a schema or a middleware, it does not wait for the
   * run, dispatch or other call around it, which goes on and ends before the transport closes; nor do two such functions
   * wait for each other that close each other's relay. Where the runtime has no `AsyncLocalStorage`, it resolves as
   * `worker.stop` does there, or when the call around it was given up.
   */
  close(options?: StopOptions): Promise<void>;
}

/**
 * Makes a relay.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import * as v from "valibot";
 *
 * const relay = createRelay({ jobs: { hello: v.object({ name: v.string() }) } });
 * relay.handle("hello", ({ name }) => console.log(`Hello, ${name}!`));
 * await relay.dispatch("hello", { name: "Ada" });
 * await relay.drain();
 * await relay.close();
 * ```
 *
 * @throws {TypeError | RangeError} for wrong definitions or options.
 */
export function createRelay<
  const J extends Jobs,
  const Use extends readonly AnyMiddleware[] = readonly AnyMiddleware[],
>(
  options: RelayOptions<J, Use> & { readonly jobs: Fitting<J> },
): Relay<J, AddedBy<Use>> {
  const parts = createParts(options);
  const workers = createWorkers(parts);
  const { bench: { transport, events, handlers, vitals }, gate, dispatcher, scheduler } = parts;
  const relay: Relay<J, AddedBy<Use>> = {
    transport,
    events: events.target,
    dispatch: (name: string, payload?: unknown, dispatchOptions?: DispatchOptions): Promise<Dispatched> =>
      dispatcher.one(name, payload, dispatchOptions),
    dispatchMany: (jobs, bulkOptions: BulkOptions = {}) => dispatcher.many(jobs, bulkOptions),
    schedule: scheduler.schedule,
    schedules: scheduler.schedules,
    handle: (name: string, handler: unknown, handleOptions: HandleOptions = {}): Disposable => {
      if (gate.closing) throw new RelayClosed(`handle '${shown(name)}'`);
      return handlers.register(name, handler, handleOptions);
    },
    run: (runOptions = {}) => runWorker(workers, runOptions),
    worker: (workerOptions = {}) => makeWorker(workers, workerOptions),
    drain: (drainOptions = {}) => drainJobs(workers, drainOptions),
    ...parts.admin,
    ...parts.groups,
    health: vitals.health,
    close: (stopOptions = {}) => closeWorkers(workers, stopOptions),
    [Symbol.asyncDispose]: () => relay.close(),
  };
  return relay;
}
