/**
 * A gate that counts the calls inside: a relay shuts it when it closes, and waits until the last call has left.
 *
 * @module
 */

import { RelayClosed } from "../errors.ts";

/** Counts calls under way. */
export interface Gate {
  /** Whether the calls inside were asked to leave: no worker may start any more. */
  readonly closing: boolean;
  /** Whether new calls are refused. */
  readonly shut: boolean;
  enter(): void;
  leave(): void;
  /** Runs a call inside the gate; rejects with `RelayClosed` when it is shut. */
  pass<Result>(call: () => Promise<Result>, action?: string): Promise<Result>;
  /** Says that the gate will close, while calls still pass. */
  announce(): void;
  /** Refuses new calls, and resolves when the last one has left. */
  close(): Promise<void>;
}

/** Makes an open gate. */
export function createGate(): Gate {
  let announced = false;
  let shut = false;
  let inside = 0;
  let empty: (() => void) | undefined;
  let closing: Promise<void> | undefined;
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
    },
    async pass(call, action = "use it") {
      if (shut) throw new RelayClosed(action);
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
      return closing;
    },
  };
  return gate;
}
