/**
 * Ids that callers chose, each refused until its window is over, whatever became of its job.
 *
 * @module
 */

import { Order, type Placed } from "./order.ts";

/** Windows that one look-up may clear away; more than one, so that clearing outruns opening. */
const PURGE = 4;

interface Window extends Placed {
  readonly id: string;
}

/** The windows of one queue. Times are the process clock's. */
export class Windows {
  #byId: Map<string, Window> = new Map();
  #byEnd: Order<Window> = new Order();

  /** Windows that are kept, over or not. */
  get size(): number {
    return this.#byEnd.size;
  }

  holds(id: string, now: number): boolean {
    const window = this.#byId.get(id);
    return window !== undefined && window.time > now;
  }

  /** Refuses an id until `end`. */
  open(id: string, end: number, seq: number): void {
    const window: Window = { time: end, seq, id };
    this.#byId.set(id, window);
    this.#byEnd.add(window);
  }

  /** Forgets a few of those that are over. */
  purge(now: number): void {
    for (let i = 0; i < PURGE; i++) {
      const window = this.#byEnd.first();
      if (window === undefined || window.time > now) return;
      this.#byEnd.shift();
      if (this.#byId.get(window.id) === window) this.#byId.delete(window.id);
    }
  }
}
