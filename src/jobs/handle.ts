/**
 * Handlers, which a user registers under a job's name, and the table in which workers find them.
 *
 * @module
 */

import { type Chain, createChain, type RunSide } from "../sides/chain.ts";
import type { Definition, Definitions, HandledOf, Jobs, NameOf } from "./definitions.ts";
import { UnknownJobError } from "../errors.ts";
import type { JobEvents } from "../events/events.ts";
import { type Handler, type Listeners, readHandler } from "./listeners.ts";
import type { AddedBy, AnyMiddleware } from "../sides/middleware.ts";
import { checkGroup, groupQueue, partsOf } from "../names.ts";
import { checkBoolean, checkKnown, shown } from "../options.ts";
import type { Flaw } from "./sound.ts";
import { readUse } from "../sides/use.ts";

/** The options of {@linkcode Handle} beside the handler. */
export interface HandleOptions<Use extends readonly AnyMiddleware[] = readonly AnyMiddleware[]> {
  /** Put this handler in the place of the one registered before; running jobs end with the old one. Default false. */
  readonly replace?: boolean | undefined;
  /**
   * Which of its topic's groups the handler is of: each group gets every job once, whichever of its members runs it.
   * Needed for a topic's job, refused for any other. One job may have a handler for each of several groups.
   */
  readonly group?: string | undefined;
  /**
   * Middlewares around its runs, inside those of the relay; the first is outermost. Of each only the `run` side is
   * used. Default: none.
   */
  readonly use?: Use | undefined;
  /**
   * A retry runs only the listeners that have not finished; they need names, which travel with the job. Progress that a
   * lost lease interrupts is forgotten. Default false: a retry runs all again.
   */
  readonly remember?: boolean | undefined;
}

/**
 * Registers a handler under a job's name, whose schema's output the handler gets. A handler that may return a
 * recurrence, an Error or an uncalled maker of outcomes is a type error, {@linkcode Flaw} says which.
 */
export type Handle<out J extends Jobs, out Added = unknown> = <
  Name extends NameOf<J>,
  Given extends Handler<HandledOf<J, Name>, Added & AddedBy<Use>>,
  const Use extends readonly AnyMiddleware[] = readonly AnyMiddleware[],
>(
  name: Name,
  handler: Given & ([Flaw<Given>] extends [never] ? unknown : Flaw<Given>),
  options?: HandleOptions<Use>,
) => Disposable;

/** A handler as a worker finds it. */
export interface Registered {
  /** The queue that its jobs are reserved from. */
  readonly queue: string;
  readonly listeners: Listeners;
  /** The listeners' names, where a retry is to remember those that finished. */
  readonly names: readonly string[] | undefined;
  /** The middlewares around its runs; undefined: none. */
  readonly chain: Chain | undefined;
}

/** The table of handlers. */
export interface Handlers {
  /**
   * @throws {UnknownJobError} for a name without a definition.
   * @throws {TypeError} for a value that is no handler, a second one without `replace`, or a group too few or too many.
   */
  register(name: string, handler: unknown, options: HandleOptions): Disposable;
  /** The handler for a job of this name in this queue: in a group's, that of the group. */
  get(name: string, queue: string): Registered | undefined;
  /** The queues of all names that have a handler; for topics, those of the handlers' groups. */
  queues(): readonly string[];
  /** Calls back after each change; returns how to leave off. */
  watch(changed: () => void): () => void;
}

/** Makes an empty table. */
export function createHandlers(
  definitions: Definitions,
  outer: readonly RunSide[],
  events: JobEvents,
): Handlers {
  const byKey = new Map<string, Registered>();
  /** The middlewares that hear the events of a handler's runs. */
  const attached = new Map<string, Disposable>();
  const watchers = new Set<() => void>();
  /** Made once for each change: a worker asks before each look. */
  let queues: readonly string[] | undefined;
  const tell = (): void => {
    queues = undefined;
    watchers.forEach((changed) => changed());
  };

  return {
    register(name, handler, options) {
      const definition = definitions.get(name);
      if (definition === undefined || definition.name !== name) {
        const form = typeof name === "string" ? "" : "; write handle(name, handler)";
        throw new UnknownJobError(shown(name), `there are ${definitions.names.join(", ") || "none"}${form}`);
      }
      const action = `handle '${name}'`;
      checkKnown(action, options, ["replace", "group", "use", "remember"]);
      const { group, remember = false, replace = false } = options;
      checkBoolean(action, "remember", remember);
      checkBoolean(action, "replace", replace);
      const use = readUse(options.use, action, "handler");
      const queue = queueOf(definition, group);
      const key = keyOf(name, group);
      if (byKey.has(key) && !replace) {
        const where = group === undefined ? "" : ` in group '${group}'`;
        throw new TypeError(
          `Cannot handle '${name}' as it has a handler${where}: give { replace: true } to put another there`,
        );
      }
      const { listeners, names } = readHandler(name, handler, remember);
      const entry = {
        queue,
        listeners,
        names: remember ? names : undefined,
        chain: createChain([...outer, ...use.runs]),
      };
      const heard = use.attach(
        events,
        (run) => definitions.get(run.name) === definition && partsOf(run.queue).group === group,
      );
      // Runs of the one before, which go on, are heard by this one's: each once.
      attached.get(key)?.[Symbol.dispose]();
      attached.set(key, heard);
      byKey.set(key, entry);
      tell();
      return {
        [Symbol.dispose]: () => {
          heard[Symbol.dispose]();
          if (byKey.get(key) !== entry) return;
          byKey.delete(key);
          tell();
        },
      };
    },
    get: (name, queue) => byKey.get(keyOf(name, partsOf(queue).group)),
    queues: () => queues ??= [...new Set([...byKey.values()].map(({ queue }) => queue))],
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
