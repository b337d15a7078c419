/**
 * Metrics by the interface of seed 004: how long runs take, and how they end.
 *
 * @module
 */

import { observe, observeRuns, type RunObserver } from "../events/events.ts";
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

/** The method that counts each end of a run. */
const COUNTS = {
  completed: (storage: MetricStorage, queue: string, type: string) => storage.incSuccessCount(queue, type),
  retrying: (storage: MetricStorage, queue: string, type: string) => storage.incRetryCount(queue, type),
  failed: (storage: MetricStorage, queue: string, type: string) => storage.incDlqCount(queue, type),
  rescheduled: (storage: MetricStorage, queue: string, type: string) =>
    storage.incRescheduleCount?.(queue, type),
} as const;

/**
 * Counts the ends of jobs, in a storage of yours: of all jobs in the list of a relay, in that of a handler of its own.
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
  return attaching(middleware, (events, owns) => {
    const durations: RunObserver = {
      began: () => undefined,
      ended(delivery, end, _, { duration = 0, reason = "" }) {
        if (owns?.(delivery) === false || !isEnd(end)) return undefined;
        const isRun = end !== "failed" || duration > 0 || !BEFORE.includes(reason);
        return isRun ? storage.observeExecuteDuration(delivery.queue, delivery.name, duration) : undefined;
      },
    };
    const counts: RunObserver = {
      began: () => undefined,
      ended: (delivery, end) =>
        owns?.(delivery) === false || !isEnd(end)
          ? undefined
          : COUNTS[end](storage, delivery.queue, delivery.name),
    };
    // Two observers, as each method's fault is its own: what one of them rejects with is heard, and the other counts on.
    const heard = [observeRuns(events, durations), observeRuns(events, counts)];
    if (owns === undefined) {
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

/** Whether a delivery ended by a run, or by a death before it. */
function isEnd(end: Parameters<RunObserver["ended"]>[1]): end is keyof typeof COUNTS {
  return end !== undefined && end !== "released" && end !== "stale";
}
