/**
 * The relay, which the user holds. It ties definitions, a transport, handlers and workers together.
 *
 * @module
 */

import { type Admin, createAdmin } from "./admin.ts";
import { createLazyAlarms } from "./alarms.ts";
import { createBerths } from "./berths.ts";
import { raw } from "./codec.ts";
import { CALL_TIMEOUT, MAX_PAYLOAD } from "./defaults.ts";
import { type Fitting, type Jobs, readDefinitions } from "./definitions.ts";
import {
  type BulkOptions,
  type Dispatch,
  type Dispatched,
  type DispatchMany,
  type DispatchOptions,
} from "./dispatch.ts";
import { RelayClosed } from "./errors.ts";
import { createDispatcher } from "./dispatcher.ts";
import { createEvents, type JobEvents } from "./events.ts";
import { contextOf, createFiltering } from "./filtering.ts";
import { createGate, type Gate } from "./gate.ts";
import { gatedAdmin, gatedGroups } from "./gated.ts";
import { createGroups, type Groups } from "./groups.ts";
import { createHandlers, type Handle, type HandleOptions } from "./handle.ts";
import { createVitals, type Health } from "./health.ts";
import { json } from "./json.ts";
import { createLogbook } from "./log.ts";
import type { AddedBy, AnyMiddleware } from "./middleware.ts";
import { checkInteger, checkKnown, checkOptions, checkRuntime, checkTime, shown } from "./options.ts";
import { createOutgoing, tickOutgoing } from "./outgoing.ts";
import { filterPayload, writePayload } from "./payload.ts";
import type { Desk } from "./prepare.ts";
import { createReaders } from "./readers.ts";
import { createKnownQueues } from "./known_queues.ts";
import { checkNames, checkParts, type RelayOptions } from "./relay_options.ts";
import { systemRuntime } from "./runtime.ts";
import { createScheduler, type RelaySchedules, type ScheduleJob } from "./scheduler.ts";
import { createKinds } from "./schedules/kinds.ts";
import { showJob } from "./sealing.ts";
import { faultOfStored } from "./stored_payload.ts";
import { createTrail } from "./trail.ts";
import type { Transport } from "./transport.ts";
import { createTurns } from "./turns.ts";
import { memory } from "./transports/memory.ts";
import { readUse } from "./use.ts";
import { drain, type DrainOptions } from "./worker/drain.ts";
import { untilEnded } from "./worker/leaving.ts";
import { allOrderly } from "./worker/orderly.ts";
import { createInline, type Inline } from "./worker/inline.ts";
import { patient } from "./worker/patient.ts";
import type { WorkerOptions } from "./worker/settings.ts";
import type { Bench, Drained } from "./worker/state.ts";
import {
  createWorker,
  type Engine,
  type RunOptions,
  type StopOptions,
  type Worker,
} from "./worker/worker.ts";

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
   * it. Called by a handler of this relay, it does not wait for that handler's run, which goes on and is settled before
   * the transport closes; nor do two handlers wait for each other that close each other's relay. Where the runtime has
   * no `AsyncLocalStorage`, it resolves as `worker.stop` does there.
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
  const action = "make a relay";
  checkNames(action, options);
  // A `null` is no way to leave an option out: least of all a transport, whose jobs would be in memory unasked.
  const { runtime = systemRuntime() } = options;
  checkRuntime(action, runtime);
  const { transport = memory({ runtime }) } = options;
  checkParts(action, options, transport);
  const use = readUse(options.use, action);
  const most = transport.limits.payload;
  const { maxPayload: wanted = Math.min(MAX_PAYLOAD, most), callTimeout: within = CALL_TIMEOUT } = options;
  const maxPayload = checkInteger(action, "maxPayload", wanted, 1, most);
  const callTimeout = checkTime(action, "callTimeout", within, 1);
  const alarms = createLazyAlarms(runtime);
  const { maxPending } = options;
  const berths = maxPending === undefined ? undefined : createBerths({
    most: checkInteger(action, "maxPending", maxPending, 1, Number.MAX_SAFE_INTEGER),
    alarms,
    ms: callTimeout,
  });
  const definitions = readDefinitions(options.jobs, [json, raw, ...options.codecs ?? []]);
  const [topic] = definitions.topics;
  if (topic !== undefined && transport.topics === undefined) {
    throw new TypeError(
      `Cannot ${action} with topic '${topic}' as the ${transport.name} transport has no topics`,
    );
  }
  const logbook = createLogbook(options.log, runtime, alarms);
  const events = createEvents(logbook.report);
  use.attach(events.target, undefined);
  logbook.follow(events);
  const readers = createReaders();
  const handlers = createHandlers(definitions, use.runs, events.target);
  const gate = createGate();
  const vitals = createVitals(runtime);
  const patience = patient(transport, alarms);
  const filtering = createFiltering(alarms, callTimeout);
  const desk: Desk = {
    definitions,
    transport: patience,
    runtime,
    maxPayload,
    filtering,
    requestId: options.requestId,
  };
  const outgoing = createOutgoing(use.dispatches, {
    alarms,
    deadline: callTimeout,
    report: (error) => events.emit("error", { error, during: "dispatching" }),
  });
  const scheduler = createScheduler({
    desk,
    events,
    callTimeout,
    kinds: createKinds(options.recurrences === undefined ? [] : options.recurrences, action),
    outgoing: tickOutgoing(outgoing),
  }, gate);
  const bench: Bench = {
    ticks: scheduler.ticks,
    transport,
    runtime,
    events,
    definitions,
    handlers,
    readers,
    callTimeout,
    filtering,
    encode: encoderOf(desk),
    suspects: new Set(),
    trail: createTrail(),
    vitals,
    unbound: new Set(),
  };
  const inline = options.inline === true ? createInline(bench) : undefined;
  const turns = createTurns();
  const dispatcher = createDispatcher({
    ...desk,
    berths,
    turns,
    events,
    outgoing,
    readers,
    inline,
    callTimeout,
    gate,
  });
  const admin = gatedAdmin(
    createAdmin(
      patience,
      callTimeout,
      (entry) => showJob(filtering, definitions, entry),
      (entry, signal) => faultOfStored(filtering, definitions, entry, signal),
      createKnownQueues(definitions, handlers, patience),
    ),
    gate,
  );
  const groups = gatedGroups(createGroups(definitions, patience, callTimeout, bench.unbound), gate);
  const engines = new Set<Engine>();
  const self = { orderly: () => allOrderly(engines), scheduled: scheduler.scheduled };
  transport.users.add(self);

  const track = (engine: Engine): void => {
    engines.add(engine);
    const forget = (): void => void engines.delete(engine);
    engine.done.then(forget, forget);
  };
  const makeWorker = (workerOptions: WorkerOptions, beside?: readonly string[]): Worker => {
    if (gate.closing) throw new RelayClosed("make a worker");
    return createWorker(bench, workerOptions, track, gate, beside);
  };

  let own: Worker | undefined;
  let closing: Promise<void> | undefined;
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
    async run(runOptions = {}) {
      checkOptions("run", runOptions);
      const { signal, ...workerOptions } = runOptions;
      if (own !== undefined) throw new TypeError("Cannot run a relay that is running already");
      own = makeWorker(workerOptions, ["signal"]);
      try {
        await own.run({ signal });
      } finally {
        own = undefined;
      }
    },
    worker: (workerOptions = {}) => makeWorker(workerOptions),
    drain: async (drainOptions = {}) => {
      if (gate.closing) throw new RelayClosed("drain");
      return await drain(bench, drainOptions, track);
    },
    ...admin,
    ...groups,
    health: vitals.health,
    async close(stopOptions = {}) {
      checkStop(stopOptions);
      if (closing === undefined) {
        vitals.close();
        closing = closeRelay(patience, self, gate, engines, inline, stopOptions).finally(logbook.close);
      } // A second close with a grace is in more of a hurry than the first.
      else if (stopOptions.grace !== undefined) {
        for (const engine of engines) engine.stop(stopOptions.grace).catch(() => undefined);
      }
      await untilEnded(bench, inline === undefined ? [...engines] : [...engines, inline], closing);
    },
    [Symbol.asyncDispose]: () => relay.close(),
  };
  return relay;
}

