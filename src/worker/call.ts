/**
 * The call of a handler: its listeners one after another, inside its middlewares.
 *
 * @module
 */

import { callChain } from "../sides/chain.ts";
import type { HandlerContext } from "../jobs/context.ts";
import type { Registered } from "../jobs/handle.ts";
import { errorOfMistake, mistakeOf } from "../jobs/mistake.ts";
import { complete, deadLetter, type Outcome, outcomeOf } from "../jobs/outcome.ts";
import { isPromise } from "../promises.ts";
import type { Run } from "./run.ts";

/** Calls a handler without middlewares; its result is judged. */
export function callListeners(
  run: Run,
  { listeners, names }: Registered,
  payload: unknown,
  context: HandlerContext,
): unknown {
  const [only] = listeners;
  // Without a promise of our own in between: most handlers are one function.
  if (only !== undefined && listeners.length === 1 && names === undefined) return only(payload, context);
  return callEach(run, { listeners, names }, payload, context);
}

async function callEach(
  run: Run,
  { listeners, names }: Pick<Registered, "listeners" | "names">,
  payload: unknown,
  context: HandlerContext,
): Promise<unknown> {
  let result: unknown;
  for (const [index, listener] of listeners.entries()) {
    // The job runs again, or elsewhere already: nothing more is begun for it here.
    if (isOver(run)) return undefined;
    const name = names?.[index];
    if (name !== undefined && run.finished.includes(name)) continue;
    result = await listener(payload, context);
    if (endsRun(result)) return result;
    if (name !== undefined) run.finish(name);
  }
  return result;
}

/**
 * Calls a handler inside its middlewares; never throws. The handler's own result is kept beside the outcome that
 * its middlewares see of it, as it is judged as it would be without them.
 */
export function callThrough(
  run: Run,
  handler: Registered,
  payload: unknown,
  context: HandlerContext,
): Promise<Outcome> {
  const conclude = (result: unknown): Outcome => {
    const outcome = outcomeOf(result);
    if (outcome !== undefined) return outcome;
    const mistake = mistakeOf(result);
    if (mistake === undefined && isOver(run)) throw run.signal.reason;
    run.shown = outcomeFor(mistake);
    run.given = result;
    return run.shown;
  };
  const innermost = (laid: HandlerContext): Promise<Outcome> => {
    try {
      if (isOver(run)) throw run.signal.reason;
      const result = callListeners(run, handler, payload, laid);
      return isPromise(result) ? Promise.resolve(result).then(conclude) : Promise.resolve(conclude(result));
    } catch (error) {
      return Promise.reject(error);
    }
  };
  return callChain(handler.chain ?? [], 0, payload, context, innermost);
}

/** The outcome that middlewares see of each run that completed by itself. */
const COMPLETE: Outcome = Object.freeze(complete());

function outcomeFor(mistake: ReturnType<typeof mistakeOf>): Outcome {
  return mistake === undefined ? COMPLETE : deadLetter({ reason: "outcome", error: errorOfMistake(mistake) });
}

function isOver(run: Run): boolean {
  return run.timedOut || run.abandoned !== undefined;
}

/** Whether a listener's result keeps those after it from being called. */
function endsRun(result: unknown): boolean {
  const outcome = outcomeOf(result);
  return outcome === undefined ? mistakeOf(result) !== undefined : outcome.kind !== "complete";
}
