/**
 * The run sides of middlewares around one run: each may add to the context, look at the outcome and give another one,
 * and none may lose a throw, run the handler twice, or complete a job by forgetting it.
 *
 * @module
 */

import type { HandlerContext } from "./context.ts";
import type { AnyMiddleware } from "./middleware.ts";
import { quote } from "./options.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";

/** The run sides of a list, the first of which is outermost. */
export type Chain = readonly NonNullable<AnyMiddleware["run"]>[];

/** What the chain stands around; rejects with what a listener threw. */
export type Innermost = (context: HandlerContext) => Promise<Outcome>;

/** Names that a context has from the core. */
const OWN: readonly string[] = ["signal", "attempt", "job", "settle"] satisfies (keyof HandlerContext)[];

/** Calls a chain, from the one at `index` on. A middleware that hands on what `next` gave costs no promise of ours. */
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
  let fault: Error | undefined;
  let over = false;
  let returned = false;
  const next = (added?: object): Promise<Outcome> => {
    if (over) return refused(new TypeError("Cannot go on as the middleware had ended: call 'next' before"));
    if (given !== undefined) {
      fault ??= new TypeError("Cannot go on twice: a middleware called 'next' a second time in one run");
      return refused(fault);
    }
    given = enter(chain, index + 1, payload, context, innermost, added);
    // Heard here, as a middleware may look away; one that has not returned yet may hand it on as it is.
    if (returned) given.catch(nothing);
    return given;
  };
  let result: unknown;
  try {
    result = around(next)(payload, context);
  } catch (error) {
    result = refused(error);
  }
  returned = true;
  if (result === given && given !== undefined && fault === undefined) {
    over = true;
    return given;
  }
  given?.catch(nothing);
  return concluded(result, {
    end: () => void (over = true),
    given: () => given,
    fault: () => fault,
  });
}

/** What is known of a middleware's call of `next`. */
interface Passage {
  readonly end: () => void;
  readonly given: () => Promise<Outcome> | undefined;
  readonly fault: () => Error | undefined;
}

/** Waits for a middleware's answer, and for what it began: a settled job's handler must not go on. */
async function concluded(answer: unknown, passage: Passage): Promise<Outcome> {
  let result: unknown;
  let thrown: { readonly error: unknown } | undefined;
  try {
    result = await answer;
  } catch (error) {
    thrown = { error };
  }
  passage.end();
  const given = passage.given();
  if (given !== undefined) await given.then(nothing, nothing);
  const fault = passage.fault();
  if (fault !== undefined) throw fault;
  if (thrown !== undefined) throw thrown.error;
  return await answerOf(result, given);
}

function nothing(): void {}

/** What a middleware's answer means. */
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
