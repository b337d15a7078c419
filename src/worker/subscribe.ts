/**
 * The first round of a run's subscriptions, on a transport that subscribes: a refusal of its broker is then a mistake of
 * the program or of its setup, and ends the run. A later failure is waited for.
 *
 * @module
 */

import { DeadlineExceeded } from "../errors.ts";
import { inTime } from "./patience.ts";
import type { State } from "./state.ts";

/**
 * Subscribes the queues of a worker's first look; rejects with the error of the broker, and then none of them is
 * subscribed.
 */
export async function subscribeFirst(state: State, queues: readonly string[]): Promise<void> {
  const { bench: { transport, callTimeout }, drain } = state;
  if (state.subscribed || transport.subscribe === undefined) return;
  const fetching = new AbortController();
  state.fetching = fetching;
  const { signal } = fetching;
  try {
    const answer = transport.subscribe(queues, { deadline: callTimeout, signal });
    await inTime(state, answer, { action: "subscribe to the broker", wait: 0, signal });
    state.subscribed = true;
  } catch (error) {
    // Cut short, it is begun anew, perhaps with other queues.
    if (signal.aborted) return;
    if (!(error instanceof DeadlineExceeded) || drain !== undefined) throw error;
    // A broker that does not answer is one that went away.
    state.subscribed = true;
  } finally {
    if (state.fetching === fetching) state.fetching = undefined;
  }
}
