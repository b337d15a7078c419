/**
 * Metrics by the interface of seed 004: how long runs take, and how they end.
 *
 * @module
 */

import { observe, type ObservedRun, observeRuns, type RunEnd } from "../events/events.ts";
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
    const heard: Disposable[] = [
      observeRuns(events, (ended, failed) => {
        for (const run of ended) {
          const { delivery, end } = run;
          if (!isEnd(end) || owns?.(delivery) === false) continue;
          // Each method's fault is its own: what one of them throws or rejects with is told, and the other counts on.
          attempt(() => duration(storage, run), (error) => failed(end, error));
          attempt(() => COUNTS[end](storage, delivery.queue, delivery.name), (error) => failed(end, error));
        }
      }),
    ];
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

/** Tells how long a run took; a job that is dead before a run has no time. */
function duration(
  storage: MetricStorage,
  { delivery: { queue, name }, wait, duration: ms }: ObservedRun,
): unknown {
  return wait < 0 ? undefined : storage.observeExecuteDuration(queue, name, ms);
}

function attempt(call: () => unknown, failed: (error: unknown) => void): void {
  try {
    const result = call();
    if (result instanceof Promise) result.catch(failed);
  } catch (error) {
    failed(error);
  }
}

/** Whether a delivery ended by a run, or by a death before it. */
function isEnd(end: RunEnd | undefined): end is keyof typeof COUNTS {
  return end !== undefined && Object.hasOwn(COUNTS, end);
}
