/**
 * The run sides of middlewares around one run: each may add to the context, look at the outcome and give another one,
 * and none may lose a throw, run the handler twice, or complete a job by forgetting it.
 *
 * @module
 */

import type { HandlerContext } from "../jobs/context.ts";
import type { AnyMiddleware } from "./middleware.ts";
import { quote } from "../options.ts";
import { type Outcome, outcomeOf } from "../jobs/outcome.ts";

/** The run sides of a list, the first of which is outermost. */
export type Chain = readonly NonNullable<AnyMiddleware["run"]>[];

/** The call that the chain stands around; rejects with the error of a listener. */
export type Innermost = (context: HandlerContext) => Promise<Outcome>;

/** Names that a context has from the core. */
const OWN: readonly string[] = ["signal", "attempt", "job", "settle"] satisfies (keyof HandlerContext)[];

/**
 * Calls a chain, from the one at `index` on; never throws. A middleware that hands on the answer of `next` costs no
 * promise of ours.
 */
export function callChain(
  chain: Chain,
  index: number,
  payload: unknown,
  context: HandlerContext,
  innermost: Innermost,
): Promise<Outcome> {
  const around = chain[index];
  if (around === undefined) return innermost(context);
  let given: Promise<Outcome> | undefined;
  let passage: Passage | undefined;
  const next = (added?: object): Promise<Outcome> => {
    if (passage?.over === true) {
      return refused(new TypeError("Cannot go on as the middleware had ended: call 'next' before"));
    }
    if (given !== undefined) {
      passage ??= createPassage();
      passage.fault ??= new TypeError(
        "Cannot go on twice: a middleware called 'next' a second time in one run",
      );
      return refused(passage.fault);
    }
    given = enter(chain, index + 1, payload, context, innermost, added);
    // Heard here, as a middleware may look away; one that has not returned yet may hand it on as it is.
    if (passage !== undefined) hear(passage, given);
    return given;
  };
  let result: unknown;
  try {
    result = around(next)(payload, context);
  } catch (error) {
    result = refused(error);
  }
  if (result === given && given !== undefined && passage === undefined) {
    passage = OVER;
    return given;
  }
  passage ??= createPassage();
  if (given !== undefined) hear(passage, given);
  return concluded(result, passage);
}

/** The state of a middleware that does not hand on at once the answer of `next`. */
interface Passage {
  /** It has ended: `next` is no way on any more. */
  over: boolean;
  fault: Error | undefined;
  given: Promise<Outcome> | undefined;
  /** The answer of `next` has come to something. */
  settled: boolean;
}

function createPassage(): Passage {
  return { over: false, fault: undefined, given: undefined, settled: false };
}

/** The same for all that have ended by handing on the answer of `next`. */
const OVER: Passage = Object.freeze({ ...createPassage(), over: true });

function hear(passage: Passage, given: Promise<Outcome>): void {
  passage.given = given;
  const settled = (): void => void (passage.settled = true);
  given.then(settled, settled);
}

/** Waits for a middleware's answer, and for the call that it began: a settled job's handler must not go on. */
function concluded(answer: unknown, passage: Passage): Promise<Outcome> {
  const end = (then: () => Outcome | Promise<Outcome>): Outcome | Promise<Outcome> => {
    passage.over = true;
    const { given, settled } = passage;
    return given === undefined || settled ? then() : given.then(then, then);
  };
  return Promise.resolve(answer).then(
    (result) =>
      end(() => {
        if (passage.fault !== undefined) throw passage.fault;
        return answerOf(result, passage.given);
      }),
    (error) =>
      end(() => {
        throw passage.fault ?? error;
      }),
  );
}

/** The meaning of a middleware's answer. */
function answerOf(result: unknown, given: Promise<Outcome> | undefined): Outcome | Promise<Outcome> {
  if (result === undefined) {
    if (given !== undefined) return given;
    throw new TypeError("A middleware returned nothing and did not call 'next': the handler was not run");
  }
  const outcome = outcomeOf(result);
  if (outcome !== undefined) return outcome;
  throw new TypeError(
    `A middleware must return an outcome, or what 'next' gave: current value is ${quote(result)}`,
  );
}

function enter(
  chain: Chain,
  index: number,
  payload: unknown,
  context: HandlerContext,
  innermost: Innermost,
  added: unknown,
): Promise<Outcome> {
  try {
    const laid = added === undefined ? context : layOver(context, added);
    return callChain(chain, index, payload, laid, innermost);
  } catch (error) {
    return refused(error);
  }
}

/** A context with additions in front, whose lazy fields stay lazy. */
function layOver(context: HandlerContext, added: unknown): HandlerContext {
  if (typeof added !== "object" || added === null) {
    throw new TypeError(`A middleware must add an object to the context: current value is ${quote(added)}`);
  }
  for (const name of OWN) {
    if (Object.hasOwn(added, name)) {
      throw new TypeError(`A middleware cannot add '${name}' to the context as the context has one`);
    }
  }
  return Object.create(context, Object.getOwnPropertyDescriptors(added));
}

function refused(error: unknown): Promise<never> {
  const rejection = Promise.reject(error);
  rejection.catch(() => undefined);
  return rejection;
}
