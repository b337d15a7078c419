/**
 * Dispatching: a payload is checked, encoded and measured at once, and stored with the other jobs that are dispatched
 * in the same tick.
 *
 * @module
 */

import { createBatcher, type Ticket } from "../flow/batch.ts";
import { dispatchMany, type Item } from "./bulk.ts";
import { MAX_BATCH, MAX_BATCH_BYTES } from "../defaults.ts";
import type { BulkOptions, Dispatched, DispatchOptions } from "./dispatch.ts";
import { errorOf, OutcomeUnknown, RelayClosed } from "../errors.ts";
import type { Pushed, PushJob } from "../jobs/exchange.ts";
import { shown } from "../options.ts";
import type { Outgoing } from "../sides/outgoing.ts";
import { prepare, SETTINGS } from "./prepare.ts";
import { unlessAborted } from "../promises.ts";
import {
  type BatchSender,
  checkCall,
  checkInline,
  filtered,
  goesAtOnce,
  pushWithin,
  resultOf,
  runInline,
  type Sender,
  withAmbient,
} from "./sending.ts";

/** Dispatching without the types that only the caller needs. */
export interface Dispatcher {
  one(name: string, payload: unknown, options: DispatchOptions | undefined): Promise<Dispatched>;
  many(
    jobs: readonly Item[],
    options: BulkOptions,
  ): Promise<readonly Dispatched[]>;
}

/** The options of a dispatch. */
const OPTIONS: readonly string[] = [...SETTINGS, "signal", "transaction"];

/** How the job of one call is sent. */
interface SendOptions {
  readonly signal: AbortSignal | undefined;
  readonly transaction: object | undefined;
  /** A taken id rejects. */
  readonly refuse: boolean;
  /** Its request id is the caller's, or of the caller's own context, and not a generated one. */
  readonly requested: boolean;
}

/** Makes the dispatcher of a relay. */
export function createDispatcher(sender: Sender): Dispatcher {
  const { transport, runtime, callTimeout, gate, follows } = sender;
  const pushes = createBatcher<PushJob, Exclude<Pushed, Error>>({
    runtime,
    send: (jobs, left) => transport.push(jobs, { deadline: left }),
    deadline: callTimeout,
    sizeOf: (job) => job.payload.length,
    maxItems: Math.min(MAX_BATCH, transport.limits.bulk),
    maxBytes: MAX_BATCH_BYTES,
    prompt: transport.features.remote,
  });
  const atOnce = new Set<string>();
  const batching: BatchSender = { ...sender, pushes, atOnce };
  return {
    one(name, payload, options) {
      try {
        // A way into the trail is dear: none for a schema that answers at once, as that cannot wait for a close.
        return !follows || atOnce.has(name)
          ? dispatchOne(batching, name, payload, options)
          : gate.pass(() => dispatchOne(batching, name, payload, options, true), `dispatch '${shown(name)}'`);
      } catch (error) {
        return Promise.reject(error);
      }
    },
    many: (jobs, options) => gate.pass(() => dispatchMany(batching, jobs, options), "dispatch jobs"),
  };
}

/** Throws where the call is refused before anything waits. */
function dispatchOne(
  sender: BatchSender,
  name: string,
  payload: unknown,
  options: DispatchOptions | undefined,
  isNew = false,
): Promise<Dispatched> {
  const { gate, outgoing, atOnce } = sender;
  if (gate.shut) throw new RelayClosed(`dispatch '${shown(name)}'`);
  // A side of the program's must see whether the request id is the caller's.
  const asked = outgoing !== undefined && outgoing.quick === undefined;
  if (options === undefined && !asked && sender.inline === undefined) {
    const prepared = prepare(sender, name, payload, undefined);
    if (prepared instanceof Promise) atOnce.delete(name);
    else if (isNew) atOnce.add(name);
    // Most calls are such: they need none of the steps in between.
    return prepared instanceof Promise || outgoing !== undefined || !goesAtOnce(sender, prepared)
      ? sendPrepared(sender, prepared, PLAIN)
      : sendWithRoom(sender, prepared, undefined, false);
  }
  if (options !== undefined) checkCall(`dispatch '${shown(name)}'`, options);
  const { signal, transaction, ...settings } = options ?? {};
  signal?.throwIfAborted();
  const { desk, settings: own, requested } = asked
    ? withAmbient(sender, settings)
    : { desk: sender, settings: options === undefined ? undefined : settings, requested: false };
  checkInline(sender, { name, ...settings, transaction });
  const prepared = prepare(desk, name, payload, own, undefined, OPTIONS);
  if (prepared instanceof Promise) atOnce.delete(name);
  else if (isNew) atOnce.add(name);
  const how: SendOptions = { signal, transaction, refuse: settings.onDuplicate === "throw", requested };
  return sendPrepared(sender, prepared, how);
}

/** A call without options. */
const PLAIN: SendOptions = { signal: undefined, transaction: undefined, refuse: false, requested: false };

