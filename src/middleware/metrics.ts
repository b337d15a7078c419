/**
 * Metrics by the interface of seed 004: how long runs take, and how they end.
 *
 * @module
 */

import { observe } from "../events/events.ts";
import type { Job } from "../jobs/job.ts";
import { attaching, type Middleware } from "../sides/middleware.ts";
import { quote } from "../options.ts";

/** Where metrics are kept (seed 004); `jobType` is the job's name. */
export interface MetricStorage {
  /** A run took so many milliseconds, however it ended. */
  observeExecuteDuration(queue: string, jobType: string, ms: number): unknown;
  /** A run failed, and its job runs again. */
  incRetryCount(queue: string, jobType: string): unknown;
  /** A job is dead. */
  incDlqCount(queue: string, jobType: string): unknown;
  /** A job is done. */
  incSuccessCount(queue: string, jobType: string): unknown;
  /** The worker itself failed: its store is away, or an `error` event. Counted by the relay's list only. */
  incInternalErrorCount(): unknown;
  /** A job runs again and did not fail. Not in seed 004, which counts these nowhere. Default: not counted. */
  incRescheduleCount?(queue: string, jobType: string): unknown;
}

/** Deaths before a run: a job without a run has no duration. */
const BEFORE: readonly string[] = ["undecodable", "invalid", "unknown", "lost", "version"];

const METHODS = [
  "observeExecuteDuration",
  "incRetryCount",
  "incDlqCount",
  "incSuccessCount",
  "incInternalErrorCount",
] as const;

/**
 * Counts the ends of jobs, in a storage of yours: of all jobs in the list of a relay, of one in that of a handler.
 * It counts settlements that are stored: a run whose lease was lost counts where the job runs next. A storage that
 * throws changes no job's fate and becomes an `error` event.
 *
 * @throws {TypeError} for a value that is no storage.
 */
export function metrics(storage: MetricStorage): Middleware {
  for (const method of METHODS) {
    if (typeof Reflect.get(Object(storage), method) !== "function") {
      throw new TypeError(
        `Cannot make the middleware 'metrics' as its storage must have a function '${method}': current value is ${
          quote(Reflect.get(Object(storage), method))
        }`,
      );
    }
  }
  const middleware: Middleware = {};
  return attaching(middleware, (events, name) => {
    const isMine = (job: Job): boolean => name === undefined || job.name === name;
    const ended = (
      job: Job,
      duration: number,
      count: (queue: string, jobType: string) => unknown,
    ): unknown => {
      if (!isMine(job)) return undefined;
      storage.observeExecuteDuration(job.queue, job.name, duration);
      return count(job.queue, job.name);
    };
    const heard = [
      observe(
        events,
        "completed",
        ({ job, duration }) => ended(job, duration, (queue, type) => storage.incSuccessCount(queue, type)),
      ),
      observe(
        events,
        "retrying",
        ({ job, duration }) => ended(job, duration, (queue, type) => storage.incRetryCount(queue, type)),
      ),
      observe(
        events,
        "rescheduled",
        ({ job, duration }) =>
          ended(job, duration, (queue, type) => storage.incRescheduleCount?.(queue, type)),
      ),
      observe(events, "failed", ({ job, duration, reason }) => {
        if (duration > 0 || !BEFORE.includes(reason)) {
          return ended(job, duration, (queue, type) => storage.incDlqCount(queue, type));
        }
        return isMine(job) ? storage.incDlqCount(job.queue, job.name) : undefined;
      }),
    ];
    if (name === undefined) {
      heard.push(
        observe(
          events,
          "error",
          ({ during }) => during.startsWith("a listener of ") ? undefined : storage.incInternalErrorCount(),
        ),
        observe(
          events,
          "connection",
          ({ state }) => state === "down" ? storage.incInternalErrorCount() : undefined,
        ),
      );
    }
    return { [Symbol.dispose]: () => heard.forEach((each) => each[Symbol.dispose]()) };
  });
}
