/**
 * A gate that counts who is inside: a relay shuts it when it closes, and waits until the last call has left.
 *
 * @module
 */

import { RelayClosed } from "./errors.ts";

/** Counts calls under way. */
export interface Gate {
  /** Whether new calls are refused. */
  readonly shut: boolean;
  enter(): void;
  leave(): void;
  /** Runs a call inside the gate; rejects with `RelayClosed` when it is shut. */
  pass<Result>(call: () => Promise<Result>, action?: string): Promise<Result>;
  /** Refuses new calls, and resolves when the last one has left. */
  close(): Promise<void>;
}

/** Makes an open gate. */
export function createGate(): Gate {
  let shut = false;
  let inside = 0;
  let empty: (() => void) | undefined;
  let closing: Promise<void> | undefined;
  const gate: Gate = {
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
    close() {
      shut = true;
      closing ??= inside === 0 ? Promise.resolve() : new Promise((resolve) => {
        empty = resolve;
      });
      return closing;
    },
  };
  return gate;
}
