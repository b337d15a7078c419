/**
 * The dispatch sides of a relay's middlewares, around whatever is to be stored: they may add headers and a request id,
 * and nothing else. Other changes are refused before the store is asked; the answers of the store are told as they are.
 *
 * @module
 */

import type { Alarms } from "../flow/alarms.ts";
import { unlessLate } from "../flow/deadline.ts";
import { DeadlineExceeded, errorOf } from "../errors.ts";
import type { Pushed, PushJob } from "../jobs/exchange.ts";
import type { AroundDispatch, DispatchFunction, OutgoingAnswer, OutgoingJob } from "./middleware.ts";
import { checkHeaders, checkId } from "../names.ts";
import { quote } from "../options.ts";
import { isByteArray, sameBytes } from "../kinds.ts";
import { hush } from "../promises.ts";
import type { Meta } from "../jobs/job.ts";
import { addHeaders, readMeta, writeMeta } from "../jobs/record.ts";
import type { OwnDispatch } from "./own.ts";
import { createQuick, type Quick } from "./quick.ts";

/** A job that is ready to be stored. */
export interface Parcel {
  readonly job: PushJob;
  /** Its request id is the caller's, or of the caller's own context, and not a generated one. */
  readonly requested: boolean;
}

/** Stores jobs; answers for each, and rejects where there is no answer. */
export type Store = (jobs: readonly PushJob[]) => Promise<readonly OutgoingAnswer[]>;

/** The dispatch side of a middleware, as a function and, of one of Relevo's, in parts. */
export interface DispatchSide {
  readonly around: AroundDispatch;
  readonly own: OwnDispatch | undefined;
}

/** Passes jobs through the dispatch sides to the store. */
export interface Outgoing {
  /** Where all sides are said in parts: the way for a single job, which asks no side for a request id. */
  readonly quick?: Quick;
  /**
   * Resolves with the store's answers, whatever a middleware makes of them.
   *
   * @throws {TypeError} when a middleware changed a job or did not go on; nothing was stored.
   * @throws whatever a middleware throws before it goes on, and `DeadlineExceeded` when it never does.
   */
  send(
    parcels: readonly Parcel[],
    store: Store,
    signal?: AbortSignal,
  ): Promise<readonly OutgoingAnswer[]>;
}

/** The parts that the sides are run with. */
export interface OutgoingOptions {
  readonly alarms: Alarms;
  /** Milliseconds that all sides together may take before they go on, and again after that. */
  readonly deadline: number;
  /** Told of faults once jobs are stored, as no caller may take it for a refusal. */
  readonly report: (error: Error) => void;
}

/** Makes it, or nothing where there is no dispatch side. */
export function createOutgoing(
  sides: readonly DispatchSide[],
  { alarms, deadline, report }: OutgoingOptions,
): Outgoing | undefined {
  if (sides.length === 0) return undefined;
  const own = sides.flatMap((side) => side.own ?? []);
  if (own.length === sides.length) {
    const quick = createQuick(own);
    return { quick, send: (parcels, store) => quick.many(parcels.map(({ job }) => job), store) };
  }
  const late = (): Error => new DeadlineExceeded("dispatch as a middleware did not go on", deadline);
  return {
    async send(parcels, store, signal) {
      const drafts = parcels.map(draftOf);
      const shown = drafts.map((draft) => draft.shown);
      const desk = createDesk(drafts, store);
      let failed: { readonly error: unknown } | undefined;
      const around = sides.reduceRight<DispatchFunction>(
        (next, side) => side.around(once(next, desk)),
        desk.take,
      );
      const passed = begin(around, shown).then(() => undefined, (error) => {
        failed = { error };
      });
      try {
        await unlessLate(alarms, Promise.race([passed, desk.asked]), { ms: deadline, late, signal });
      } catch (error) {
        // A dispatch that is over before the store was asked stores nothing any more.
        if (desk.storing === undefined) {
          desk.close();
          throw error;
        }
      }
      if (desk.storing === undefined) {
        desk.close();
        throw desk.refused ?? failed?.error ??
          new TypeError("Cannot dispatch as a middleware did not call 'next'");
      }
      const answers = await desk.storing;
      await unlessLate(alarms, passed, { ms: deadline, late, signal }).catch((error) => {
        if (!signal?.aborted) failed = { error };
      });
      desk.close();
      if (failed !== undefined) report(errorOf(failed.error));
      return answers;
    },
  };
}

/** The same for the ticks of schedules, whose store answers as transports do. */
export function tickOutgoing(outgoing: Outgoing | undefined): (
  jobs: readonly PushJob[],
  store: (jobs: readonly PushJob[]) => Promise<readonly Pushed[]>,
) => Promise<readonly Pushed[]> {
  if (outgoing === undefined) return (jobs, store) => store(jobs);
  return async (jobs, store) => {
    let pushed: readonly Pushed[] = [];
    const parcels = jobs.map((job) => ({ job, requested: readMeta(job.meta).requestId !== undefined }));
    await outgoing.send(parcels, async (passed) => {
      pushed = await store(passed);
      return passed.map(({ id }, index): OutgoingAnswer => {
        const status = pushed[index];
        if (status === "stored" || status === "duplicate") return { id, status };
        return status instanceof Error ? status : new Error(`Whether job '${id}' was stored is not known`);
      });
    });
    return pushed;
  };
}

