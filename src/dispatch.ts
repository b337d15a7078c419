/**
 * Dispatching: a payload is checked, encoded and measured at once, and stored with what else is dispatched in the same
 * tick.
 *
 * @module
 */

import { createBatcher } from "./batch.ts";
import { MAX_BATCH, MAX_BATCH_BYTES, MAX_BULK } from "./defaults.ts";
import type { Jobs, NameOf, PayloadOf } from "./definitions.ts";
import {
  type BulkFailure,
  BulkRefusedError,
  DuplicateJobError,
  errorOf,
  OutcomeUnknown,
  RelayClosed,
  RelevoError,
} from "./errors.ts";
import type { Events } from "./events.ts";
import type { Pushed, PushJob } from "./exchange.ts";
import { contextOf } from "./filtering.ts";
import type { Gate } from "./gate.ts";
import { checkBoolean, checkKnown, checkObject, checkSignal, shown } from "./options.ts";
import { filterPayload } from "./payload.ts";
import { type Desk, type JobSettings, prepare } from "./prepare.ts";
import { unlessAborted } from "./promises.ts";
import type { Turns } from "./turns.ts";
import { errorOfUnread, type Readers } from "./readers.ts";

/** What a dispatch may say: of its job, and of the call. */
export interface DispatchOptions extends JobSettings {
  /** Ends the call: nothing is stored, or, if it was sent already, it rejects with `OutcomeUnknown`. */
  readonly signal?: AbortSignal | undefined;
  /** A handle with an open transaction of the caller's, to store the job in it. Only on transports with transactions. */
  readonly transaction?: object | undefined;
}

/** What became of a dispatch. */
export interface Dispatched {
  /** The job's id: the caller's, or a generated one of 26 characters. */
  readonly id: string;
  /** `duplicate`: the id was taken, and nothing was stored. */
  readonly status: "stored" | "duplicate";
}

/** Arguments of a dispatch; the payload may be left out where its schema allows none. */
export type DispatchArguments<Payload> = undefined extends Payload
  ? [payload?: Payload, options?: DispatchOptions]
  : [payload: Payload, options?: DispatchOptions];

/** Dispatches a job: its name decides what the payload must be. */
export type Dispatch<out J extends Jobs> = <Name extends NameOf<J>>(
  name: Name,
  ...rest: DispatchArguments<PayloadOf<J, Name>>
) => Promise<Dispatched>;

/** One job of a bulk dispatch. */
export type BulkJob<J extends Jobs> = {
  [Name in NameOf<J>]:
    & { readonly name: Name }
    & (undefined extends PayloadOf<J, Name> ? { readonly payload?: PayloadOf<J, Name> }
      : { readonly payload: PayloadOf<J, Name> })
    & JobSettings;
}[NameOf<J>];

/** What a bulk dispatch may say. */
export interface BulkOptions {
  /** All or nothing: one refused job refuses all. Only where the transport can. Default false. */
  readonly atomic?: boolean | undefined;
  /**
   * Ends the call: with the signal's reason before anything was sent, and after that with `BulkRefusedError`, where
   * `OutcomeUnknown` stands for each job that may have been stored. Default: none.
   */
  readonly signal?: AbortSignal | undefined;
  /** As for {@linkcode DispatchOptions.transaction}. */
  readonly transaction?: object | undefined;
}

/** Dispatches jobs of any names; all are checked and encoded before the first is stored. */
export type DispatchMany<out J extends Jobs> = (
  jobs: readonly BulkJob<J>[],
  options?: BulkOptions,
) => Promise<readonly Dispatched[]>;

/** What a dispatcher needs beside what preparation needs. */
export interface Sender extends Desk {
  readonly events: Events;
  readonly callTimeout: number;
  /** The queues that running workers read. */
  readonly readers: Readers;
  /** The order of jobs that pass filters. */
  readonly turns: Turns;
  /** Shut when the relay closes; counts the calls under way. */
  readonly gate: Gate;
}

/** Dispatching without the types that only the caller needs. */
export interface Dispatcher {
  one(name: string, payload: unknown, options: DispatchOptions | undefined): Promise<Dispatched>;
  many(
    jobs: readonly ({ readonly name: string; readonly payload?: unknown } & JobSettings)[],
    options: BulkOptions,
  ): Promise<readonly Dispatched[]>;
}

