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
  return new OneLatch();
}

/** A class, as latches are opened some times for each job: V8 forgets the code made for a closure with the closure. */
class OneLatch implements Latch {
  /** Keeps the shape of these objects known while no worker runs, and the code that V8 made for it. */
  static readonly kept: object = new OneLatch();
  #opened = false;
  #release: (() => void) | undefined;

  wait(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#opened) {
        this.#release = resolve;
        return;
      }
      this.#opened = false;
      resolve();
    });
  }

  open(): void {
    const release = this.#release;
    if (release === undefined) {
      this.#opened = true;
      return;
    }
    this.#release = undefined;
    release();
  }
}
