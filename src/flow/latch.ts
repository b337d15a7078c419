/**
 * A latch: one call waits at it, another opens it. An opening that finds no call waiting is remembered once.
 *
 * @module
 */

/** Lets one waiter through for each time that it was opened, or all that happened before it came. */
export interface Latch {
  /** Resolves when the latch is opened, or at once when it was opened since the last wait. */
  wait(): Promise<void>;
  open(): void;
}

/** Makes a latch for one waiter at a time. */
export function createLatch(): Latch {
  let opened = false;
  let release: (() => void) | undefined;
  return {
    wait: () =>
      new Promise((resolve) => {
        if (!opened) {
          release = resolve;
          return;
        }
        opened = false;
        resolve();
      }),
    open: () => {
      if (release === undefined) {
        opened = true;
        return;
      }
      const resolve = release;
      release = undefined;
      resolve();
    },
  };
}
