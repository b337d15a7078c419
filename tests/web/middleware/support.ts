/** What the tests of middlewares hand to them. */
import type { StandardSchema } from "../../../mod.ts";
import type { MetricStorage } from "../../../src/middleware/mod.ts";
import { free } from "../support/kit.ts";

/** Two jobs whose payloads are texts. */
export const jobs: Readonly<Record<"job" | "other", StandardSchema<string>>> = {
  job: free<string>(),
  other: free<string>(),
};

/** What a storage was told. */
export interface Counters {
  readonly counts: Record<"success" | "retry" | "dlq" | "reschedule" | "internal", number>;
  readonly durations: readonly (readonly [queue: string, type: string, ms: number])[];
  readonly storage: MetricStorage;
}

/** A storage that writes down what it is told. */
export function counters(): Counters {
  const counts = { success: 0, retry: 0, dlq: 0, reschedule: 0, internal: 0 };
  const durations: [queue: string, type: string, ms: number][] = [];
  const storage: MetricStorage = {
    observeExecuteDuration: (...rest) => durations.push(rest),
    incSuccessCount: () => counts.success++,
    incRetryCount: () => counts.retry++,
    incDlqCount: () => counts.dlq++,
    incRescheduleCount: () => counts.reschedule++,
    incInternalErrorCount: () => counts.internal++,
  };
  return { counts, durations, storage };
}

/** A storage of ambient request ids. */
export interface Ambient {
  run<Result>(id: string, call: () => Result): Result;
  getStore(): string | undefined;
}

/** A storage as `AsyncLocalStorage` is one, for synchronous code. */
export function ambient(): Ambient {
  let current: string | undefined;
  return {
    run<Result>(id: string, call: () => Result): Result {
      const before = current;
      current = id;
      try {
        return call();
      } finally {
        current = before;
      }
    },
    getStore: () => current,
  };
}
