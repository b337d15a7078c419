/** What a transport leaves alive: timers of its runtime, and connections that the server still sees. */
import { type Runtime, systemRuntime } from "../../../src/runtime.ts";
import { countingSleeps } from "../../web/support/sleeps.ts";

/** The real runtime, with a count of who sleeps and a wall clock that can be moved. */
export interface WatchedRuntime extends Runtime {
  readonly sleepers: number;
  /** Moves the wall clock, as if somebody had set it. */
  step(ms: number): void;
}

export function watchedRuntime(): WatchedRuntime {
  const real = systemRuntime();
  let sleepers = 0;
  let moved = 0;
  return {
    ...countingSleeps(real, (change) => sleepers += change),
    now: () => real.now() + moved,
    get sleepers(): number {
      return sleepers;
    },
    step: (ms) => void (moved += ms),
  };
}

/** What stores left alive, for a subject whose stores share servers. */
export interface Leaks {
  /** Adds what a store that is closed still has, once that had time to end. */
  add(count: () => number | Promise<number>): Promise<void>;
  /** What was left since this was asked last. */
  alive(): number;
}

export function createLeaks(): Leaks {
  let left = 0;
  return {
    async add(count) {
      const found = await settled(count);
      left += found;
    },
    alive() {
      const found = left;
      left = 0;
      return found;
    },
  };
}

/** Looks again until a count is 0, for as long as a closed connection may take to be noticed at the other end. */
async function settled(count: () => number | Promise<number>): Promise<number> {
  const end = performance.now() + 5_000;
  for (;;) {
    const left = await count();
    if (left === 0 || performance.now() > end) return left;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
