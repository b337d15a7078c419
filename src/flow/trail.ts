/**
 * Which work of Relevo's a call is part of: a run, a dispatch, a tick, an operator's call. A function of the program's
 * that closes its own relay must not wait for the work that called it, nor two such functions for each other.
 *
 * @module
 */

import { asyncStore, type WayIn, waysInto } from "../runtime.ts";

/** A piece of work, such as a run, as seen by the functions of the program's that it calls. */
export interface Step {
  /** The work from which this one follows, such as the run of a handler that drains another relay. */
  readonly outer: Step | undefined;
  /** The way to calls that are a part of it, wherever the caller stands. */
  readonly into: WayIn;
  /** Tells the worker or gate that waits for it that `ending` has changed. */
  readonly changed: () => void;
  /** It has not ended yet. */
  live: boolean;
  /** Calls of it that wait for a relay or worker to end. */
  ending: number;
}

/** Follows work. */
export interface Trail {
  /** The innermost work that the caller is part of. */
  current(): Step | undefined;
  /** The way from here to one call. */
  here(): Way;
  /** The way from here to many calls, wherever they are made. */
  from(): Way;
}

/** Makes calls as steps that follow from one place. */
export interface Way {
  /** The innermost work that the place is part of. */
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

/** Makes a call as a step of its own among `steps`, until its promise has ended. */
export async function asStep<Result>(
  { way, steps, changed }: {
    readonly way: Way;
    readonly steps: Set<Step>;
    readonly changed: () => void;
  },
  call: () => Promise<Result>,
): Promise<Result> {
  const step = createStep(way, changed);
  steps.add(step);
  try {
    return await step.into.enter(step, call);
  } finally {
    step.live = false;
    steps.delete(step);
  }
}

/** Whether a step, or one around it, waits for a relay or worker to end. */
export function isEnding(step: Step | undefined): boolean {
  for (let each = step; each !== undefined; each = each.outer) if (each.live && each.ending > 0) return true;
  return false;
}

/** The work that the caller is part of, and that has not ended. */
export function liveSteps(trail: Trail | undefined): readonly Step[] {
  const steps: Step[] = [];
  for (let step = trail?.current(); step !== undefined; step = step.outer) if (step.live) steps.push(step);
  return steps;
}

/** Waits as a part of work: a call that waits for this work meanwhile need not. */
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
