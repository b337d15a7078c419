/**
 * Which runs a call is part of: a handler that closes its own relay must not wait for itself, nor two handlers for each
 * other.
 *
 * @module
 */

import { asyncStore } from "./runtime.ts";

/** A run of a handler as seen by what it calls. */
export interface Step {
  /** The run from which this one follows, such as that of a handler that drains another relay. */
  readonly outer: Step | undefined;
  /** Tells the worker of the run that `ending` has changed. */
  readonly changed: () => void;
  /** Its handler has not ended yet. */
  live: boolean;
  /** Calls of it that wait for a relay or worker to end. */
  ending: number;
}

/** Follows runs. */
export interface Trail {
  /** Makes a call as a step. */
  follow<Result>(step: Step, call: () => Result): Result;
  /** The innermost run that the caller is part of. */
  current(): Step | undefined;
}

/** Makes a trail; undefined where the runtime cannot tell what follows from what. */
export function createTrail(): Trail | undefined {
  const store = asyncStore();
  if (store === undefined) return undefined;
  return {
    follow: (step, call) => store.run(step, call),
    current: () => store.getStore() as Step | undefined,
  };
}

/** A step that follows from the caller. */
export function createStep(trail: Trail, changed: () => void): Step {
  return { outer: trail.current(), changed, live: true, ending: 0 };
}

/** The runs that the caller is part of, and that have not ended. */
export function liveSteps(trail: Trail | undefined): readonly Step[] {
  const steps: Step[] = [];
  for (let step = trail?.current(); step !== undefined; step = step.outer) if (step.live) steps.push(step);
  return steps;
}

/** Waits as a part of runs: a call that waits for these runs meanwhile need not. */
export async function endingAs<Result>(
  steps: readonly Step[],
  wait: () => Promise<Result>,
): Promise<Result> {
  const add = (count: number): void => {
    for (const step of steps) {
      step.ending += count;
      step.changed();
    }
  };
  add(1);
  try {
    return await wait();
  } finally {
    add(-1);
  }
}