function sendPrepared(
  sender: BatchSender,
  prepared: PushJob | Promise<PushJob>,
  how: SendOptions,
): Promise<Dispatched> {
  if (!(prepared instanceof Promise)) return send(sender, prepared, how);
  const { signal } = how;
  // Closing the relay waits for the schema too, and the signal ends that wait.
  return sender.gate.within(async () => {
    const job = await unlessAborted(prepared, signal);
    signal?.throwIfAborted();
    return await send(sender, job, how);
  });
}

/** Sends a job, through the middlewares where there are any. */
function send(sender: BatchSender, job: PushJob, how: SendOptions): Promise<Dispatched> {
  const { gate, outgoing } = sender;
  if (outgoing === undefined) return sendInTurn(sender, job, how);
  if (outgoing.quick !== undefined) {
    return outgoing.quick.one(job, (carried) => sendInTurn(sender, carried, how));
  }
  return gate.within(() => sendThrough(sender, outgoing, job, how));
}

/** Stores one job through the middlewares. */
async function sendThrough(
  sender: BatchSender,
  outgoing: Outgoing,
  job: PushJob,
  how: SendOptions,
): Promise<Dispatched> {
  const { signal, requested } = how;
  const all = (jobs: readonly PushJob[]): Promise<(Dispatched | Error)[]> =>
    Promise.all(jobs.map((passed) => sendInTurn(sender, passed, how).catch(errorOf)));
  let own: Promise<(Dispatched | Error)[]> | undefined;
  await outgoing.send([{ job, requested }], (jobs) => own = all(jobs), signal);
  const [answer] = await own ?? [];
  if (answer === undefined || answer instanceof Error) {
    throw answer ?? new Error("A transport did not answer");
  }
  return answer;
}

/** Sends a job after its filters, and after the jobs of its queue that were dispatched before. */
function sendInTurn(sender: BatchSender, job: PushJob, how: SendOptions): Promise<Dispatched> {
  if (goesAtOnce(sender, job)) return sendOff(sender, job, how);
  const go = (made: PushJob): Promise<Dispatched> => sendOff(sender, made, how);
  const { signal } = how;
  return sender.gate.within(() =>
    sender.turns.take(new Set([job.queue]), filtered(sender, job), go, { signal, apart: false })
  );
}

/** Sends a job that is ready to where its call says. */
function sendOff(sender: BatchSender, job: PushJob, how: SendOptions): Promise<Dispatched> {
  const { inline, gate } = sender;
  const { signal, transaction, refuse } = how;
  if (inline !== undefined) return gate.within(() => runInline(sender, job, signal));
  return transaction === undefined
    ? sendWithRoom(sender, job, signal, refuse)
    : sendWithin(sender, job, transaction, refuse);
}

function sendWithRoom(
  sender: BatchSender,
  job: PushJob,
  signal: AbortSignal | undefined,
  refuse: boolean,
): Promise<Dispatched> {
  const { berths, gate } = sender;
  if (berths === undefined) return sendBatched(sender, job, signal, refuse);
  return gate.hold(() => berths.take(1, signal, () => sendBatched(sender, job, signal, refuse)));
}

function sendBatched(
  sender: BatchSender,
  job: PushJob,
  signal: AbortSignal | undefined,
  refuse: boolean,
): Promise<Dispatched> {
  const { gate, pushes } = sender;
  const { promise, resolve, reject } = Promise.withResolvers<Dispatched>();
  gate.enter();
  const ticket = pushes.add(job, (pushed) => {
    gate.leave();
    const result = resultOf(sender, job, pushed, refuse);
    if (result instanceof Error) reject(result);
    else resolve(result);
  });
  return signal === undefined ? promise : unlessWithdrawn(sender, job, signal, { promise, reject, ticket });
}

/** The answer to a job that its signal takes back for as long as it was not sent. */
function unlessWithdrawn(
  { gate, pushes }: BatchSender,
  job: PushJob,
  signal: AbortSignal,
  { promise, reject, ticket }: {
    readonly promise: Promise<Dispatched>;
    readonly reject: (reason: unknown) => void;
    readonly ticket: Ticket;
  },
): Promise<Dispatched> {
  const abort = (): void => {
    if (!pushes.withdraw(ticket)) return reject(new OutcomeUnknown(job.id, signal.reason));
    gate.leave();
    reject(signal.reason);
  };
  const forget = (): void => signal.removeEventListener("abort", abort);
  signal.addEventListener("abort", abort, { once: true });
  promise.then(forget, forget);
  return promise;
}

function sendWithin(
  sender: BatchSender,
  job: PushJob,
  transaction: object,
  refuse: boolean,
): Promise<Dispatched> {
  return sender.gate.within(async () => {
    const [pushed] = await pushWithin(sender, transaction, [job], false);
    const result = resultOf(sender, job, pushed ?? new Error("A transport did not answer"), refuse);
    if (result instanceof Error) throw result;
    return result;
  });
}
