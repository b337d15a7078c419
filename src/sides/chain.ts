/**
 * The run sides of middlewares around one run: each may add to the context, look at the outcome and give another one,
 * and none may lose a throw, run the handler twice, or complete a job by forgetting it.
 *
 * @module
 */

import type { HandlerContext } from "../jobs/context.ts";
import { withFault } from "../errors.ts";
import type { AnyMiddleware } from "./middleware.ts";
import type { OwnRun } from "./own.ts";
import { errorOfMistake, mistakeOf } from "../jobs/mistake.ts";
import { quote } from "../options.ts";
import { deadLetter, type Outcome, outcomeOf } from "../jobs/outcome.ts";

/** The run side of a middleware, as a function and, of one of Relevo's, in parts. */
export interface RunSide {
  readonly around: AroundAny;
  readonly own: OwnRun | undefined;
}

type AroundAny = NonNullable<AnyMiddleware["run"]>;

/** The middlewares around the runs of one handler, the first of which is outermost. */
export interface Chain {
  /** Those in front of all others that are said in parts: they are passed without a promise. */
  readonly own: readonly OwnRun[];
  /** The others, as functions. */
  readonly sides: readonly AroundAny[];
  /** Whether one of them has looked at the answer of `next`, and has not only handed it on. */
  looked: boolean;
}

/** Makes a chain of a list; undefined for an empty one. */
export function createChain(list: readonly RunSide[]): Chain | undefined {
  if (list.length === 0) return undefined;
  const first = list.findIndex(({ own }) => own === undefined);
  const front = first < 0 ? list.length : first;
  return {
    own: list.slice(0, front).flatMap(({ own }) => own === undefined ? [] : [own]),
    sides: list.slice(front).map(({ around }) => around),
    looked: false,
  };
}

/** A run on its way through a chain. */
export interface Walk {
  readonly sides: readonly AroundAny[];
  readonly payload: unknown;
  /** Makes the call that the chain stands around; rejects with the error of a listener. */
  arrive(context: HandlerContext): Promise<Outcome>;
}

/** Names that a context has from the core. */
const OWN: readonly PropertyKey[] = ["signal", "attempt", "job", "settle"] satisfies (keyof HandlerContext)[];

/**
 * Calls a chain, from the one at `index` on; never throws. A middleware that hands on the answer of `next` costs no
 * promise of ours.
 */
export function callChain(walk: Walk, index: number, context: HandlerContext): Promise<Outcome> {
  const around = walk.sides[index];
  if (around === undefined) return walk.arrive(context);
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
    given = enter(walk, index + 1, context, added);
    // Heard here, as a middleware may look away; one that has not returned yet may hand it on as it is.
    if (passage !== undefined) hear(passage, given);
    return given;
  };
  let result: unknown;
  try {
    result = around(next)(walk.payload, context);
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
  /** The error that it came to. */
  refused: { readonly error: unknown } | undefined;
}

function createPassage(): Passage {
  return { over: false, fault: undefined, given: undefined, settled: false, refused: undefined };
}

/** The same for all that have ended by handing on the answer of `next`. */
const OVER: Passage = Object.freeze({ ...createPassage(), over: true });

function hear(passage: Passage, given: Promise<Outcome>): void {
  passage.given = given;
  given.then(() => void (passage.settled = true), (error) => {
    passage.settled = true;
    passage.refused = { error };
  });
}

/** Waits for a middleware's answer, and for the call that it began: a settled job's handler must not go on. */
function concluded(answer: unknown, passage: Passage): Promise<Outcome> {
  return Promise.resolve(answer).then(
    (result) => end(passage)?.then(() => answerOf(result, passage)) ?? answerOf(result, passage),
    (error) => end(passage)?.then(() => fail(error, passage)) ?? fail(error, passage),
  );
}

/** Marks the end of a middleware; the end of the call that it began, where that is still to come. */
function end(passage: Passage): Promise<void> | undefined {
  passage.over = true;
  const { given, settled } = passage;
  return given === undefined || settled ? undefined : given.then(ignore, ignore);
}

function ignore(): void {}

function fail(error: unknown, passage: Passage): never {
  throw passage.fault === undefined ? error : faultOf(passage.fault, passage);
}

/** The meaning of a middleware's answer. */
function answerOf(result: unknown, passage: Passage): Outcome | Promise<Outcome> {
  const { fault, given } = passage;
  if (fault !== undefined) throw faultOf(fault, passage);
  if (result === undefined) {
    if (given !== undefined) return given;
    throw new TypeError("A middleware returned nothing and did not call 'next': the handler was not run");
  }
  const outcome = outcomeOf(result);
  if (outcome !== undefined) return outcome;
  const mistake = mistakeOf(result);
  // As of a handler: a failed run would have its work done again.
  if (mistake !== undefined) {
    const error = faultOf(errorOfMistake(mistake, "A middleware"), passage);
    return deadLetter({ reason: "outcome", error });
  }
  const wrong = new TypeError(
    `A middleware must return an outcome, or what 'next' gave: current value is ${quote(result)}`,
  );
  throw faultOf(wrong, passage);
}

/** The fault of a middleware, behind the error of the handler that it stood around, where there is one. */
function faultOf(fault: Error, { refused }: Passage): Error {
  return refused === undefined ? fault : withFault(refused.error, "a middleware around it", fault);
}

function enter(walk: Walk, index: number, context: HandlerContext, added: unknown): Promise<Outcome> {
  try {
    return callChain(walk, index, added === undefined ? context : layOver(context, added));
  } catch (error) {
    return refused(error);
  }
}

/** A context with additions in front, whose lazy fields stay lazy. */
function layOver(context: HandlerContext, added: unknown): HandlerContext {
  if (typeof added !== "object" || added === null) {
    throw new TypeError(`A middleware must add an object to the context: current value is ${quote(added)}`);
  }
  // An object whose prototype is made anew for each run is slow to make and slow to read: ten times a copy.
  let plain = Object.hasOwn(context, "attempt");
  for (const name of Reflect.ownKeys(added)) {
    if (OWN.includes(name)) {
      throw new TypeError(
        `A middleware cannot add '${String(name)}' to the context as the context has one`,
      );
    }
    plain &&= isPlain(added, name);
  }
  return plain
    ? Object.assign(Object.create(Object.getPrototypeOf(context)), context, added)
    : Object.create(context, Object.getOwnPropertyDescriptors(added));
}

/** Whether a property can be copied by assigning it: a getter would be read. */
function isPlain(added: object, name: PropertyKey): boolean {
  const { get, set, enumerable } = Object.getOwnPropertyDescriptor(added, name) ?? {};
  return enumerable === true && get === undefined && set === undefined && name !== "__proto__";
}

function refused(error: unknown): Promise<never> {
  const rejection = Promise.reject(error);
  rejection.catch(() => undefined);
  return rejection;
}