function checkStop(options: StopOptions): void {
  const action = "close a relay";
  checkKnown(action, options, ["grace"]);
  if (options.grace !== undefined) checkTime(action, "grace", options.grace);
}

async function closeRelay(
  transport: Transport,
  self: object,
  gate: Gate,
  engines: ReadonlySet<Engine>,
  inline: Inline | undefined,
  { grace }: StopOptions,
): Promise<void> {
  gate.announce();
  // A handler that still runs may dispatch until it has ended: a handler that is refused would fail for no fault of its
  // own.
  await Promise.allSettled([...engines].map((engine) => engine.stop(grace)));
  await inline?.ended();
  await gate.close();
  transport.users.delete(self);
  if (transport.users.size === 0) await transport[Symbol.asyncDispose]();
}

/** Checks and encodes the payload that a reschedule gives to a job's next run. */
function encoderOf(desk: Desk): Bench["encode"] {
  return async (run, payload) => {
    const definition = run.definition;
    if (definition === undefined) {
      throw new TypeError("a job without a definition cannot get another payload");
    }
    const { bytes, verdict } = writePayload(desk, definition, payload);
    await verdict;
    const { delivery, meta } = run;
    return await filterPayload(desk, definition, bytes, contextOf(delivery, meta.schedule, "payload"));
  };
}
