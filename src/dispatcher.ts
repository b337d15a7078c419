/**
 * Dispatching: a payload is checked, encoded and measured at once, and stored with the other jobs that are dispatched
 * in the same tick.
 *
 * @module
 */

import { createBatcher } from "./batch.ts";
import { dispatchMany, type Item } from "./bulk.ts";
import { MAX_BATCH, MAX_BATCH_BYTES } from "./defaults.ts";
import type { BulkOptions, Dispatched, DispatchOptions } from "./dispatch.ts";
import { errorOf, OutcomeUnknown, RelayClosed } from "./errors.ts";
import type { Pushed, PushJob } from "./exchange.ts";
import { shown } from "./options.ts";
import type { Outgoing, Parcel } from "./outgoing.ts";
import { prepare } from "./prepare.ts";
import { unlessAborted } from "./promises.ts";
import {
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

/** The fields beside a job's settings in the options of a dispatch. */
const BESIDE = ["signal", "transaction"];

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

  function sendWithRoom(job: PushJob, signal: AbortSignal | undefined, refuse: boolean): Promise<Dispatched> {
    const { berths } = sender;
    if (berths === undefined) return sendBatched(job, signal, refuse);
    return gate.pass(() => berths.take(1, signal, () => sendBatched(job, signal, refuse)));
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
        const { outgoing } = sender;
        const { desk, settings: own, requested } = outgoing === undefined
          ? { desk: sender, settings: options === undefined ? undefined : settings, requested: false }
          : withAmbient(sender, settings);
        checkInline(sender, { name, ...settings, transaction });
        const prepared = prepare(desk, name, payload, own, undefined, BESIDE);
        const refuse = settings.onDuplicate === "throw";
        const go = (job: PushJob): Promise<Dispatched> =>
          sender.inline !== undefined
            ? gate.pass(() => runInline(sender, job, signal))
            : transaction === undefined
            ? sendWithRoom(job, signal, refuse)
            : sendWithin(job, transaction, refuse);
        const send = (job: PushJob): Promise<Dispatched> =>
          goesAtOnce(sender, job) ? go(job) : gate.pass(() => sendInTurn(sender, job, go, signal));
        const pass = (job: PushJob): Promise<Dispatched> =>
          outgoing === undefined
            ? send(job)
            : gate.pass(() => sendThrough(outgoing, { job, requested }, send, signal));
        if (!(prepared instanceof Promise)) return pass(prepared);
        // Closing the relay waits for the schema too, and the signal ends that wait.
        return gate.pass(async () => {
          const job = await unlessAborted(prepared, signal);
          signal?.throwIfAborted();
          return await pass(job);
        });
      } catch (error) {
        return Promise.reject(error);
      }
    },
    many: (jobs, options) => gate.pass(() => dispatchMany(sender, jobs, options), "dispatch jobs"),
  };
}

/** Stores one job through the middlewares. */
async function sendThrough(
  outgoing: Outgoing,
  parcel: Parcel,
  store: (job: PushJob) => Promise<Dispatched>,
  signal: AbortSignal | undefined,
): Promise<Dispatched> {
  const all = (jobs: readonly PushJob[]): Promise<(Dispatched | Error)[]> =>
    Promise.all(jobs.map((job) => store(job).catch(errorOf)));
  let own: Promise<(Dispatched | Error)[]> | undefined;
  await outgoing.send([parcel], (jobs) => own = all(jobs), signal);
  const [answer] = await own ?? [];
  if (answer === undefined || answer instanceof Error) {
    throw answer ?? new Error("A transport did not answer");
  }
  return answer;
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
