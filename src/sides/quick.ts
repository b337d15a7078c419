/**
 * Dispatches through own sides alone: no side of the program's may have changed a job, so that there is nothing to look
 * through, and no promise to wait for beside the store's.
 *
 * @module
 */

import { errorOf } from "../errors.ts";
import type { PushJob } from "../jobs/exchange.ts";
import { addHeaders, readMeta, writeMeta } from "../jobs/record.ts";
import { checkHeaders } from "../names.ts";
import type { OutgoingAnswer } from "./middleware.ts";
import { callWithin, type OwnDispatch } from "./own.ts";

/** Passes jobs through own sides. */
export interface Quick {
  /** Passes one job on to `send`, with whose end it ends. */
  one<Answer>(job: PushJob, send: (job: PushJob) => Promise<Answer>): Promise<Answer>;
  /** Passes jobs on that go together. */
  many(
    jobs: readonly PushJob[],
    store: (jobs: readonly PushJob[]) => Promise<readonly OutgoingAnswer[]>,
  ): Promise<readonly OutgoingAnswer[]>;
}

/** Makes it; the first side is outermost. */
export function createQuick(sides: readonly OwnDispatch[]): Quick {
  return {
    one: (job, send) => {
      if (sides.length === 1) return passOne(sides[0] as OwnDispatch, job, send);
      return sides.reduceRight<typeof send>((next, side) => (given) => passOne(side, given, next), send)(job);
    },
    many: (jobs, store) =>
      sides.reduceRight<typeof store>((next, side) => (given) => passMany(side, given, next), store)(jobs),
  };
}

function passOne<Answer>(
  side: OwnDispatch,
  job: PushJob,
  send: (job: PushJob) => Promise<Answer>,
): Promise<Answer> {
  const token = side.begin([job]);
  const sent = begun(side, token, () => {
    const headers = side.headers(token);
    return send(headers === undefined ? job : carrying(job, headers));
  });
  sent.then(() => side.ended(token, undefined), (error) => side.ended(token, error));
  return sent;
}

function passMany(
  side: OwnDispatch,
  jobs: readonly PushJob[],
  store: (jobs: readonly PushJob[]) => Promise<readonly OutgoingAnswer[]>,
): Promise<readonly OutgoingAnswer[]> {
  const token = side.begin(jobs);
  const stored = begun(side, token, () => {
    const headers = side.headers(token);
    return store(headers === undefined ? jobs : jobs.map((job) => carrying(job, headers)));
  });
  const refusal = (answers: readonly OutgoingAnswer[]): unknown =>
    answers.find((answer) => answer instanceof Error);
  stored.then((answers) => side.ended(token, refusal(answers)), (error) => side.ended(token, error));
  return stored;
}

function begun<Answer>(
  side: OwnDispatch,
  token: unknown,
  call: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return callWithin(side, token, call);
  } catch (error) {
    return Promise.reject(errorOf(error));
  }
}

/** A job with further headers; those that its caller gave stay. */
function carrying(job: PushJob, headers: Readonly<Record<string, string>>): PushJob {
  // Ours alone are sound and short: to look through them would be a part of a quick dispatch's time.
  if (!job.meta.includes('"headers"')) return { ...job, meta: addHeaders(job.meta, headers) };
  const meta = readMeta(job.meta);
  const all = checkHeaders({ ...headers, ...meta.headers }, `dispatch '${job.name}'`);
  return { ...job, meta: writeMeta({ ...meta, headers: all }) };
}
