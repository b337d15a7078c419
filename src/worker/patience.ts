/**
 * A reserve that does not answer in time, as over a half-open connection: it is given up, so that no worker hangs on
 * it, and whatever it still brings is given back.
 *
 * @module
 */

import { DeadlineExceeded, errorOf } from "../errors.ts";
import type { Delivery } from "../exchange.ts";
import type { State } from "./state.ts";

/** Beyond what a transport was granted, it has as long again as a call may take: by then it has forgotten. */
const GRANTS = 2;

/** What the transport answers, or a rejection when it has not in time; `signal` says that the answer is wanted no more. */
export function inTime(
  state: State,
  answer: Promise<readonly Delivery[]>,
  wait: number,
  signal: AbortSignal,
): Promise<readonly Delivery[]> {
  const { alarms, bench: { callTimeout } } = state;
  return new Promise((resolve, reject) => {
    let late = false;
    const giveUp = (ms: number): () => void => () => {
      late = true;
      signal.removeEventListener("abort", hurry);
      reject(new DeadlineExceeded("reserve jobs", ms));
    };
    const granted = wait + GRANTS * callTimeout;
    let alarm = alarms.set(granted, giveUp(granted));
    const hurry = (): void => {
      alarm.cancel();
      alarm = alarms.set(callTimeout, giveUp(callTimeout));
    };
    signal.addEventListener("abort", hurry, { once: true });
    const end = (then: () => void): void => {
      alarm.cancel();
      signal.removeEventListener("abort", hurry);
      then();
    };
    answer.then(
      (deliveries) => late ? giveBack(state, deliveries) : end(() => resolve(deliveries)),
      (error) => end(() => reject(error)),
    );
  });
}

/** The worker may be over by now, so this goes straight to the transport; what fails comes back with its lease. */
function giveBack(
  { bench: { transport, callTimeout, events } }: State,
  deliveries: readonly Delivery[],
): void {
  if (deliveries.length === 0) return;
  const releases = deliveries.map(({ queue, token }) => ({ queue, token, to: "release" as const }));
  transport.settle(releases, { deadline: callTimeout }).catch((thrown) => {
    events.emit("error", { error: errorOf(thrown), during: "giving back what a reserve brought too late" });
  });
}
