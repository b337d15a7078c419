/**
 * The steps of one run: read the record, find the handler, decode and check the payload, call the listeners, judge
 * their results, and hand over to the settlement.
 *
 * @module
 */

import { lackOf } from "../contract/lacks.ts";
import { patiently } from "../flow/deadline.ts";
import { errorOf, JobTimeout, LeaseLost, messageOf, NotCommitted, UnknownJobError } from "../errors.ts";
import type { EventMap } from "../events/events.ts";
import type { Registered } from "../jobs/handle.ts";
import { errorOfMistake, mistakeOf } from "../jobs/mistake.ts";
import { partsOf } from "../names.ts";
import { type Outcome, outcomeOf } from "../jobs/outcome.ts";
import { createStep } from "../flow/trail.ts";
import { callListeners, callThrough, leaveOwn } from "./call.ts";
import { DONE, type Fate, settlementOf } from "./fate.ts";
import {
  buriedAfresh,
  fateOfError,
  fateOfOutcome,
  fateOfResult,
  isReadable,
  leftToNewer,
  timeoutFor,
} from "./judge.ts";
import { extendOne } from "./lease.ts";
import { orderly } from "./orderly.ts";
import { fateOfUndecodable, fateOfUnknown, type Read, readPayload } from "./read.ts";
import type { Run } from "./run.ts";
import { sealed } from "./seal.ts";
import { settle, tell, tellStale } from "./settle.ts";
import { letGo, rouse, type State } from "./state.ts";

/**
 * Starts as many as the slots allow; gives the rest back when the worker stops. `at`: the monotonic clock, where it was
 * just read.
 */
export function pump(state: State, at?: number): void {
  if (state.stopping) return handBack(state);
  let read = at;
  while (state.buffer.size > 0 && state.running.size < state.settings.concurrency) {
    // The handler that was started last may have held the thread for longer than the leases of those that wait: others
    // may have run them by now. Those that are still held are extended first, and started then.
    const now = read ?? state.bench.runtime.monotonic();
    read = undefined;
    if (orderly(state, now) !== undefined) return;
    const run = state.buffer.shift();
    if (run === undefined) break;
    // It waited while nothing reached the transport. If no other worker has it, it is given back as it is, for this was
    // no fault of its own.
    if (run.leaseEnd <= now) {
      settle(state, run, { to: "release", reason: "busy" });
      continue;
    }
    run.running = state.running.add(run);
    perform(state, run);
  }
}

function handBack(state: State): void {
  for (let run = state.buffer.shift(); run !== undefined; run = state.buffer.shift()) {
    settle(state, run, { to: "release" });
  }
}

/**
 * Walks a run through its slot; never throws, whatever its entry contains. Of promises there is the handler's, and one
 * behind it, as each costs a quick job a part of its time.
 */
export function perform(state: State, run: Run): void {
  const from = state.way ?? state.bench.trail?.here();
  if (from !== undefined) run.step = createStep(from, state.roused);
  walk(state, run);
}

/** A run's way so far: its fate, its handler's promise, or a payload that is still to come or to be announced. */
type Walked = Fate | Promise<unknown> | { readonly read: Read | Promise<Read> };

/** Walks from the entry, or from a payload that was read, to the handler's promise. */
function walk(state: State, run: Run, late?: Read): void {
  let walked: Walked;
  try {
    // One way into the trail for the schema and the handler together, as each is dear.
    walked = late === undefined ? run.follow(() => enter(state, run)) : call(state, run, late);
    // A schema that never answers must not hold the slot and the lease for ever.
    if (!(walked instanceof Promise) && "read" in walked && walked.read instanceof Promise) bound(state, run);
  } catch (error) {
    return finish(state, run, stumbled(state, run, error));
  }
  if (walked instanceof Promise) {
    // Never at once, as the next run would begin inside this one's end, and the next inside that.
    then.call(
      walked,
      (result) => ended(state, run, result, undefined),
      (error) => ended(state, run, undefined, { error }),
    );
  } else if (!("read" in walked)) {
    finish(state, run, walked);
  } else if (walked.read instanceof Promise) {
    walked.read.then(
      (read) => walk(state, run, read),
      (error) => finish(state, run, stumbled(state, run, error)),
    );
  } else {
    walk(state, run, walked.read);
  }
}

/** Reads a job and calls its handler inside the trail, unless a listener must hear of the start outside of it. */
function enter(state: State, run: Run): Walked {
  const read = prepare(state, run);
  if (read instanceof Promise || state.bench.events.attended("started")) return { read };
  return call(state, run, read, true);
}

