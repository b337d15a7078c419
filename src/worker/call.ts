/**
 * The call of a handler: its listeners one after another, inside its middlewares.
 *
 * @module
 */

import { callChain, type Chain, type Walk } from "../sides/chain.ts";
import type { HandlerContext } from "../jobs/context.ts";
import type { Registered } from "../jobs/handle.ts";
import { errorOfMistake, mistakeOf } from "../jobs/mistake.ts";
import { complete, deadLetter, type Outcome, outcomeOf } from "../jobs/outcome.ts";
import { isPromise } from "../promises.ts";
import { callWithin, type OwnRun } from "../sides/own.ts";
import type { Run } from "./run.ts";

/** Calls a handler without middlewares; its result is judged. */
export function callListeners(
  run: Run,
  { listeners, names }: Registered,
  payload: unknown,
  context: HandlerContext,
): unknown {
  const only = listeners[0];
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
 * its middlewares see of it, as it is judged as it would be without them: where all of them hand on the answer of
 * `next`, that result is returned.
 */
export function callThrough(
  run: Run,
  handler: Registered,
  chain: Chain,
  payload: unknown,
  context: HandlerContext,
): unknown {
  if (chain.own.length === 0) return callSides(run, handler, chain, payload, context);
  run.own = chain.own;
  return callOwn(run, chain.own, 0, context, () => callSides(run, handler, chain, payload, context));
}

function callSides(
  run: Run,
  handler: Registered,
  chain: Chain,
  payload: unknown,
  context: HandlerContext,
): unknown {
  if (chain.sides.length === 0) return callListeners(run, handler, payload, context);
  const answer = callChain(new Call(run, handler, chain, payload), 0, context);
  return answer instanceof Call ? answer.handedOn : answer;
}

/** Enters own sides, from the one at `index` on. */
function callOwn(
  run: Run,
  sides: readonly OwnRun[],
  index: number,
  context: HandlerContext,
  arrive: () => unknown,
): unknown {
  const side = sides[index];
  if (side === undefined) return arrive();
  // Into the context itself, as it was made for this run and no other has it yet.
  if (side.adds !== undefined) Object.assign(context, side.adds(run));
  const token = side.begin?.(run);
  if (token !== undefined) (run.tokens ??= [])[index] = token;
  if (side.within === undefined) return callOwn(run, sides, index + 1, context, arrive);
  return callWithin(side, token, () => callOwn(run, sides, index + 1, context, arrive));
}

/** The end of a handler: its result, or an error in its place. */
export interface End {
  readonly result: unknown;
  readonly thrown: { readonly error: unknown } | undefined;
}

/** Leaves the own sides that a run entered, from the innermost on: each may give an outcome for an error. */
export function leaveOwn(run: Run, sides: readonly OwnRun[], { result, thrown }: End): End {
  let end: End = { result, thrown };
  for (let index = sides.length - 1; index >= 0; index--) {
    end = leaveOne(run, sides[index] as OwnRun, run.tokens?.[index], end);
  }
  return end;
}

function leaveOne(run: Run, side: OwnRun, token: unknown, end: End): End {
  if (end.thrown === undefined) {
    if (side.ended === undefined) return end;
    try {
      side.ended(token, concluded(run, end.result));
      return end;
    } catch (error) {
      return leaveOne(run, side, token, { result: undefined, thrown: { error } });
    }
  }
  if (side.failed === undefined) return end;
  try {
    return { result: side.failed(token, end.thrown.error, run), thrown: undefined };
  } catch (error) {
    return { result: undefined, thrown: { error } };
  }
}

/**
 * The call of a handler behind its middlewares, and the answer of the innermost `next`, as long as no middleware of the
 * chain was seen to look at it: a promise of it is made when one is asked for. Most middlewares hand it on as it is,
 * and a promise more is a part of a quick job's time.
 */
class Call implements Promise<Outcome>, Walk {
  readonly #payload: unknown;
  readonly #run: Run;
  readonly #handler: Registered;
  readonly #chain: Chain;
  #result: unknown;
  #asked: Promise<Outcome> | undefined;

  static {
    // A promise for programs that ask whether it is one.
    Object.setPrototypeOf(Call.prototype, Promise.prototype);
  }

  constructor(run: Run, handler: Registered, chain: Chain, payload: unknown) {
    this.#payload = payload;
    this.#run = run;
    this.#handler = handler;
    this.#chain = chain;
  }

  get sides(): Chain["sides"] {
    return this.#chain.sides;
  }

  get payload(): unknown {
    return this.#payload;
  }

  arrive(context: HandlerContext): Promise<Outcome> {
    try {
      if (isOver(this.#run)) throw this.#run.signal.reason;
      this.#result = callListeners(this.#run, this.#handler, this.#payload, context);
      return this.#chain.looked ? outcomeOfResult(this.#run, this.#result) : this;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The handler's result, or its outcome where a middleware has begun to wait for that. */
  get handedOn(): unknown {
    return this.#asked ?? this.#result;
  }

  get [Symbol.toStringTag](): string {
    return "Promise";
  }

  then<Heard = Outcome, Refused = never>(
    heard?: ((outcome: Outcome) => Heard | PromiseLike<Heard>) | null,
    refused?: ((reason: unknown) => Refused | PromiseLike<Refused>) | null,
  ): Promise<Heard | Refused> {
    return this.#outcome().then(heard, refused);
  }

  catch<Refused = never>(
    refused?: ((reason: unknown) => Refused | PromiseLike<Refused>) | null,
  ): Promise<Outcome | Refused> {
    return this.#outcome().catch(refused);
  }

  finally(ended?: (() => void) | null): Promise<Outcome> {
    return this.#outcome().finally(ended);
  }

  #outcome(): Promise<Outcome> {
    this.#chain.looked = true;
    return this.#asked ??= outcomeOfResult(this.#run, this.#result);
  }
}

/** The outcome that middlewares see of a handler's result; rejects as that does. */
function outcomeOfResult(run: Run, result: unknown): Promise<Outcome> {
  if (isPromise(result)) return Promise.resolve(result).then((settled) => concluded(run, settled));
  try {
    return Promise.resolve(concluded(run, result));
  } catch (error) {
    return Promise.reject(error);
  }
}

function concluded(run: Run, result: unknown): Outcome {
  const outcome = outcomeOf(result);
  if (outcome !== undefined) return outcome;
  const mistake = mistakeOf(result);
  if (mistake === undefined && isOver(run)) throw run.signal.reason;
  run.shown = outcomeFor(mistake);
  run.given = result;
  return run.shown;
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