/** Makes the dispatcher of a relay. */
export function createDispatcher(sender: Sender): Dispatcher {
  const { transport, runtime, callTimeout, gate } = sender;
  const pushes = createBatcher<PushJob, Exclude<Pushed, Error>>({
    runtime,
    send: (jobs, left) => transport.push(jobs, { deadline: left }),
    deadline: callTimeout,
    sizeOf: (job) => job.payload.length,
    maxItems: Math.min(MAX_BATCH, transport.limits.bulk),
    maxBytes: MAX_BATCH_BYTES,
  });

  function sendBatched(job: PushJob, signal: AbortSignal | undefined, refuse: boolean): Promise<Dispatched> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        if (!pushes.withdraw(ticket)) return reject(new OutcomeUnknown(job.id, signal?.reason));
        gate.leave();
        reject(signal?.reason);
      };
      gate.enter();
      const ticket = pushes.add(job, (pushed) => {
        gate.leave();
        signal?.removeEventListener("abort", abort);
        const result = resultOf(sender, job, pushed, refuse);
        if (result instanceof Error) reject(result);
        else resolve(result);
      });
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  function sendWithin(job: PushJob, transaction: object, refuse: boolean): Promise<Dispatched> {
    return gate.pass(async () => {
      const [pushed] = await pushWithin(sender, transaction, [job], false);
      const result = resultOf(sender, job, pushed ?? new Error("A transport did not answer"), refuse);
      if (result instanceof Error) throw result;
      return result;
    });
  }

  return {
    one(name, payload, options) {
      try {
        if (gate.shut) throw new RelayClosed(`dispatch '${shown(name)}'`);
        if (options !== undefined) checkCall(`dispatch '${shown(name)}'`, options);
        const { signal, transaction, ...settings } = options ?? {};
        signal?.throwIfAborted();
        const prepared = prepare(sender, name, payload, options === undefined ? undefined : settings);
        const refuse = settings.onDuplicate === "throw";
        const go = (job: PushJob): Promise<Dispatched> =>
          transaction === undefined ? sendBatched(job, signal, refuse) : sendWithin(job, transaction, refuse);
        const send = (job: PushJob): Promise<Dispatched> =>
          goesAtOnce(sender, job) ? go(job) : gate.pass(() => sendInTurn(sender, job, go, signal));
        if (!(prepared instanceof Promise)) return send(prepared);
        // Closing the relay waits for the schema too, and the signal ends that wait.
        return gate.pass(async () => {
          const job = await unlessAborted(prepared, signal);
          signal?.throwIfAborted();
          return await send(job);
        });
      } catch (error) {
        return Promise.reject(error);
      }
    },
    many: (jobs, options) => gate.pass(() => dispatchMany(sender, jobs, options), "dispatch jobs"),
  };
}

/** What must be looked at before the options are taken apart. */
function checkCall(action: string, options: { readonly signal?: AbortSignal | undefined }): void {
  checkObject(action, "its options", options);
  checkSignal(action, options.signal);
}

async function pushWithin(
  { transport, callTimeout }: Sender,
  transaction: object,
  jobs: readonly PushJob[],
  atomic: boolean,
): Promise<readonly Pushed[]> {
  if (transport.transactions === undefined) {
    throw new TypeError(`Cannot dispatch in a transaction as the ${transport.name} transport has none`);
  }
  return await transport.transactions.push(transaction, jobs, { atomic, deadline: callTimeout });
}

/** What the caller is told of one pushed job. */
function resultOf(
  { events, readers }: Sender,
  { id, name, queue }: PushJob,
  pushed: Pushed,
  refuse: boolean,
): Dispatched | Error {
  if (pushed instanceof Unsent) return errorOf(pushed.cause);
  if (pushed instanceof Error) return certain(pushed) ? pushed : new OutcomeUnknown(id, pushed);
  if (pushed === "withheld") return new WithheldJob(id);
  if (events.hears("dispatched")) events.emit("dispatched", { id, name, queue, status: pushed });
  if (readers.misses(queue)) {
    events.emit("error", { error: errorOfUnread(queue), during: `dispatching '${name}'` });
  }
  return pushed === "duplicate" && refuse ? new DuplicateJobError(id, queue) : { id, status: pushed };
}

/** A sound job of an atomic batch that was refused for others; it is counted among neither. */
class WithheldJob extends Error {
  constructor(id: string) {
    super(`Job '${id}' was not stored as its batch was refused`);
  }
}

/** A sound job that was never handed to the transport, as the call had been aborted. */
class Unsent extends Error {}

/** Whether an error says that nothing was stored. A `TypeError` does not: it is also what a broken connection of `fetch` is. */
function certain(error: Error): boolean {
  if (error instanceof RangeError) return true;
  return error instanceof RelevoError && error.code !== "DEADLINE_EXCEEDED";
}

