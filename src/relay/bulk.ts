/**
 * The dispatch of many jobs at once: all are checked and encoded before the first is stored.
 *
 * @module
 */

import { lackOf } from "../contract/lacks.ts";
import { MAX_BULK } from "../defaults.ts";
import type { BulkOptions, Dispatched } from "./dispatch.ts";
import {
  AtomicLimitError,
  type BulkFailure,
  BulkRefusedError,
  errorOf,
  TransportBusy,
  UnknownJobError,
} from "../errors.ts";
import type { Pushed, PushJob } from "../jobs/exchange.ts";
import { hasFields } from "../kinds.ts";
import { checkBoolean, checkKnown, checkObject, quote, shown } from "../options.ts";
import { type JobSettings, prepare, SETTINGS, type SharedRequest } from "./prepare.ts";
import { unlessAborted } from "../promises.ts";
import {
  type BatchSender,
  checkCall,
  checkInline,
  failureOf,
  filtered,
  goesAtOnce,
  pushWithin,
  resultOf,
  runInline,
  Unsent,
  withAmbient,
  WithheldJob,
} from "./sending.ts";

/** A job of a bulk, without the types that only the caller needs. */
export type Item = { readonly name: string; readonly payload?: unknown } & JobSettings;

/** Dispatches many jobs. */
export async function dispatchMany(
  sender: BatchSender,
  jobs: readonly Item[],
  options: BulkOptions,
): Promise<readonly Dispatched[]> {
  checkCall("dispatch jobs", options);
  const { signal, transaction, atomic = false } = options;
  checkKnown("dispatch jobs", options, ["atomic", "signal", "transaction"]);
  checkBoolean("dispatch jobs", "atomic", atomic);
  signal?.throwIfAborted();
  if (!Array.isArray(jobs) || jobs.length === 0 || jobs.length > MAX_BULK) {
    throw new RangeError(
      `Cannot dispatch jobs as there must be 1 to ${MAX_BULK} of them, in a list of { name, payload }: ` +
        `current value is ${quote(jobs)}`,
    );
  }
  if (atomic && !sender.transport.features.atomicPush) {
    throw new TypeError(
      `Cannot dispatch jobs with 'atomic' as ${lackOf(sender.transport, "atomicPush", "cannot")}`,
    );
  }
  // All that the caller may change while this waits is read before. A hole in the list is no job.
  const items = Array.from(jobs);
  const refuse = items.map((job) => atomic || job?.onDuplicate === "throw");
  const { started, requests } = startAll(sender, items, transaction);
  const sound = soundOf(
    started.some((job) => job instanceof Promise)
      ? await unlessAborted(
        Promise.all(started.map((job) => job instanceof Promise ? job.catch(errorOf) : job)),
        signal,
      )
      : started,
  );
  signal?.throwIfAborted();
  let stored = 0;
  let results: readonly (Dispatched | Error)[] = [];
  const push = (ready: readonly PushJob[]): Promise<readonly Pushed[]> =>
    pushWithRoom(sender, ready, { atomic, transaction, signal });
  const store = async (prepared: readonly PushJob[]): Promise<readonly (Dispatched | Error)[]> => {
    if (sender.inline !== undefined) {
      const done: Dispatched[] = [];
      for (const job of prepared) done.push(await runInline(sender, await filtered(sender, job), signal));
      return results = done;
    }
    const pushed =
      await (prepared.every((job) => goesAtOnce(sender, job))
        ? push(prepared)
        : sendAllInTurn(sender, prepared, push, signal));
    stored = pushed.filter((answer) => answer === "stored").length;
    results = prepared.map((job, index) => {
      const answer = pushed[index] ?? new Error("A transport did not answer for every job");
      return resultOf(sender, job, answer, refuse[index] ?? false);
    });
    return results;
  };
  if (sender.outgoing === undefined) await store(sound);
  else {
    const parcels = sound.map((job, index) => ({ job, requested: requests[index] ?? false }));
    await sender.outgoing.send(parcels, store, signal);
  }
  const failures = failuresOf(results);
  if (failures.length > 0) throw new BulkRefusedError(failures, sound.length, stored);
  return results as Dispatched[];
}