/** Calls the handler of a run that was read, unless it must not be called any more. */
function call(state: State, run: Run, read: Read, inside = false): Fate | Promise<unknown> {
  const { handler } = run;
  if ("fate" in read) return read.fate;
  if (run.timedOut) return fateOfError(state, run, undefined);
  // A job that was taken from this worker meanwhile may be running elsewhere.
  if (run.stopped || run.abandoned !== undefined || handler === undefined) return { to: "release" };
  run.startedAt = state.bench.runtime.monotonic();
  if (run.leaseEnd <= run.startedAt) return { to: "release", reason: "busy" };
  return invoke(state, run, handler, { payload: read.payload, inside });
}

/** The run has ended; `at`: the monotonic clock, where it was just read. */
function finish(state: State, run: Run, fate: Fate, at?: number): void {
  run.alarm?.cancel();
  if (run.step !== undefined) run.step.live = false;
  if (run.running >= 0) state.running.remove(run.running);
  run.running = -1;
  if (run.abandoned === undefined) conclude(state, run, fate);
  pump(state, at);
  state.room.open();
  rouse(state);
}

/** A step failed that must not; that is told. */
function stumbled(state: State, run: Run, error: unknown): Fate {
  state.bench.events.emit("error", { error: errorOf(error), during: `running job '${run.delivery.id}'` });
  return lastResort(state, run, error);
}

/** A step failed that must not: a failed run like any other, or where not even that can be written, a dead job. */
function lastResort(state: State, run: Run, error: unknown): Fate {
  try {
    return fateOfError(state, run, error);
  } catch (worse) {
    return buriedAfresh(state, run, worse);
  }
}

function conclude(state: State, run: Run, fate: Fate): void {
  if (state.conclude !== undefined) return state.conclude(run, fate);
  if (run.within?.committed !== true) return settle(state, run, fate);
  letGo(state, run);
  tell(state, run, run.within.fate);
}

/** Everything before the handler: a job that stops here was never run. */
function prepare(state: State, run: Run): Read | Promise<Read> {
  const { definitions, handlers } = state.bench;
  const { name, queue } = run.delivery;
  try {
    if (!isReadable(run.meta)) return { fate: leftToNewer(state, run) };
  } catch (cause) {
    return { fate: fateOfUndecodable(state, run, cause) };
  }
  const definition = definitions.get(name);
  const handler = definition && handlers.get(definition.name, queue);
  if (definition === undefined || handler === undefined) {
    const { group } = partsOf(queue);
    const where = group === undefined ? "" : ` in group '${group}'`;
    const error = new UnknownJobError(name, `this worker has no handler for it${where}`);
    return { fate: fateOfUnknown(state, run, error) };
  }
  run.definition = definition;
  run.handler = handler;
  return readPayload(state, run, definition);
}

/** Calls the listeners one after another, within the job's timeout. */
function invoke(
  state: State,
  run: Run,
  handler: Registered,
  { payload, inside }: { readonly payload: unknown; readonly inside: boolean },
): Promise<unknown> {
  const { events } = state.bench;
  if (run.alarm === undefined) bound(state, run);
  run.wait = Math.max(0, Math.floor(run.startedAt + state.epoch.get()) - run.delivery.due);
  events.began(run);
  const made = (): unknown => {
    const context = run.context(state.settleWithin);
    return handler.chain === undefined
      ? callListeners(run, handler, payload, context)
      : callThrough(run, handler, handler.chain, payload, context);
  };
  try {
    return Promise.resolve(inside ? made() : run.follow(made));
  } catch (error) {
    return Promise.reject(error);
  }
}

/** The one of all promises: a promise of the user's may have a function of its own under this name. */
const { then } = Promise.prototype;

/** The handler has ended, and its middlewares but for own sides in front. */
function ended(state: State, run: Run, answer: unknown, failed: Thrown | undefined): void {
  const given = run.shown !== undefined && answer === run.shown ? run.given : answer;
  const { result, thrown } = run.own === undefined
    ? { result: given, thrown: failed }
    : leaveOwn(run, run.own, { result: given, thrown: failed });
  let fate: Fate | Promise<Fate>;
  let now: number | undefined;
  try {
    now = state.bench.runtime.monotonic();
    run.duration = now - run.startedAt;
    state.meter.record(now, run.duration);
    if (run.within !== undefined) fate = verified(state, run, result, thrown);
    else {fate = thrown === undefined
        ? fateOfResult(state, run, result)
        : fateOfError(state, run, thrown.error);}
  } catch (error) {
    fate = stumbled(state, run, error);
  }
  if (fate instanceof Promise) {
    fate.then((late) => finish(state, run, late), (error) => finish(state, run, stumbled(state, run, error)));
  } else {
    finish(state, run, fate, now);
  }
}

