/**
 * The first round of a run's subscriptions, on a transport that subscribes: a refusal of its broker is then a mistake of
 * the program or of its setup, and ends the run. A later failure is waited for.
 *
 * @module
 */

import { DeadlineExceeded } from "../errors.ts";
import type { Transport } from "../contract/transport.ts";
import { inTime } from "./patience.ts";
import type { State } from "./state.ts";

/**
 * Subscribes the queues of a worker's first look; undefined where there is nothing to do, rejects with the error of the broker, and then none of them is
 * subscribed.
 */
export function subscribeFirst(state: State, queues: readonly string[]): Promise<void> | undefined {
  const { subscribe } = state.bench.transport;
  return state.subscribed || subscribe === undefined ? undefined : subscribeBy(state, queues, subscribe);
}

async function subscribeBy(
  state: State,
  queues: readonly string[],
  subscribe: NonNullable<Transport["subscribe"]>,
): Promise<void> {
  const { bench: { callTimeout }, drain } = state;
  const fetching = new AbortController();
  state.fetching = fetching;
  const { signal } = fetching;
  try {
    const answer = subscribe(queues, { deadline: callTimeout, signal });
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
