/**
 * The list `use` of a relay or handler: checked, and taken apart into its sides.
 *
 * @module
 */

import type { RunSide } from "./chain.ts";
import type { JobEvents } from "../events/events.ts";
import { type AnyMiddleware, attachTo, isAttaching, type Owns } from "./middleware.ts";
import { quote, wrongType } from "../options.ts";
import type { DispatchSide } from "./outgoing.ts";
import { ownOf, type OwnSides } from "./own.ts";

/** A list by its sides, each in the order of the list. */
export interface Used {
  readonly runs: readonly RunSide[];
  readonly dispatches: readonly DispatchSide[];
  /** Lets those that hear events hear these; of a handler, those of its own runs. */
  attach(events: JobEvents, owns: Owns | undefined): Disposable;
}

/**
 * Reads a list of middlewares; `of` is its owner. A handler's list is around runs alone, so that in it one with no more
 * than a dispatch side would never be called.
 *
 * @throws {TypeError} for a value that is no list of them.
 */
export function readUse(use: unknown, action: string, of: "relay" | "handler"): Used {
  if (use === undefined) return NONE;
  if (!Array.isArray(use)) {
    throw wrongType(action, "'use'", "a list of middlewares", use);
  }
  const list: readonly unknown[] = Array.from(use);
  const read = list.map((middleware, index) => readOne(middleware, `${action} as 'use[${index}]'`, of));
  return {
    runs: read.flatMap(({ run, own }) => run === undefined ? [] : [{ around: run, own: own.run }]),
    dispatches: read.flatMap(({ dispatch, own }) =>
      dispatch === undefined ? [] : [{ around: dispatch, own: own.dispatch }]
    ),
    attach: (events, owns) => {
      const attached = read.map(({ middleware }) => attachTo(middleware, events, owns));
      return { [Symbol.dispose]: () => attached.forEach((each) => each?.[Symbol.dispose]()) };
    },
  };
}

const NONE: Used = { runs: [], dispatches: [], attach: () => ({ [Symbol.dispose]: () => undefined }) };

/** The sides, bound to the object that they may be methods of. */
function readOne(
  value: unknown,
  action: string,
  of: "relay" | "handler",
): AnyMiddleware & { readonly middleware: AnyMiddleware; readonly own: OwnSides } {
  if (typeof value !== "object" || value === null) {
    throw new TypeError(`Cannot ${action} must be a middleware: current value is ${quote(value)}`);
  }
  const middleware: AnyMiddleware = value;
  const { run, dispatch } = middleware;
  for (const [name, side] of Object.entries({ run, dispatch })) {
    if (side !== undefined && typeof side !== "function") {
      throw new TypeError(`Cannot ${action} must have a function '${name}': current value is ${quote(side)}`);
    }
  }
  if (run === undefined && dispatch === undefined && !isAttaching(middleware)) {
    throw new TypeError(`Cannot ${action} must have a side 'run' or 'dispatch', and has neither`);
  }
  if (of === "handler" && run === undefined && !isAttaching(middleware)) {
    throw new TypeError(
      `Cannot ${action} must have a side 'run': its side 'dispatch' is called in a relay's list alone`,
    );
  }
  return {
    middleware,
    own: ownOf(middleware),
    run: run === undefined ? undefined : sideOf(run.bind(middleware), "run"),
    dispatch: dispatch === undefined ? undefined : sideOf(dispatch.bind(middleware), "dispatch"),
  };
}

/** A side whose answer for `next` is a function. */
function sideOf<Next, Around>(side: (next: Next) => Around, name: string): (next: Next) => Around {
  return (next) => {
    const around = side(next);
    return typeof around === "function" ? around : refuse(around, name);
  };
}

function refuse(side: unknown, name: string): never {
  throw new TypeError(
    `Cannot go on as the side '${name}' of a middleware must return a function of its own: current value is ${
      quote(side)
    }`,
  );
}
