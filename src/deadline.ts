/**
 * Promises that may never settle, and what stands for them when their time is over.
 *
 * @module
 */

import type { Alarms } from "./alarms.ts";

/** What bounds a wait. */
export interface Bounds {
  /** Milliseconds from now. */
  readonly ms: number;
  /** What the wait rejects with when they are over. */
  readonly late: () => Error;
  /** Ends the wait early, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What a promise comes to in time. Leaves no timer and no listener behind; what comes too late is heard and dropped. */
export function inTime<T>(alarms: Alarms, promise: Promise<T>, { ms, late, signal }: Bounds): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (then: () => void): void => {
      alarm.cancel();
      signal?.removeEventListener("abort", abort);
      then();
    };
    const abort = (): void => end(() => reject(signal?.reason));
    const alarm = alarms.set(ms, () => end(() => reject(late())));
    signal?.addEventListener("abort", abort, { once: true });
    promise.then((value) => end(() => resolve(value)), (error) => end(() => reject(error)));
  });
}
