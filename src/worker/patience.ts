/**
 * A call that does not answer in time, as over a half-open connection: it is given up, so that no worker hangs on it,
 * and whatever a reserve still brings is given back.
 *
 * @module
 */

import { DeadlineExceeded, errorOf } from "../errors.ts";
import type { Delivery } from "../jobs/exchange.ts";
import type { State } from "./state.ts";

/** Beyond the time that a transport was granted, it has as long again as a call may take: by then it has forgotten. */
const GRANTS = 2;

/** The bounds of one call's patience. */
export interface Bounds<T> {
  /** Completes "Cannot ...". */
  readonly action: string;
  /** Milliseconds that the call may wait for something, beside the time that any call may take. */
  readonly wait: number;
  /** Says that the answer is wanted no more. */
  readonly signal: AbortSignal;
  /** Takes an answer that comes when it was given up. */
  readonly late?: (answer: T) => void;
}

/** The answer of the transport, or a rejection where none came in time. */
export function inTime<T>(state: State, answer: Promise<T>, bounds: Bounds<T>): Promise<T> {
  const { alarms, bench: { callTimeout, runtime } } = state;
  const { action, wait, signal } = bounds;
  return new Promise((resolve, reject) => {
    let late = false;
    const giveUp = (ms: number): () => void => () => {
      late = true;
      signal.removeEventListener("abort", hurry);
      reject(new DeadlineExceeded(action, ms));
    };
    const granted = wait + GRANTS * callTimeout;
    let alarm = alarms.set(granted, giveUp(granted));
    const hurry = (): void => {
      alarm.cancel();
      // A worker that stops within a grace has no more time than that.
      const left = Math.min(callTimeout, Math.max(0, state.endBy - runtime.monotonic()));
      alarm = alarms.set(left, giveUp(left));
    };
    signal.addEventListener("abort", hurry, { once: true });
    const end = (then: () => void): void => {
      alarm.cancel();
      signal.removeEventListener("abort", hurry);
      then();
    };
    answer.then(
      (value) => late ? bounds.late?.(value) : end(() => resolve(value)),
      (error) => end(() => reject(error)),
    );
  });
}

/**
 * Gives back late deliveries. The worker may be over by now, so this goes straight to the transport; a job that fails
 * there comes back with its lease.
 */
export function giveBack(
  { bench: { transport, callTimeout, events } }: State,
  deliveries: readonly Delivery[],
): void {
  if (deliveries.length === 0) return;
  const releases = deliveries.map(({ queue, token }) => ({ queue, token, to: "release" as const }));
  transport.settle(releases, { deadline: callTimeout }).catch((thrown) => {
    events.emit("error", { error: errorOf(thrown), during: "giving back what a reserve brought too late" });
  });
}