/** The error of a handler. */
interface Thrown {
  readonly error: unknown;
}

/** The fate of a run that was settled inside its handler's transaction. */
async function verified(state: State, run: Run, result: unknown, thrown: Thrown | undefined): Promise<Fate> {
  const mistake = thrown === undefined ? mistakeOf(result) : undefined;
  const failed = await verify(
    state,
    run,
    mistake === undefined ? thrown : { error: errorOfMistake(mistake) },
  );
  return failed === undefined || mistake !== undefined
    ? await fateOfResult(state, run, result)
    : fateOfError(state, run, failed.error);
}

/** Sets the job's own time limit, if it has one: first its signal aborts, then the run is given up. */
function bound(state: State, run: Run): void {
  const timeout = timeoutFor(run);
  if (timeout === undefined) return;
  run.alarm = state.alarms.set(timeout, () => {
    const reason = new JobTimeout(run.delivery.name, timeout);
    run.timedOut = true;
    run.alarm = state.alarms.set(state.settings.abortGrace, () => {
      if (run.abandoned !== undefined) return;
      run.abandoned = "timeout";
      if (run.startedAt > 0) run.duration = state.bench.runtime.monotonic() - run.startedAt;
      tellStuck(state, run, "timeout");
      conclude(state, run, fateOfError(state, run, reason));
      rouse(state);
    });
    run.abort(reason);
  });
}

/** Tells that a handler ignores its signal. */
export function tellStuck({ bench: { events } }: State, run: Run, reason: EventMap["stuck"]["reason"]): void {
  if (events.hears("stuck")) events.emit("stuck", { ...run.detail, reason });
}

/** Settles a run inside its handler's own transaction. */
export async function settleWithin(
  state: State,
  run: Run,
  transaction: object,
  outcome: Outcome | undefined,
): Promise<void> {
  const { transport, callTimeout } = state.bench;
  const { id } = run.delivery;
  if (transport.transactions === undefined) {
    throw new TypeError(
      `Cannot settle job '${id}' in a transaction as ${lackOf(transport, "transactions", "has none")}`,
    );
  }
  if (outcome !== undefined && outcomeOf(outcome) === undefined) {
    const mistake = mistakeOf(outcome);
    throw new TypeError(
      `Cannot settle job '${id}' as 'outcome' must be made by complete, retry, deadLetter or reschedule: ` +
        `current value is ${mistake?.what ?? typeof outcome}`,
    );
  }
  if (run.settledWithin) throw new TypeError(`Cannot settle job '${id}' twice in one run`);
  run.settledWithin = true;
  if (run.abandoned !== undefined) throw new LeaseLost(id);
  const decided = outcome === undefined ? DONE : await fateOfOutcome(state, run, outcome);
  const fate = await sealed(state, run, decided);
  const call = { deadline: callTimeout };
  const settling = transport.transactions.settle(transaction, [settlementOf(run.delivery, fate)], call);
  const [answer] = await patiently(state.alarms, "settle jobs", call, settling);
  if (answer instanceof Error) throw answer;
  if (answer !== "settled") {
    tellStale(state, run, "settle");
    throw new LeaseLost(id);
  }
  run.within = { fate, committed: false };
}

/** Whether the transaction in which a run was settled became true: if so, its delivery is over. */
async function verify(state: State, run: Run, thrown: Thrown | undefined): Promise<Thrown | undefined> {
  const { bench: { events }, settings } = state;
  const { delivery: { id, queue, token }, within } = run;
  if (within === undefined) return thrown;
  try {
    const answer = await extendOne(state, { queue, token, ms: settings.lease });
    if (answer.state === "held") return thrown ?? { error: new NotCommitted(id) };
  } catch (error) {
    events.emit("error", { error: errorOf(error), during: `asking whether job '${id}' was committed` });
    return thrown ?? { error };
  }
  run.within = { ...within, committed: true };
  if (thrown !== undefined) {
    const error = new Error(`Job '${id}' failed after it was settled: ${messageOf(thrown.error)}`, {
      cause: thrown.error,
    });
    events.emit("error", { error, during: `running job '${id}'` });
  }
  return undefined;
}
