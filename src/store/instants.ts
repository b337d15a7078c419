/**
 * When something happens in a queue by itself: a job is due, a lease ends. Times are the store's clock's.
 *
 * @module
 */

import { createHeap, type Heap } from "../flow/heap.ts";

/** An item with an instant. */
export interface Timed {
  /** `Infinity`: none. */
  next: number;
}

/** Knows the first of many instants. */
export interface Instants<T extends Timed> {
  /** The first of all; `Infinity` where there is none. */
  first(): number;
  /** Changes the instant of one. */
  set(timed: T, next: number): void;
  /** Those whose instants have come, and which have none from now on. */
  take(now: number): T[];
}

interface Entry<T> {
  readonly time: number;
  readonly timed: T;
}

/** Entries that are over and may lie in the heap, beside as many as there are of those that are not. */
const MAX_OVER = 256;

/** Knows no instant yet. */
export function createInstants<T extends Timed>(): Instants<T> {
  let heap: Heap<Entry<T>> = newHeap();
  const live = new Set<T>();

  function top(): Entry<T> | undefined {
    for (let entry = heap.peek(); entry !== undefined; entry = heap.peek()) {
      if (entry.timed.next === entry.time && live.has(entry.timed)) return entry;
      heap.pop();
    }
    return undefined;
  }

  function sweep(): void {
    heap = newHeap();
    for (const timed of live) heap.push({ time: timed.next, timed });
  }

  return {
    first: () => top()?.time ?? Infinity,
    set(timed, next) {
      if (timed.next === next) return;
      timed.next = next;
      if (next === Infinity) {
        live.delete(timed);
        return;
      }
      live.add(timed);
      if (heap.size > 2 * live.size + MAX_OVER) sweep();
      else heap.push({ time: next, timed });
    },
    take(now) {
      const taken: T[] = [];
      for (let entry = top(); entry !== undefined && entry.time <= now; entry = top()) {
        heap.pop();
        entry.timed.next = Infinity;
        live.delete(entry.timed);
        taken.push(entry.timed);
      }
      return taken;
    },
  };
}

function newHeap<T>(): Heap<Entry<T>> {
  return createHeap((a, b) => a.time < b.time);
}
