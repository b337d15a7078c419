/**
 * When something happens in a queue by itself: a job is due, a lease ends. Times are the store's clock's.
 *
 * @module
 */

import { createHeap } from "../flow/heap.ts";

/** An item with an instant. */
export interface Timed {
  /** `Infinity`: none. */
  next: number;
  /** The first of those under which it is known here; no later than `next`. `Infinity`: none. */
  noted: number;
}

/** Knows the first of many instants. */
export interface Instants<T extends Timed> {
  /** The first of all; `Infinity` where there is none. */
  first(): number;
  /** Changes the instant of one. */
  set(timed: T, next: number): void;
  /** Those whose instants have come, and which have none from now on. */
  take(now: number): readonly T[];
}

interface Entry<T> {
  readonly time: number;
  readonly timed: T;
}

/** Entries that are over and may lie in the heap, beside as many as there are of those that are not. */
const MAX_OVER = 256;

/** Those whose instants have come, where there are none: nearly always. */
const NONE: readonly never[] = [];

/**
 * Knows no instant yet. An instant that is put off, as the end of one lease by that of the next, is not noted anew: the
 * entry of the first stays, and is noted under the last one when it comes out.
 */
export function createInstants<T extends Timed>(): Instants<T> {
  const heap = createHeap<Entry<T>>((a, b) => a.time < b.time);
  /** Items that are noted. */
  let count = 0;

  function note(timed: T, time: number): void {
    if (timed.noted === Infinity) count++;
    timed.noted = time;
    heap.push({ time, timed });
  }

  function forget(timed: T): void {
    if (timed.noted !== Infinity) count--;
    timed.noted = Infinity;
  }

  function top(): Entry<T> | undefined {
    for (let entry = heap.peek(); entry !== undefined; entry = heap.peek()) {
      const { time, timed } = entry;
      if (timed.next === time) return entry;
      heap.pop();
      if (timed.noted !== time) continue;
      if (timed.next === Infinity) forget(timed);
      else note(timed, timed.next);
    }
    return undefined;
  }

  return {
    first: () => top()?.time ?? Infinity,
    set(timed, next) {
      timed.next = next;
      if (next >= timed.noted) return;
      note(timed, next);
      if (heap.size > 2 * count + MAX_OVER) heap.retain(({ time, timed }) => time === timed.noted);
    },
    take(now) {
      const first = heap.peek();
      if (first === undefined || first.time > now) return NONE;
      const taken: T[] = [];
      for (let entry = top(); entry !== undefined && entry.time <= now; entry = top()) {
        heap.pop();
        entry.timed.next = Infinity;
        forget(entry.timed);
        taken.push(entry.timed);
      }
      return taken;
    },
  };
}