/** A side that throws at once rejects like any other. */
async function begin(around: DispatchFunction, jobs: readonly OutgoingJob[]): Promise<void> {
  await around(jobs);
}

/** Where the innermost side hands the jobs over. */
interface Desk {
  readonly take: DispatchFunction;
  /** Resolves when the store is asked. */
  readonly asked: Promise<void>;
  /** Why the jobs were not handed to the store. */
  readonly refused: Error | undefined;
  /** The store's answers on their way; undefined while it was not asked. */
  readonly storing: Promise<readonly OutgoingAnswer[]> | undefined;
  readonly closed: boolean;
  close(): void;
}

function createDesk(drafts: readonly Draft[], store: Store): Desk {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  let storing: Promise<readonly OutgoingAnswer[]> | undefined;
  let closed = false;
  let refused: Error | undefined;
  return {
    asked,
    get refused() {
      return refused;
    },
    get storing() {
      return storing;
    },
    get closed() {
      return closed;
    },
    async take(jobs) {
      try {
        storing = store(readJobs(drafts, jobs));
      } catch (error) {
        refused = errorOf(error);
        throw error;
      }
      hush(storing);
      resolve();
      return [...await storing];
    },
    close: () => void (closed = true),
  };
}

/** A way on that can be taken once, and not when all is over. */
function once(next: DispatchFunction, desk: Desk): DispatchFunction {
  let called = false;
  return (jobs) => {
    if (desk.closed || called) {
      const why = called ? "a middleware called 'next' a second time" : "the dispatch is over";
      const refused = Promise.reject(new TypeError(`Cannot go on with a dispatch as ${why}`));
      hush(refused);
      return refused;
    }
    called = true;
    const given = next(jobs);
    hush(given);
    return given;
  };
}

/** A job before the sides, as the first of them sees it, with its metadata as it was read for that. */
interface Draft extends Parcel {
  readonly meta: Meta;
  readonly shown: OutgoingJob;
}

function draftOf({ job, requested }: Parcel): Draft {
  const meta = readMeta(job.meta);
  const { headers = {}, requestId } = meta;
  const { id, name, queue, payload, delay, at } = job;
  const shown: OutgoingJob = {
    id,
    name,
    queue,
    payload: payload.slice(),
    headers: { ...headers },
    requestId: requested ? requestId : undefined,
    ...(delay === undefined ? {} : { delay }),
    ...(at === undefined ? {} : { at }),
  };
  return { job, requested, meta, shown };
}

/** The jobs to be stored, as the last side handed them on. */
function readJobs(drafts: readonly Draft[], given: unknown): readonly PushJob[] {
  if (!Array.isArray(given) || given.length !== drafts.length) {
    throw new TypeError(
      `Cannot dispatch as a middleware must hand on ${drafts.length} jobs: current value is ${
        Array.isArray(given) ? `${given.length} jobs` : quote(given)
      }`,
    );
  }
  return drafts.map((draft, index) => readJob(draft, given[index]));
}

/** The fields that no side may change. */
const SAME = ["id", "name", "queue", "delay", "at"] as const;

function readJob({ job, meta, requested, shown }: Draft, given: unknown): PushJob {
  const action = `dispatch '${job.name}'`;
  const { headers: before = {} } = meta;
  const passed: Partial<OutgoingJob> = Object(given);
  const { payload, headers, requestId } = passed;
  for (const field of SAME) if (passed[field] !== job[field]) throw changed(action, field);
  if (!isByteArray(payload) || !sameBytes(payload, job.payload)) throw changed(action, "payload");
  const now = checkHeaders(headers ?? {}, action);
  const names = Object.keys(before);
  for (const header of names) {
    if (now[header] !== before[header]) throw changed(action, `headers.${header}`);
  }
  const asked = requested ? meta.requestId : undefined;
  if (asked !== undefined && requestId !== asked) throw changed(action, "requestId");
  if (requestId !== undefined) checkId(requestId, action, "requestId");
  const added = Object.keys(now).length > names.length;
  const isSame = requestId === undefined || requestId === shown.requestId;
  if (!added && isSame) return job;
  if (isSame && meta.headers === undefined) return { ...job, meta: addHeaders(job.meta, now) };
  return {
    ...job,
    meta: writeMeta({
      ...meta,
      ...(added ? { headers: now } : {}),
      ...(requestId === undefined ? {} : { requestId }),
    }),
  };
}

function changed(action: string, field: string): TypeError {
  return new TypeError(
    `Cannot ${action} as a middleware changed '${field}': it may add headers and a request id, and change nothing else`,
  );
}