/** The fields of an entry of many. */
const FIELDS: readonly string[] = [...SETTINGS, "name", "payload"];

/** The fate of the preparation of each job; all that the caller may change later is read here. */
function startAll(
  sender: BatchSender,
  jobs: readonly Item[],
  transaction: object | undefined,
): {
  readonly started: readonly (PushJob | Error | Promise<PushJob>)[];
  readonly requests: readonly boolean[];
} {
  const shared: SharedRequest = { id: sender.runtime.id(), record: undefined };
  const requests: boolean[] = [];
  const started = jobs.map((job, index) => {
    try {
      checkObject("dispatch jobs", "each of them", job);
      if (typeof job.name !== "string") throw nameless(job);
      const { name, payload, ...given } = job;
      checkInline(sender, { name, ...given, transaction });
      if (sender.outgoing === undefined || sender.outgoing.quick !== undefined) {
        return prepare(
          sender,
          name,
          payload,
          Object.keys(given).length === 0 ? undefined : given,
          shared,
          FIELDS,
        );
      }
      const { desk, settings, requested } = withAmbient(sender, given);
      requests[index] = requested;
      return prepare(desk, name, payload, settings, shared, FIELDS);
    } catch (error) {
      return errorOf(error);
    }
  });
  return { started, requests };
}

function nameless(job: Item): Error {
  const isEntry = !Array.isArray(job) && hasFields(job);
  return new UnknownJobError(
    shown(job.name),
    `each of them must be { name, payload }: current value is ${isEntry ? "without a name" : quote(job)}`,
  );
}

/** All jobs, or an error that names each that is wrong. */
function soundOf(prepared: readonly unknown[]): readonly PushJob[] {
  const failures = failuresOf(prepared);
  if (failures.length > 0) throw new BulkRefusedError(failures, prepared.length, 0);
  return prepared as readonly PushJob[];
}

function sendAllInTurn(
  sender: BatchSender,
  jobs: readonly PushJob[],
  push: (jobs: readonly PushJob[]) => Promise<readonly Pushed[]>,
  signal: AbortSignal | undefined,
): Promise<readonly Pushed[]> {
  const made = Promise.all(jobs.map((job) => filtered(sender, job).catch(errorOf))).then(soundOf);
  const queues = new Set(jobs.map(({ queue }) => queue));
  return sender.turns.take(queues, made, push, { signal, apart: true });
}

function failuresOf(results: readonly unknown[]): BulkFailure[] {
  const failures: BulkFailure[] = [];
  results.forEach((error, index) => {
    if (error instanceof Error && !(error instanceof WithheldJob)) failures.push({ index, error });
  });
  return failures;
}

/** How jobs are pushed together. */
interface PushTogether {
  readonly atomic: boolean;
  readonly transaction: object | undefined;
  readonly signal: AbortSignal | undefined;
}

/** In a transaction jobs never wait for room: those that have it may wait for the transaction to end. */
async function pushWithRoom(
  sender: BatchSender,
  jobs: readonly PushJob[],
  how: PushTogether,
): Promise<readonly Pushed[]> {
  const { berths } = sender;
  if (berths === undefined || how.transaction !== undefined) return await pushAll(sender, jobs, how);
  try {
    return await berths.take(jobs.length, how.signal, () => pushAll(sender, jobs, how));
  } catch (error) {
    if (!(error instanceof TransportBusy)) throw error;
    return jobs.map(() => error);
  }
}

async function pushAll(
  sender: BatchSender,
  jobs: readonly PushJob[],
  { atomic, transaction, signal }: PushTogether,
): Promise<readonly Pushed[]> {
  const { transport, callTimeout } = sender;
  if (transaction !== undefined) return await pushWithin(sender, transaction, jobs, atomic);
  const answers: Pushed[] = [];
  // Jobs that were dispatched one by one before go first.
  sender.pushes.cut();
  // Jobs that are stored as a whole travel as a whole.
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
      // It is no fault of a job's.
      if (error instanceof AtomicLimitError) throw error;
      // Whether this part was stored may be unknown; the next has its own chance.
      answers.push(...part.map(({ id }) => failureOf(id, error, signal)));
    }
  }
  return answers;
}
