/**
 * Own sides: a middleware of Relevo's said in parts, so that the core passes it without a promise. What it says is done
 * by its functions `run` and `dispatch`, too, which are called where a middleware of the program's stands around it.
 *
 * @module
 */

import { errorOf } from "../errors.ts";
import type { HandlerContext } from "../jobs/context.ts";
import type { Outcome } from "../jobs/outcome.ts";
import type { AnyMiddleware, AroundDispatch, AroundRun } from "./middleware.ts";

/** A job on its way, in or out. */
export interface PassingJob {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly payload: Uint8Array;
}

/** A run as own sides see it: of its job the parts that one asks for are read. */
export interface PassingRun {
  readonly delivery: PassingJob;
  /** Which run it is: 1 for the first. */
  readonly attempt: number;
  readonly requestId: string;
  /** The schedule that its job is of. */
  readonly schedule: string | undefined;
  readonly signal: AbortSignal;
  /** A header of its job. */
  header(name: string): string | undefined;
}

/** Makes something ambient in a call; its own answer, and an error of it behind the call, count for nothing. */
export interface Surround<Token> {
  /** Calls at once and once. Default: nothing is made ambient. */
  within?(token: Token, call: () => unknown): unknown;
}

/** The side around runs. Of its functions `failed` alone may throw. */
export interface OwnRun<Token = unknown> extends Surround<Token> {
  /** Additions to the handler's context: plain properties, none of which the context has. */
  adds?(run: PassingRun): object;
  /** Begins; the token is handed to the others. */
  begin?(run: PassingRun): Token;
  /** The run has come to an outcome. */
  ended?(token: Token, outcome: Outcome): void;
  /** The run has come to an error: gives the outcome in its place, or throws. */
  failed?(token: Token, error: unknown, run: PassingRun): Outcome;
}

/** The side around dispatches. None of its functions may throw. */
export interface OwnDispatch<Token = unknown> extends Surround<Token> {
  /** Begins with jobs that go together. */
  begin(jobs: readonly PassingJob[]): Token;
  /** Headers for each of them, beside those that it has; undefined: none. */
  headers(token: Token): Readonly<Record<string, string>> | undefined;
  /** The store has answered; with the error of the first job that it refused. */
  ended(token: Token, refused: unknown): void;
}

/** Both sides of one middleware. */
export interface OwnSides {
  readonly run?: OwnRun;
  readonly dispatch?: OwnDispatch;
}

/** Known within one copy of this package: in a relay of another one the functions are called. */
const OWN: unique symbol = Symbol("own sides");

/** A middleware with its own sides said. */
export function owning<One extends AnyMiddleware>(middleware: One, own: OwnSides): One {
  return Object.defineProperty(middleware, OWN, { value: own });
}

/** The own sides of a middleware; none where it says none. */
export function ownOf(middleware: object): OwnSides {
  return OWN in middleware ? middleware[OWN] as OwnSides : {};
}

/**
 * Makes a call within a side; throws what the call throws.
 *
 * @throws {TypeError} when the side did not make it.
 */
export function callWithin<Token, Answer>(
  side: Surround<Token>,
  token: Token,
  call: () => Answer,
): Answer {
  if (side.within === undefined) return call();
  const made: { answer?: Answer; thrown?: unknown; over: boolean; failed: boolean } = {
    over: false,
    failed: false,
  };
  const once = (): unknown => {
    if (made.over) return made.answer;
    made.over = true;
    try {
      return made.answer = call();
    } catch (error) {
      made.failed = true;
      made.thrown = error;
      return undefined;
    }
  };
  try {
    side.within(token, once);
  } catch (error) {
    if (!made.over) throw error;
  }
  if (made.failed) throw made.thrown;
  if (!made.over) throw new TypeError("A middleware did not go on: what it stands around was not called");
  return made.answer as Answer;
}

/** The function `run` of a side. */
export function aroundRun(side: OwnRun): AroundRun {
  return (next) => async (_, context) => {
    const run = passingOf(context);
    const token = side.begin?.(run);
    let outcome: Outcome;
    try {
      outcome = await callWithin(side, token, () => next());
    } catch (error) {
      if (side.failed === undefined) throw error;
      return side.failed(token, error, run);
    }
    side.ended?.(token, outcome);
    return outcome;
  };
}

function passingOf({ job, attempt, signal }: HandlerContext): PassingRun {
  return {
    delivery: job,
    attempt,
    requestId: job.requestId,
    schedule: job.schedule,
    signal,
    header: (name) => job.headers[name],
  };
}

/** The function `dispatch` of a side. */
export function aroundDispatch(side: OwnDispatch): AroundDispatch {
  return (next) => async (jobs) => {
    const token = side.begin(jobs);
    const headers = side.headers(token);
    const carried = headers === undefined
      ? jobs
      : jobs.map((job) => ({ ...job, headers: { ...headers, ...job.headers } }));
    try {
      const answers = await callWithin(side, token, () => next(carried));
      side.ended(token, answers.find((answer) => answer instanceof Error));
      return answers;
    } catch (error) {
      side.ended(token, errorOf(error));
      throw error;
    }
  };
}
