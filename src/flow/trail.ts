/**
 * Which runs a call is part of: a handler that closes its own relay must not wait for itself, nor two handlers for each
 * other.
 *
 * @module
 */

import { asyncStore, type WayIn, waysInto } from "../runtime.ts";

/** A run of a handler as seen by the functions that it calls. */
export interface Step {
  /** The run from which this one follows, such as that of a handler that drains another relay. */
  readonly outer: Step | undefined;
  /** The way to calls that are a part of it, wherever the caller stands. */
  readonly into: WayIn;
  /** Tells the worker of the run that `ending` has changed. */
  readonly changed: () => void;
  /** Its handler has not ended yet. */
  live: boolean;
  /** Calls of it that wait for a relay or worker to end. */
  ending: number;
}

/** Follows runs. */
export interface Trail {
  /** The innermost run that the caller is part of. */
  current(): Step | undefined;
  /** The way from here to one call. */
  here(): Way;
  /** The way from here to many calls, wherever they are made. */
  from(): Way;
}

/** Makes calls as steps that follow from one place. */
export interface Way {
  /** The innermost run that the place is part of. */
  readonly outer: Step | undefined;
  /** Makes a call as a step. */
  readonly into: WayIn;
}

/** Makes a trail; undefined where the runtime cannot tell which call follows from which. */
export function createTrail(): Trail | undefined {
  const store = asyncStore();
  if (store === undefined) return undefined;
  const current = (): Step | undefined => store.getStore() as Step | undefined;
  const wayIn = waysInto(store);
  return {
    current,
    here: () => ({ outer: current(), into: { enter: (step, call) => store.run(step, call) } }),
    from: () => ({ outer: current(), into: wayIn() }),
  };
}

/** A step of a way. */
export function createStep({ outer, into }: Way, changed: () => void): Step {
  return { outer, into, changed, live: true, ending: 0 };
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
