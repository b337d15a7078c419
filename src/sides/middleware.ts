/**
 * Middleware: functions around the runs of handlers, and around dispatches. One list, two sides, both optional.
 *
 * @module
 */

import type { HandlerContext } from "../jobs/context.ts";
import type { JobEvents } from "../events/events.ts";
import type { Outcome } from "../jobs/outcome.ts";

/**
 * Goes on with the run, with the fields that this middleware adds to the handler's context; resolves with its outcome,
 * and rejects with the error of the handler. A second call rejects, and the run fails.
 */
export type NextRun<Added extends object = object> = keyof Added extends never ? () => Promise<Outcome>
  : (added: Added) => Promise<Outcome>;

/** One run, from the outside: payload and context in, outcome out. A throw is a failed run. */
export type RunFunction = (payload: unknown, context: HandlerContext) => Outcome | Promise<Outcome>;

/** A job on its way to the store, as a middleware sees it. */
export interface OutgoingJob {
  /** The job's id: the caller's, or a generated one. */
  readonly id: string;
  /** Which definition it belongs to. */
  readonly name: string;
  /** Where it will be stored: of a topic, the topic's own queue. */
  readonly queue: string;
  /** The bytes that will be stored, in a copy. */
  readonly payload: Uint8Array;
  /** Texts that travel with the job; a middleware may add to them. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * The request id that the caller gave, or the relay's `requestId`; where there is none, a middleware may give one.
   */
  readonly requestId: string | undefined;
  /** Milliseconds from now before which it does not run, where the caller said so. */
  readonly delay?: number | undefined;
  /** The instant before which it does not run, where the caller said so, in milliseconds since the epoch. */
  readonly at?: number | undefined;
}

/** The fate of one job of a dispatch: an answer, or why it was refused. */
export type OutgoingAnswer =
  | { readonly id: string; readonly status: "stored" | "duplicate" | "done" }
  | Error;

/** Goes on with a dispatch; resolves with the answer for each job, in order. A second call rejects. */
export type DispatchFunction = (jobs: readonly OutgoingJob[]) => Promise<readonly OutgoingAnswer[]>;

/** The side of a middleware that stands around the run of a handler: called for each run, with the way on. */
export type AroundRun<Added extends object = object> = (next: NextRun<Added>) => RunFunction;

/**
 * The side that stands around a dispatch, a bulk and the tick of a schedule, of a relay's list only. It may add headers
 * and a request id, and change nothing else; a change is refused before anything is stored.
 */
export type AroundDispatch = (next: DispatchFunction) => DispatchFunction;

/**
 * One middleware. `Added` are the fields that its `run` adds to the context of handlers, and passes to `next`; one that
 * adds must have a `run`. The context's own names (`signal`, `attempt`, `job`, `settle`) cannot be added.
 *
 * @example
 * ```ts
 * import type { Middleware } from "@relevo/relevo";
 *
 * const tenant: Middleware<{ tenant: string }> = {
 *   run: (next) => (_, { job }) => next({ tenant: job.headers.tenant ?? "none" }),
 * };
 * ```
 */
export type Middleware<Added extends object = object> = [keyof Added & keyof HandlerContext] extends [never]
  ? keyof Added extends never ? {
      /** Stands around each run. Default: nothing does. */
      readonly run?: AroundRun<Added> | undefined;
      /** Stands around each dispatch. Default: nothing does. */
      readonly dispatch?: AroundDispatch | undefined;
    }
  : {
    /** Stands around each run, and adds to the handler's context. */
    readonly run: AroundRun<Added>;
    /** Stands around each dispatch. Default: nothing does. */
    readonly dispatch?: AroundDispatch | undefined;
  }
  : never;

/** A middleware whatever it adds, as lists hold them. */
export interface AnyMiddleware {
  /** As in {@linkcode Middleware}. */
  readonly run?: ((next: (added?: object) => Promise<Outcome>) => RunFunction) | undefined;
  /** As in {@linkcode Middleware}. */
  readonly dispatch?: AroundDispatch | undefined;
}

/** The additions of one middleware, as its type says; nothing where it stands in a list as a literal. */
export type AddedOf<One> = One extends { readonly run: (next: infer Way) => unknown }
  ? Way extends (added: infer Added extends object) => unknown ? keyof Added extends never ? unknown : Added
  : unknown
  : unknown;

/** The additions of a list of middlewares to the handler's context. */
export type AddedBy<Use extends readonly AnyMiddleware[]> = Use extends
  readonly [infer First, ...infer Rest extends readonly AnyMiddleware[]] ? AddedOf<First> & AddedBy<Rest>
  : unknown;

/** A registered symbol, so that a middleware of one copy of this package serves the relays of another. */
const ATTACH = Symbol.for("relevo.attach");

/** Whether a run, by the name and queue of its delivery, is one of a handler's own. */
export type Owns = (delivery: { readonly name: string; readonly queue: string }) => boolean;

/** Begins to hear a relay's events; with `owns` those of one handler's runs only. */
export type Attach = (events: JobEvents, owns: Owns | undefined) => Disposable;

/** A middleware that hears the events of each relay that uses it, as one of Relevo's own. */
export function attaching<One extends AnyMiddleware>(middleware: One, attach: Attach): One {
  return Object.defineProperty(middleware, ATTACH, { value: attach });
}

/** Whether a middleware hears events. */
export function isAttaching(middleware: object): boolean {
  return typeof Reflect.get(middleware, ATTACH) === "function";
}

/** Lets a middleware hear events, if it wants to. */
export function attachTo(
  middleware: AnyMiddleware,
  events: JobEvents,
  owns: Owns | undefined,
): Disposable | undefined {
  const attach: unknown = Reflect.get(middleware, ATTACH);
  return typeof attach === "function" ? Reflect.apply(attach, middleware, [events, owns]) : undefined;
}
