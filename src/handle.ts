/**
 * Handlers: what a user registers under a job's name, and the table in which workers find them.
 *
 * @module
 */

import type { Definition, Definitions, HandledOf, Jobs, NameOf } from "./definitions.ts";
import { UnknownJobError } from "./errors.ts";
import type { Job } from "./job.ts";
import { checkGroup, groupQueue, partsOf } from "./names.ts";
import { checkKnown, shown } from "./options.ts";
import type { Outcome } from "./outcome.ts";
import type { Flaw } from "./sound.ts";

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

/**
 * A function that handles a job: an outcome decides its fate, a throw is a failed run, anything else completes it, but
 * for what was meant as an outcome and is none. A returned recurrence, Error, or maker that was not called makes the job
 * dead at once, reason `outcome`, as a retry would repeat what the handler did.
 */
export type HandlerFunction<Payload> = (payload: Payload, context: HandlerContext) => unknown;

/** A handler as a function or as an object with a method. */
export type Listener<Payload> = HandlerFunction<Payload> | { readonly handle: HandlerFunction<Payload> };

/** One listener, or several that run one after another; the first that fails stops the run, and a retry runs all again. */
export type Handler<Payload> = Listener<Payload> | readonly Listener<Payload>[];

/** What {@linkcode Handle} takes beside the handler. */
export interface HandleOptions {
  /** Put this handler in the place of the one registered before; running jobs end with the old one. Default false. */
  readonly replace?: boolean | undefined;
  /**
   * Which of its topic's groups the handler is of: each group gets every job once, whichever of its members runs it.
   * Needed for a topic's job, refused for any other. One job may have a handler for each of several groups.
   */
  readonly group?: string | undefined;
}

/**
 * Registers a handler under a job's name, whose schema's output is what the handler gets. A handler that may return a
 * recurrence, an Error or an uncalled maker of outcomes is a type error, {@linkcode Flaw} says which.
 */
export type Handle<out J extends Jobs> = <
  Name extends NameOf<J>,
  Given extends Handler<HandledOf<J, Name>>,
>(
  name: Name,
  handler: Given & ([Flaw<Given>] extends [never] ? unknown : Flaw<Given>),
  options?: HandleOptions,
) => Disposable;

/** The listeners of a name, in order. */
export type Listeners = readonly HandlerFunction<unknown>[];

/** The table of handlers. */
export interface Handlers {
  /**
   * @throws {UnknownJobError} for a name without a definition.
   * @throws {TypeError} for what is no handler, a second one without `replace`, or a group too few or too many.
   */
  register(name: string, handler: Handler<never>, options: HandleOptions): Disposable;
  /** The listeners for a job of this name in this queue: in a group's, those of the group. */
  get(name: string, queue: string): Listeners | undefined;
  /** The queues of all names that have a handler; for topics, those of the handlers' groups. */
  queues(): readonly string[];
  /** Calls back after each change; returns how to leave off. */
  watch(changed: () => void): () => void;
}

/** Makes an empty table. */
export function createHandlers(definitions: Definitions): Handlers {
  const byKey = new Map<string, { readonly queue: string; readonly listeners: Listeners }>();
  const watchers = new Set<() => void>();
  const tell = (): void => watchers.forEach((changed) => changed());

  return {
    register(name, handler, options) {
      const definition = definitions.get(name);
      if (definition === undefined || definition.name !== name) {
        throw new UnknownJobError(shown(name), `there are ${definitions.names.join(", ") || "none"}`);
      }
      checkKnown(`handle '${name}'`, options, ["replace", "group"]);
      const { group } = options;
      const queue = queueOf(definition, group);
      const key = keyOf(name, group);
      if (byKey.has(key) && options.replace !== true) {
        const where = group === undefined ? "" : ` in group '${group}'`;
        throw new TypeError(
          `Cannot handle '${name}' as it has a handler${where}: give { replace: true } to put another there`,
        );
      }
      const entry = { queue, listeners: listenersOf(name, handler) };
      byKey.set(key, entry);
      tell();
      return {
        [Symbol.dispose]: () => {
          if (byKey.get(key) !== entry) return;
          byKey.delete(key);
          tell();
        },
      };
    },
    get: (name, queue) => byKey.get(keyOf(name, partsOf(queue).group))?.listeners,
    queues: () => [...new Set([...byKey.values()].map(({ queue }) => queue))],
    watch(changed) {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
  };
}

/** No name of a job holds the `@` of a key, so that no two handlers share one. */
function keyOf(name: string, group: string | undefined): string {
  return group === undefined ? name : groupQueue(name, group);
}

/** The queue that a handler's jobs are reserved from. */
function queueOf({ name, queue, topic }: Definition, group: string | undefined): string {
  if (topic === undefined) {
    if (group === undefined) return queue;
    throw new TypeError(
      `Cannot handle '${name}' with 'group' as its jobs go to a queue: only topics have groups`,
    );
  }
  if (group === undefined) {
    throw new TypeError(
      `Cannot handle '${name}' without 'group' as its jobs go to the groups of topic '${topic}'`,
    );
  }
  checkGroup(topic, group, `handle '${name}'`);
  return groupQueue(topic, group);
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