async function dispatchMany(
  sender: Sender,
  jobs: Parameters<Dispatcher["many"]>[0],
  options: BulkOptions,
): Promise<readonly Dispatched[]> {
  checkCall("dispatch jobs", options);
  const { signal, transaction, atomic = false } = options;
  checkKnown("dispatch jobs", options, ["atomic", "signal", "transaction"]);
  checkBoolean("dispatch jobs", "atomic", atomic);
  signal?.throwIfAborted();
  if (!Array.isArray(jobs) || jobs.length === 0 || jobs.length > MAX_BULK) {
    const given = Array.isArray(jobs) ? jobs.length : typeof jobs;
    throw new RangeError(
      `Cannot dispatch jobs as there must be 1 to ${MAX_BULK} of them: current value is ${given}`,
    );
  }
  if (atomic && !sender.transport.features.atomicPush) {
    throw new TypeError(
      `Cannot dispatch jobs with 'atomic' as the ${sender.transport.name} transport cannot`,
    );
  }
  // All that the caller may change while this waits is read before.
  const refuse = jobs.map((job) => atomic || job?.onDuplicate === "throw");
  const started = startAll(sender, jobs);
  const prepared = soundOf(
    started.some((job) => job instanceof Promise)
      ? await unlessAborted(
        Promise.all(started.map((job) => job instanceof Promise ? job.catch(errorOf) : job)),
        signal,
      )
      : started,
  );
  signal?.throwIfAborted();
  const push = (ready: readonly PushJob[]): Promise<readonly Pushed[]> =>
    pushAll(sender, ready, { atomic, transaction, signal });
  const pushed =
    await (prepared.every((job) => goesAtOnce(sender, job))
      ? push(prepared)
      : sendAllInTurn(sender, prepared, push, signal));
  const results = prepared.map((job, index) => {
    const answer = pushed[index] ?? new Error("A transport did not answer for every job");
    return resultOf(sender, job, answer, refuse[index] ?? false);
  });
  const failures = failuresOf(results);
  if (failures.length > 0) {
    throw new BulkRefusedError(
      failures,
      prepared.length,
      pushed.filter((answer) => answer === "stored").length,
    );
  }
  return results as Dispatched[];
}

/** What became of the preparation of each job; all that the caller may change later is read here. */
function startAll(
  sender: Sender,
  jobs: Parameters<Dispatcher["many"]>[0],
): (PushJob | Error | Promise<PushJob>)[] {
  const requestId = sender.runtime.id();
  return jobs.map((job) => {
    try {
      checkObject("dispatch jobs", "each of them", job);
      const { name, payload, ...settings } = job;
      return prepare(sender, name, payload, settings, requestId);
    } catch (error) {
      return errorOf(error);
    }
  });
}

/** All jobs, or an error that names each that is wrong. */
function soundOf(prepared: readonly unknown[]): readonly PushJob[] {
  const failures = failuresOf(prepared);
  if (failures.length > 0) throw new BulkRefusedError(failures, prepared.length, 0);
  return prepared as readonly PushJob[];
}

/** Whether a job has no filters to pass, and stands behind none that has. */
function goesAtOnce({ definitions, turns }: Sender, { name, queue }: PushJob): boolean {
  return definitions.get(name)?.codec.pipeline === undefined && turns.isIdle(queue);
}

/** Sends a job after its filters, and after the jobs of its queue that were dispatched before. */
function sendInTurn(
  sender: Sender,
  job: PushJob,
  go: (job: PushJob) => Promise<Dispatched>,
  signal: AbortSignal | undefined,
): Promise<Dispatched> {
  return sender.turns.take(new Set([job.queue]), filtered(sender, job), go, { signal, apart: false });
}

function sendAllInTurn(
  sender: Sender,
  jobs: readonly PushJob[],
  push: (jobs: readonly PushJob[]) => Promise<readonly Pushed[]>,
  signal: AbortSignal | undefined,
): Promise<readonly Pushed[]> {
  const made = Promise.all(jobs.map((job) => filtered(sender, job).catch(errorOf))).then(soundOf);
  const queues = new Set(jobs.map(({ queue }) => queue));
  return sender.turns.take(queues, made, push, { signal, apart: true });
}

/** A job with the bytes that its filters make of its payload. */
async function filtered(sender: Sender, job: PushJob): Promise<PushJob> {
  const definition = sender.definitions.get(job.name);
  if (definition?.codec.pipeline === undefined) return job;
  const context = contextOf(job, undefined, "payload");
  return { ...job, payload: await filterPayload(sender, definition, job.payload, context) };
}

function failuresOf(results: readonly unknown[]): BulkFailure[] {
  return results.flatMap((error, index) =>
    error instanceof Error && !(error instanceof WithheldJob) ? [{ index, error }] : []
  );
}

async function pushAll(
  sender: Sender,
  jobs: readonly PushJob[],
  { atomic, transaction, signal }: {
    atomic: boolean;
    transaction: object | undefined;
    signal: AbortSignal | undefined;
  },
): Promise<readonly Pushed[]> {
  const { transport, callTimeout } = sender;
  if (transaction !== undefined) return await pushWithin(sender, transaction, jobs, atomic);
  const answers: Pushed[] = [];
  // What is stored as a whole travels as a whole.
  const step = atomic ? jobs.length : Math.min(MAX_BULK, transport.limits.bulk);
  for (let start = 0; start < jobs.length; start += step) {
    const part = jobs.slice(start, start + step);
    if (signal?.aborted) {
      const unsent = new Unsent("the call was aborted before", { cause: signal.reason });
      answers.push(...part.map(() => unsent));
      continue;
    }
    try {
      answers.push(...await transport.push(part, { atomic, deadline: callTimeout, signal }));
    } catch (error) {
      // Whether this part was stored may be unknown; the next has its own chance.
      const reason = errorOf(error);
      answers.push(...part.map(() => reason));
    }
  }
  return answers;
}
