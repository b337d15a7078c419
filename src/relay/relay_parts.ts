/**
 * The parts of a relay: its options are checked, and what they ask for is made and tied together.
 *
 * @module
 */

import { lackOf } from "../contract/lacks.ts";
import { type Admin, createAdmin } from "./admin.ts";
import { type Alarms, createLazyAlarms } from "../flow/alarms.ts";
import { type Berths, createBerths } from "../flow/berths.ts";
import { raw } from "../payload/codec.ts";
import { CALL_TIMEOUT, MAX_PAYLOAD } from "../defaults.ts";
import { type Definitions, type Jobs, readDefinitions } from "../jobs/definitions.ts";
import { createDispatcher, type Dispatcher } from "./dispatcher.ts";
import { createEvents, type Events } from "../events/events.ts";
import { contextOf, createFiltering } from "../payload/filtering.ts";
import { createGate, type Gate } from "../flow/gate.ts";
import { gatedAdmin, gatedGroups } from "./gated.ts";
import { createGroups, type Groups } from "./groups.ts";
import { createHandlers } from "../jobs/handle.ts";
import { createVitals } from "../events/health.ts";
import { json } from "../payload/json.ts";
import { createLogbook, type Logbook } from "../events/log.ts";
import { checkInteger, checkRuntime, checkTime } from "../options.ts";
import { createOutgoing, tickOutgoing } from "../sides/outgoing.ts";
import { filterPayload, writePayload } from "./payload.ts";
import type { Desk } from "./prepare.ts";
import { createReaders } from "../events/readers.ts";
import { checkNames, checkParts, type RelayOptions } from "./relay_options.ts";
import { type Runtime, systemRuntime } from "../runtime.ts";
import { createScheduler, type Scheduler } from "./scheduler.ts";
import { createKinds } from "../schedules/kinds.ts";
import { showJob } from "../payload/sealing.ts";
import { faultOfStored } from "../payload/stored_payload.ts";
import { createTrail } from "../flow/trail.ts";
import type { Transport } from "../contract/transport.ts";
import { memory } from "../transports/memory/mod.ts";
import { createTurns } from "../flow/turns.ts";
import { type User, usersOf } from "../flow/users.ts";
import { readUse, type Used } from "../sides/use.ts";
import { createInline, type Inline } from "../worker/inline.ts";
import { createKnownQueues } from "../worker/known_queues.ts";
import { patient } from "../worker/patient.ts";
import type { Bench } from "../worker/state.ts";

/** The parts on which the methods of a relay stand. */
export interface RelayParts {
  /** The values that its workers get. */
  readonly bench: Bench;
  /** The transport, with calls that end soon after their deadline. */
  readonly patience: Transport;
  /** The relays on the transport. */
  readonly users: Set<User>;
  readonly gate: Gate;
  /** Those of its calls; none rings any more when it is closed. */
  readonly alarms: Alarms;
  readonly logbook: Logbook;
  /** Runs jobs in the caller; undefined: they are stored. */
  readonly inline: Inline | undefined;
  readonly dispatcher: Dispatcher;
  readonly scheduler: Scheduler;
  readonly admin: Admin;
  readonly groups: Groups<Jobs>;
}

/**
 * Makes the parts of a relay.
 *
 * @throws {TypeError | RangeError} for wrong definitions or options.
 */
export function createParts(options: RelayOptions<Jobs>): RelayParts {
  const action = "make a relay";
  const checked = readOptions(action, options);
  const { transport, callTimeout, alarms } = checked;
  const { logbook, events } = createLog(options, checked);
  const patience = patient(transport, alarms);
  const desk: Desk = {
    definitions: checked.definitions,
    transport: patience,
    runtime: checked.runtime,
    maxPayload: checked.maxPayload,
    filtering: createFiltering(alarms, callTimeout),
    requestId: options.requestId,
  };
  const trail = createTrail();
  const gate = createGate(trail);
  const outgoing = createOutgoing(checked.use.dispatches, {
    alarms,
    deadline: callTimeout,
    report: (error) => events.emit("error", { error, during: "dispatching" }),
  });
  const scheduler = createScheduler({
    desk,
    users: checked.users,
    events,
    callTimeout,
    kinds: createKinds(options.recurrences === undefined ? [] : options.recurrences, action),
    outgoing: tickOutgoing(outgoing),
  }, gate);
  const bench = createBench(checked, desk, events, { scheduler, trail });
  const inline = options.inline === true ? createInline(bench) : undefined;
  return {
    bench,
    patience,
    users: checked.users,
    gate,
    alarms,
    logbook,
    inline,
    dispatcher: createDispatcher({
      ...desk,
      berths: checked.berths,
      turns: createTurns(),
      events,
      outgoing,
      readers: bench.readers,
      inline,
      callTimeout,
      gate,
      follows: trail !== undefined,
    }),
    scheduler,
    admin: gatedAdmin(adminOf(desk, bench), gate),
    groups: gatedGroups(createGroups(desk.definitions, patience, callTimeout, bench.unbound), gate),
  };
}

/** The options of a relay after their checks, with defaults in place of those left out. */
interface Checked {
  readonly runtime: Runtime;
  readonly alarms: Alarms;
  readonly transport: Transport;
  readonly users: Set<User>;
  readonly use: Used;
  readonly maxPayload: number;
  readonly callTimeout: number;
  readonly berths: Berths | undefined;
  readonly definitions: Definitions;
}

function readOptions(action: string, options: RelayOptions<Jobs>): Checked {
  checkNames(action, options);
  // A `null` is no way to leave an option out: least of all a transport, whose jobs would be in memory unasked.
  const { runtime = systemRuntime() } = options;
  checkRuntime(action, runtime);
  const { transport = memory({ runtime }) } = options;
  checkParts(action, options, transport);
  const use = readUse(options.use, action, "relay");
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
      `Cannot ${action} with topic '${topic}' as ${lackOf(transport, "topics", "has no topics")}`,
    );
  }
  return {
    runtime,
    alarms,
    transport,
    users: usersOf(transport),
    use,
    maxPayload,
    callTimeout,
    berths,
    definitions,
  };
}

/** The events of a relay, which its middlewares hear before its log does. */
function createLog(
  { log }: RelayOptions<Jobs>,
  { runtime, alarms, use }: Checked,
): { readonly logbook: Logbook; readonly events: Events } {
  const logbook = createLogbook(log, runtime, alarms);
  const events = createEvents(logbook.report);
  use.attach(events.target, undefined);
  logbook.follow(events);
  return { logbook, events };
}

function createBench(
  { transport, users, runtime, definitions, callTimeout, use }: Checked,
  desk: Desk,
  events: Events,
  { scheduler: { ticks }, trail }: { readonly scheduler: Scheduler; readonly trail: Bench["trail"] },
): Bench {
  const handlers = createHandlers(definitions, use.runs, events.target);
  return {
    ticks,
    transport,
    users,
    runtime,
    events,
    definitions,
    handlers,
    knownQueues: createKnownQueues(definitions, handlers, desk.transport),
    readers: createReaders(),
    callTimeout,
    filtering: desk.filtering,
    encode: encoderOf(desk),
    suspects: new Set(),
    trail,
    vitals: createVitals(runtime),
    unbound: new Set(),
  };
}

function adminOf({ transport, filtering, definitions }: Desk, { callTimeout, knownQueues }: Bench): Admin {
  return createAdmin(
    transport,
    callTimeout,
    (entry) => showJob(filtering, definitions, entry),
    (entry, signal) => faultOfStored(filtering, definitions, entry, signal),
    knownQueues,
  );
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
