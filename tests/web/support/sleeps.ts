/** What is still asleep: every sleep and timer of a runtime, counted from its beginning to its end. */
import type { Runtime } from "../../../src/runtime.ts";

/** A runtime that tells of each sleep and timer when it begins, 1, and when it is over, -1. */
export function countingSleeps(runtime: Runtime, add: (change: 1 | -1) => void): Runtime {
  return {
    ...runtime,
    async sleep(ms, signal) {
      add(1);
      try {
        await runtime.sleep(ms, signal);
      } finally {
        add(-1);
      }
    },
    timer(ms, ring) {
      let over = false;
      const end = (): void => {
        if (!over) add(-1);
        over = true;
      };
      add(1);
      const cancel = runtime.timer(ms, () => {
        end();
        ring();
      });
      return () => {
        end();
        cancel();
      };
    },
  };
}
