/**
 * The end of a worker or relay that its own work waits for, as a handler, a schema or a middleware called it: such work
 * is not waited for in turn. Where the runtime cannot tell which work waits, the waiting is given up after the worker's
 * grace, or the work's own time; the worker ends all the same, when its runs have.
 *
 * @module
 */

import { errorOf } from "../errors.ts";
import { endingAs, liveSteps, type Step } from "../flow/trail.ts";
import { tellStuck } from "./perform.ts";
import type { Run } from "./run.ts";
import type { State } from "./state.ts";

/** A part of a relay that ends, as the work sees it that it waits for. */
export interface Leaving {
  /**
   * Resolves with true when nothing but work that waits for such an end holds it up, and with false when it has ended.
   */
  held(): Promise<boolean>;
}

/**
 * Waits for the end of engines, of the calls inside a gate, and for the steps behind it, as far as the caller is not
 * part of work that must end first.
 */
export async function untilEnded(
  { trail, events }: State["bench"],
  engines: readonly Leaving[],
  ended: Promise<unknown>,
  gate?: Leaving,
): Promise<void> {
  const steps = liveSteps(trail);
  if (trail !== undefined && steps.length === 0) return void await ended;
  await endingAs(steps, async () => {
    const held = Promise.all(engines.map((engine) => engine.held())).then((all) =>
      all.some(Boolean) || (trail !== undefined && gate?.held())
    );
    // The race hears of an end that fails, too.
    if (!await Promise.race([held, ended.then(() => false)])) return void await ended;
    ended.catch((error) =>
      events.emit("error", { error: errorOf(error), during: "ending a relay or worker" })
    );
  });
}

/** As {@linkcode Leaving.held} for a worker that stops. */
export function heldOnly(state: State, done: Promise<unknown>): Promise<boolean> {
  return state.bench.trail === undefined ? heldTooLong(state, done) : new Promise((resolve) => {
    const end = (held: boolean): void => {
      state.leaving.delete(check);
      enough?.cancel();
      resolve(held);
    };
    let enough: { cancel(): void } | undefined;
    const check = (): void => {
      const steps = [
        ...state.running.items().filter(isAwaited).map(({ step }) => step),
        ...state.beside,
        ...state.sealers,
      ];
      const began = state.fetched || state.beside.size > 0;
      if (!began || state.buffer.size > 0 || steps.length === 0 || !steps.every(isLeaving)) return;
      if (state.unsettled === state.sealers.size) return end(true);
      // No longer than a worker waits for its last answers.
      enough ??= state.alarms.set(state.bench.callTimeout, () => end(true));
    };
    state.leaving.add(check);
    done.then(() => end(false), () => end(false));
    check();
  });
}

function isAwaited({ abandoned }: Run): boolean {
  return abandoned === undefined;
}

function isLeaving(step: Step | undefined): boolean {
  return step !== undefined && step.ending > 0;
}

/** Whether a worker that stops has not ended within its grace; a run that goes on is told as `stuck`. */
function heldTooLong(state: State, done: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const alarm = state.alarms.set(state.settings.grace, () => {
      for (const run of state.running.items()) if (isAwaited(run)) tellStuck(state, run, "close");
      resolve(true);
    });
    const end = (): void => {
      alarm.cancel();
      resolve(false);
    };
    done.then(end, end);
  });
}
