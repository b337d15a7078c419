/**
 * A binary heap: the smallest of many, for due times, lease ends and alarms.
 *
 * @module
 */

/** Gives back the items put in, smallest first. */
export interface Heap<T> {
  readonly size: number;
  /** The smallest, left where it is. */
  peek(): T | undefined;
  push(item: T): void;
  /** The smallest, taken out. */
  pop(): T | undefined;
  /** Takes out all that are not to be kept, in one go. */
  retain(keep: (item: T) => boolean): void;
}

/** Makes a heap; `before` says whether `a` comes out before `b`. */
export function createHeap<T>(before: (a: T, b: T) => boolean): Heap<T> {
  const items: T[] = [];

  function rise(index: number, item: T): void {
    let at = index;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent] as T;
      if (!before(item, above)) break;
      items[at] = above;
      at = parent;
    }
    items[at] = item;
  }

  function sink(index: number, item: T): void {
    let at = index;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && before(items[child + 1] as T, items[child] as T)) child++;
      const below = items[child] as T;
      if (!before(below, item)) break;
      items[at] = below;
      at = child;
    }
    items[at] = item;
  }

  return {
    get size(): number {
      return items.length;
    },
    peek: () => items[0],
    push: (item) => rise(items.length, item),
    pop: () => {
      const top = items[0];
      const last = items.pop();
      if (items.length > 0 && last !== undefined) sink(0, last);
      return top;
    },
    retain(keep) {
      let kept = 0;
      for (const item of items) if (keep(item)) items[kept++] = item;
      items.length = kept;
      for (let index = (kept >> 1) - 1; index >= 0; index--) sink(index, items[index] as T);
    },
  };
}
