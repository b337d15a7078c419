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
  return new List();
}

class List<T> implements Fifo<T> {
  /** Keeps the shape of these objects known while no worker runs, and the code that V8 made for it. */
  static readonly kept: object = new List();
  #items: (T | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const items = this.#items;
    const head = this.#head;
    if (head === items.length) return undefined;
    const item = items[head];
    items[head] = undefined;
    this.#head = head + 1;
    if (this.#head === items.length) {
      items.length = this.#head = 0;
    } else if (this.#head > SLACK && this.#head * 2 > items.length) {
      this.#items = items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  remove(item: T): void {
    this.#items = this.#items.slice(this.#head).filter((other) => other !== item);
    this.#head = 0;
  }
}
