/**
 * The listeners of a handler: from the user's handler to functions in order, with the names of those that a retry is
 * to remember.
 *
 * @module
 */

import type { HandlerContext } from "./context.ts";
import { MAX_REMEMBERED } from "../defaults.ts";
import { byteLength, checkText } from "../names.ts";
import { quote, shown } from "../options.ts";

/**
 * A function that handles a job: an outcome decides its fate, a throw is a failed run, anything else completes it, but
 * for a value that was meant as an outcome and is none. A returned recurrence, Error, or maker that was not called
 * makes the job dead at once, reason `outcome`, as a retry would repeat the handler's work. `Added` are the fields that
 * middlewares add to the context.
 */
export type HandlerFunction<Payload, Added = unknown> = (
  payload: Payload,
  context: HandlerContext & Added,
) => unknown;

/** A handler as a function or as an object with a method. */
export type Listener<Payload, Added = unknown> =
  | HandlerFunction<Payload, Added>
  | { readonly handle: HandlerFunction<Payload, Added> };

/**
 * Listeners by name; they run in the order in which they are written. None may be called `handle`, nor like a number,
 * as an object puts those before all others.
 */
export interface NamedListeners<Payload, Added = unknown> {
  /** The listener of this name. */
  readonly [name: string]: HandlerFunction<Payload, Added>;
}

/**
 * One listener, or several that run one after another, in a list or under names; the first that fails stops the run. A
 * retry runs all again, unless they have names and `remember` is given.
 */
export type Handler<Payload, Added = unknown> =
  | Listener<Payload, Added>
  | readonly Listener<Payload, Added>[]
  | NamedListeners<Payload, Added>;

/** Listeners as a worker calls them, in order. */
export type Listeners = readonly HandlerFunction<unknown>[];

/** A user's handler, as it is called. */
export interface Read {
  readonly listeners: Listeners;
  /** The listeners' names, in their order; absent where they have none. */
  readonly names: readonly string[] | undefined;
}

/**
 * Reads a handler.
 *
 * @throws {TypeError | RangeError} for a value that is none, and for names that cannot be remembered.
 */
export function readHandler(name: string, handler: unknown, remember: boolean): Read {
  const action = `handle '${name}'`;
  if (isNamed(handler)) return readNamed(action, handler);
  if (remember) {
    throw new TypeError(
      `Cannot ${action} with 'remember' as its listeners have no names: give an object, as { mail, audit }`,
    );
  }
  const list: readonly unknown[] = Array.isArray(handler) ? Array.from(handler) : [handler];
  if (list.length === 0) throw new TypeError(`Cannot ${action} with an empty list of listeners`);
  return { listeners: list.map((listener) => readListener(action, listener)), names: undefined };
}

function readListener(action: string, listener: unknown): HandlerFunction<unknown> {
  if (typeof listener === "function") return (payload, context) => listener(payload, context);
  if (typeof listener === "object" && listener !== null && "handle" in listener) {
    const { handle } = listener;
    if (typeof handle === "function") {
      return (payload, context) => Reflect.apply(handle, listener, [payload, context]);
    }
  }
  throw new TypeError(
    `Cannot ${action} as a handler must be a function, an object with 'handle', a list of those, or an object of ` +
      "functions by name: " +
      `current value is ${quote(listener)}`,
  );
}

/** An object whose own fields are all functions, and that has no method `handle`. */
function isNamed(handler: unknown): handler is object {
  if (typeof handler !== "object" || handler === null || Array.isArray(handler) || "handle" in handler) {
    return false;
  }
  const listeners = Object.values(handler);
  return listeners.length > 0 && listeners.every((listener) => typeof listener === "function");
}

function readNamed(action: string, handler: object): Read {
  const names = Object.keys(handler);
  for (const name of names) {
    checkText("name of a listener", name, action, MAX_REMEMBERED);
    if (String(Number(name)) === name) {
      throw new TypeError(
        `Cannot ${action} with a listener named '${shown(name)}' as objects put numbers before other names`,
      );
    }
  }
  const bytes = byteLength(names.join(""));
  if (bytes > MAX_REMEMBERED) {
    throw new RangeError(
      `Cannot ${action} as the names of its listeners must have at most ${MAX_REMEMBERED} bytes together: ` +
        `current value is ${bytes}`,
    );
  }
  return { listeners: names.map((name) => readListener(action, Reflect.get(handler, name))), names };
}
