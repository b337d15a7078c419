/**
 * A gate that counts the calls inside: a relay shuts it when it closes, and waits until the last call has left.
 *
 * @module
 */

import { RelayClosed } from "../errors.ts";
import { asStep, isEnding, type Step, type Trail } from "./trail.ts";

/** Counts calls under way. */
export interface Gate {
  /** Whether the calls inside were asked to leave: no worker may start any more. */
  readonly closing: boolean;
  /** Whether new calls are refused. */
  readonly shut: boolean;
  enter(): void;
  leave(): void;
  /**
   * Runs a call inside the gate, as a step of the trail: the program's functions that it calls may close the relay.
   * Rejects with `RelayClosed` when it is shut.
   */
  pass<Result>(call: () => Promise<Result>, action?: string): Promise<Result>;
  /** The same for a part of a call that is inside: it goes on when the gate is shut. */
  within<Result>(call: () => Promise<Result>): Promise<Result>;
  /** The same for such a part that calls none of the program's functions. */
  hold<Result>(call: () => Promise<Result>): Promise<Result>;
  /** Says that the gate will close, while calls still pass. */
  announce(): void;
  /** Refuses new calls, and resolves when the last one has left. */
  close(): Promise<void>;
  /** Resolves with true when it is shut and all calls inside wait for such an end, and with false when it is empty. */
  held(): Promise<boolean>;
}

/** Makes an open gate; without a trail it cannot tell which calls wait for its end. */
export function createGate(trail?: Trail): Gate {
  let announced = false;
  let shut = false;
  let inside = 0;
  let empty: (() => void) | undefined;
  let closing: Promise<void> | undefined;
  const steps = new Set<Step>();
  const checks = new Set<() => void>();
  const changed = (): void => {
    for (const check of checks) check();
  };
  const gate: Gate = {
    get closing(): boolean {
      return announced;
    },
    get shut(): boolean {
      return shut;
    },
    enter() {
      inside++;
    },
    leave() {
      inside--;
      if (inside === 0) empty?.();
      if (checks.size > 0) changed();
    },
    pass: (call, action = "use it") => shut ? Promise.reject(new RelayClosed(action)) : gate.within(call),
    within: (call) =>
      gate.hold(trail === undefined ? call : () => asStep({ way: trail.here(), steps, changed }, call)),
    async hold(call) {
      gate.enter();
      try {
        return await call();
      } finally {
        gate.leave();
      }
    },
    announce() {
      announced = true;
    },
    close() {
      announced = true;
      shut = true;
      closing ??= inside === 0 ? Promise.resolve() : new Promise((resolve) => {
        empty = resolve;
      });
      changed();
      return closing;
    },
    held: () =>
      new Promise((resolve) => {
        const check = (): void => {
          const ending = [...steps].filter(isEnding).length;
          if (!shut || inside > ending) return;
          checks.delete(check);
          resolve(ending > 0);
        };
        checks.add(check);
        check();
      }),
  };
  return gate;
}
