/**
 * The step that finds out which of several queues keeps a reserve from working: each is asked alone, those that work
 * are reserved from together again at once, and the others are tried by themselves, so that they cost the rest nothing.
 *
 * @module
 */

import { aside, queuesOf, rearm, type State } from "./state.ts";
import { isOfAll } from "./trouble.ts";

/** Asks for a job of one queue, without waiting, and takes in a job that comes. */
export type Ask = (queue: string) => Promise<void>;

/** Milliseconds in which a transport that failed for every queue is not asked for each of them again. */
const AGAIN = 10_000;
/** Failures in a row, with queues parted in between, behind which the reserve itself is at fault and has its pause. */
const PARTINGS = 4;

/**
 * Parts the queues that do not work from those that do, and resolves as soon as one of the latter is found. `none`:
 * there is none, so that it is the transport that does not work; undefined: that was not found out.
 */
export async function partOut(
  state: State,
  queues: readonly string[],
  ask: Ask,
): Promise<"some" | "none" | undefined> {
  const { runtime } = state.bench;
  state.failures++;
  // One failure is often that of a moment, and of the transport.
  if (state.drain === undefined && state.failures < 2) return undefined;
  // Each works alone, and together they do not: no queue by itself is at fault.
  if (state.failures > PARTINGS) return undefined;
  if (runtime.monotonic() - state.partedAt < AGAIN) return undefined;
  const works = state.drain === undefined ? await all(state, queues, ask) : await inTurn(state, queues, ask);
  if (!works) state.partedAt = runtime.monotonic();
  return works ? "some" : "none";
}

/** All at once: one that is silent must not keep the others waiting. */
function all(state: State, queues: readonly string[], ask: Ask): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const failed: (() => void)[] = [];
  let left = queues.length;
  let works = false;
  const end = (): void => {
    left--;
    if (works) { for (const part of failed.splice(0)) part(); }
    else if (left === 0) { for (const queue of queues) state.apart.delete(queue); }
    if (works || left === 0) resolve(works);
  };
  for (const queue of queues) {
    state.apart.add(queue);
    const asked = ask(queue).then(() => {
      works = true;
      rejoin(state, queue);
    }, (error) => {
      if (state.stopping) works = true;
      else failed.push(() => aside(state, retry(state, queue, ask, error)));
    });
    aside(state, asked.then(end));
  }
  return promise;
}

/**
 * One after another, as a drain takes no more than it was told to; a queue that does not work is told when the rest is
 * done.
 */
async function inTurn(state: State, queues: readonly string[], ask: Ask): Promise<boolean> {
  const faults: unknown[] = [];
  for (const queue of queues) {
    if (state.stopping || (state.drain?.left ?? 0) < 1) break;
    try {
      await ask(queue);
    } catch (error) {
      state.apart.add(queue);
      state.troubles.down(queue, "reserve", error);
      faults.push(error);
    }
  }
  if (faults.length === queues.length) return false;
  if (faults.length > 0 && state.drain !== undefined) state.drain.fault ??= { error: faults[0] };
  return true;
}

/** Tries a queue until it works again, or no worker asks for it. */
async function retry(state: State, queue: string, ask: Ask, thrown: unknown): Promise<void> {
  const { ending: { signal }, troubles, bench: { runtime } } = state;
  for (let error = thrown;;) {
    await runtime.sleep(troubles.down(queue, "reserve", error), signal).catch(() => undefined);
    if (signal.aborted) return;
    if (!queuesOf(state).includes(queue)) break;
    try {
      await ask(queue);
      break;
    } catch (reason) {
      if (signal.aborted) return;
      error = reason;
    }
  }
  rejoin(state, queue);
}

function rejoin(state: State, queue: string): void {
  state.apart.delete(queue);
  state.troubles.up(queue, "reserve");
  rearm(state);
}

/** Tells which queues fail for a reason of their own, where none of those that were asked for works. */
export function tellAll(state: State, queues: readonly string[], error: unknown): void {
  if (!isOfAll(error)) { for (const queue of queues) state.troubles.down(queue, "reserve", error); }
}
