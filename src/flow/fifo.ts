/**
 * A queue in memory: first in, first out, each in constant time.
 *
 * @module
 */

/** Gives back the items put in, in order. */
export interface Fifo<T> {
  readonly size: number;
  push(item: T): void;
  /** The oldest, taken out. */
  shift(): T | undefined;
  /** Takes one item out wherever it is; looks at each, so for rare use. */
  remove(item: T): void;
}

/** Taken slots at the front that are kept before the rest moves up. */
const SLACK = 1_024;

/** Makes an empty queue. */
export function createFifo<T>(): Fifo<T> {
  let items: (T | undefined)[] = [];
  let head = 0;
  return {
    get size(): number {
      return items.length - head;
    },
    push(item) {
      items.push(item);
    },
    shift() {
      const item = items[head];
      if (head === items.length) return undefined;
      items[head++] = undefined;
      if (head === items.length) {
        items.length = head = 0;
      } else if (head > SLACK && head * 2 > items.length) {
        items = items.slice(head);
        head = 0;
      }
      return item;
    },
    remove(item) {
      items = items.slice(head).filter((other) => other !== item);
      head = 0;
    },
  };
}
