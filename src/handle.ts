/**
 * Handlers: what a user registers under a job's name, and the table in which workers find them.
 *
 * @module
 */

import type { Definitions, HandledOf, Jobs, NameOf } from "./definitions.ts";
import { UnknownJobError } from "./errors.ts";
import type { Job } from "./job.ts";
import { checkKnown, shown } from "./options.ts";
import type { Outcome } from "./outcome.ts";

/** The job that a handler runs. */
export interface HandledJob extends Job {
  /** The stored bytes. */
  readonly payload: Uint8Array;
}

/** What a handler gets beside the payload. */
export interface HandlerContext {
  /**
   * Aborts when the run should end: its `timeout` is over (`JobTimeout`), its lease was lost (`LeaseLost`), or the
   * worker stops (the reason of the worker's own signal).
   */
  readonly signal: AbortSignal;
  /** Which run this is: 1 for the first. A lost lease or a stopped worker does not count. */
  readonly attempt: number;
  /** The job with its stored bytes, in a copy of its own. */
  readonly job: HandledJob;
  /**
   * Settles the job inside a transaction that the handler began on a handle of its own and will commit: what the
   * handler wrote and the end of the job become true together, or not at all. Only on transports with transactions.
   * When the handler ends and the transaction was rolled back, the run failed.
   *
   * @throws {LeaseLost} when the job is another worker's by now: roll back.
   * @throws {TypeError} when the transport has no transactions, this run was settled before, or `outcome` is none.
   */
  settle(transaction: object, outcome?: Outcome): Promise<void>;
}

/** A function that handles a job: an outcome decides its fate, anything else completes it, a throw is a failed run. */
export type HandlerFunction<Payload> = (payload: Payload, context: HandlerContext) => unknown;

/** A handler as a function or as an object with a method. */
export type Listener<Payload> = HandlerFunction<Payload> | { readonly handle: HandlerFunction<Payload> };

/** One listener, or several that run one after another; the first that fails stops the run, and a retry runs all again. */
export type Handler<Payload> = Listener<Payload> | readonly Listener<Payload>[];

/** What {@linkcode Handle} takes beside the handler. */
export interface HandleOptions {
  /** Put this handler in the place of the one registered before; running jobs end with the old one. Default false. */
  readonly replace?: boolean | undefined;
}

/** Registers a handler under a job's name, whose schema's output is what the handler gets. */
export type Handle<out J extends Jobs> = <Name extends NameOf<J>>(
  name: Name,
  handler: Handler<HandledOf<J, Name>>,
  options?: HandleOptions,
) => Disposable;

/** The listeners of a name, in order. */
export type Listeners = readonly HandlerFunction<unknown>[];

/** The table of handlers. */
export interface Handlers {
  /**
   * @throws {UnknownJobError} for a name without a definition.
   * @throws {TypeError} for what is no handler, or a second one without `replace`.
   */
  register(name: string, handler: Handler<never>, options: HandleOptions): Disposable;
  get(name: string): Listeners | undefined;
  /** The queues of all names that have a handler. */
  queues(): readonly string[];
  /** Calls back after each change; returns how to leave off. */
  watch(changed: () => void): () => void;
}

/** Makes an empty table. */
export function createHandlers(definitions: Definitions): Handlers {
  const byName = new Map<string, Listeners>();
  const watchers = new Set<() => void>();
  const tell = (): void => watchers.forEach((changed) => changed());

  return {
    register(name, handler, options) {
      const definition = definitions.get(name);
      if (definition === undefined || definition.name !== name) {
        throw new UnknownJobError(shown(name), `there are ${definitions.names.join(", ") || "none"}`);
      }
      checkKnown(`handle '${name}'`, options, ["replace"]);
      if (byName.has(name) && options.replace !== true) {
        throw new TypeError(
          `Cannot handle '${name}' as it has a handler: give { replace: true } to put another there`,
        );
      }
      const listeners = listenersOf(name, handler);
      byName.set(name, listeners);
      tell();
      return {
        [Symbol.dispose]: () => {
          if (byName.get(name) !== listeners) return;
          byName.delete(name);
          tell();
        },
      };
    },
    get: (name) => byName.get(name),
    queues: () => [...new Set([...byName.keys()].map((name) => definitions.get(name)?.queue ?? name))],
    watch(changed) {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
  };
}

function listenersOf(name: string, handler: Handler<never>): Listeners {
  const list: readonly unknown[] = Array.isArray(handler) ? handler : [handler];
  if (list.length === 0) throw new TypeError(`Cannot handle '${name}' with an empty list of listeners`);
  return list.map((listener): HandlerFunction<unknown> => {
    if (typeof listener === "function") return (payload, context) => listener(payload, context);
    if (typeof listener === "object" && listener !== null && "handle" in listener) {
      const { handle } = listener;
      if (typeof handle === "function") {
        return (payload, context) => Reflect.apply(handle, listener, [payload, context]);
      }
    }
    throw new TypeError(
      `Cannot handle '${name}' as a handler must be a function, an object with 'handle', or a list of those: ` +
        `current value is ${typeof listener}`,
    );
  });
}
