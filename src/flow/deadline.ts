/**
 * Promises that may never settle, and the errors that stand for them when their time is over. One timer serves all
 * waits of an owner; none and no listener is left behind, and a late answer is heard and dropped.
 *
 * @module
 */

import type { Alarms } from "./alarms.ts";
import { DeadlineExceeded } from "../errors.ts";
import type { Call } from "../jobs/exchange.ts";
import type { Runtime } from "../runtime.ts";

/** The bounds of a wait. */
export interface Bounds {
  /** Milliseconds from now. */
  readonly ms: number;
  /** The error of the wait when they are over. */
  readonly late: () => Error;
  /** Ends the wait early, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Milliseconds beyond its deadline in which a call may say itself that it is over. */
const MARGIN = 1_000;

/** The end of a promise in time. */
export function unlessLate<T>(alarms: Alarms, promise: Promise<T>, { ms, late, signal }: Bounds): Promise<T> {
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

/**
 * The answer of a transport to a call, or `DeadlineExceeded` when it does not keep the deadline, whatever the reason.
 * When the signal aborts, the transport has no more than a moment left, and then the call rejects with its reason.
 */
export function patiently<T>(alarms: Alarms, action: string, call: Call, answer: Promise<T>): Promise<T> {
  const { deadline, signal } = call;
  return new Promise((resolve, reject) => {
    const ms = deadline + MARGIN;
    let alarm = alarms.set(ms, () => end(() => reject(new DeadlineExceeded(action, ms))));
    const hurry = (): void => {
      alarm.cancel();
      alarm = alarms.set(MARGIN, () => end(() => reject(signal?.reason)));
    };
    const end = (then: () => void): void => {
      alarm.cancel();
      signal?.removeEventListener("abort", hurry);
      then();
    };
    signal?.addEventListener("abort", hurry, { once: true });
    answer.then((value) => end(() => resolve(value)), (error) => end(() => reject(error)));
  });
}

/** Waits for something, whatever it comes to, and for so many milliseconds at most. */
export async function briefly(
  runtime: Pick<Runtime, "sleep">,
  ms: number,
  work: Promise<unknown>,
): Promise<void> {
  const ending = new AbortController();
  const over = runtime.sleep(ms, ending.signal).catch(() => undefined);
  await Promise.race([work.catch(() => undefined), over]);
  ending.abort();
}
