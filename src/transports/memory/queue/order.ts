/**
 * The one structure of the memory transport: things in the order of (time, seq). Taking the first and adding a last
 * cost nothing to speak of; any other may be added, taken out, or begun a page at in the time of a binary search. An
 * item that is taken out is gone at once, so that nothing grows but by its items.
 *
 * @module
 */

/** An item with its place in an order; no two of one order share both numbers. */
export interface Placed {
  readonly time: number;
  readonly seq: number;
}

/** Things of one chunk: enough to make chunks few, few enough to shift by one at no cost. */
const CHUNK = 512;

/** Whether `a` comes before `b`. */
export function precedes(a: Placed, b: Placed): boolean {
  return a.time < b.time || (a.time === b.time && a.seq < b.seq);
}

/** Things in order. A thing's time and seq must not change while it is in. */
export class Order<T extends Placed> {
  /** Sorted, none empty. Holes are only in the first, before `#head`: a shift need not move the rest. */
  #chunks: (T | undefined)[][] = [];
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  first(): T | undefined {
    return this.#chunks[0]?.[this.#head];
  }

  shift(): T | undefined {
    const chunk = this.#chunks[0];
    if (chunk === undefined) return undefined;
    const item = chunk[this.#head];
    chunk[this.#head] = undefined;
    this.#head++;
    this.#size--;
    if (this.#head === chunk.length) this.#drop(0);
    return item;
  }

  add(item: T): void {
    this.#size++;
    const chunk = this.#chunks[this.#chunks.length - 1];
    const last = chunk?.[chunk.length - 1];
    if (chunk === undefined || last === undefined) this.#chunks.push([item]);
    else if (precedes(item, last)) this.#insert(item);
    else if (chunk.length < CHUNK) chunk.push(item);
    else this.#chunks.push([item]);
  }

  remove(item: T): void {
    if (this.first() === item) {
      this.shift();
      return;
    }
    const at = this.#chunkOf(item.time, item.seq);
    const index = this.#indexIn(at, item.time, item.seq);
    const chunk = this.#chunks[at];
    if (chunk === undefined || chunk[index] !== item) {
      throw new Error("Cannot remove what is not in this order");
    }
    this.#size--;
    if (index === chunk.length - 1) chunk.pop();
    else chunk.splice(index, 1);
    if (chunk.length === (at === 0 ? this.#head : 0)) this.#drop(at);
  }

  /** How many come no later than `time`. */
  countThrough(time: number): number {
    const at = this.#chunkOf(time, Infinity);
    if (at === this.#chunks.length) return this.#size;
    let count = this.#indexIn(at, time, Infinity) - this.#head;
    for (let i = 0; i < at; i++) count += this.#chunks[i]?.length ?? 0;
    return count;
  }

  /** Those behind a place, or all; nothing may be added or taken out meanwhile. */
  *after(place?: Placed): Generator<T, void, undefined> {
    const { time, seq } = place ?? { time: -Infinity, seq: 0 };
    let at = this.#chunkOf(time, seq);
    let index = this.#indexIn(at, time, seq);
    for (; at < this.#chunks.length; at++, index = 0) {
      const chunk = this.#chunks[at] ?? [];
      for (; index < chunk.length; index++) {
        const item = chunk[index];
        if (item !== undefined && (item.time !== time || item.seq !== seq)) yield item;
      }
    }
  }

  /** Those ahead of a place, or all, the last one first; nothing may be added or taken out meanwhile. */
  *before(place?: Placed): Generator<T, void, undefined> {
    const { time, seq } = place ?? { time: Infinity, seq: 0 };
    let at = this.#chunkOf(time, seq);
    let index = this.#indexIn(at, time, seq) - 1;
    for (; at >= 0; index = (this.#chunks[--at]?.length ?? 0) - 1) {
      const least = at === 0 ? this.#head : 0;
      for (; index >= least; index--) {
        const item = this.#chunks[at]?.[index];
        if (item !== undefined) yield item;
      }
    }
  }

  #insert(item: T): void {
    const at = this.#chunkOf(item.time, item.seq);
    const chunk = this.#chunks[at] ?? [];
    const index = this.#indexIn(at, item.time, item.seq);
    if (at === 0 && this.#head > 0 && index === this.#head) {
      chunk[--this.#head] = item;
      return;
    }
    chunk.splice(index, 0, item);
    if (chunk.length > CHUNK) this.#split(at, chunk);
  }

  #split(at: number, chunk: (T | undefined)[]): void {
    if (at === 0) {
      chunk.splice(0, this.#head);
      this.#head = 0;
    }
    if (chunk.length > CHUNK) this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK / 2));
  }

  #drop(at: number): void {
    if (at === 0) {
      this.#chunks.shift();
      this.#head = 0;
    } else {
      this.#chunks.splice(at, 1);
    }
  }

  /** The first chunk whose last thing is at a place or behind it. */
  #chunkOf(time: number, seq: number): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const chunk = this.#chunks[middle];
      if (isBefore(chunk?.[chunk.length - 1], time, seq)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The first index in a chunk of a thing that is at a place or behind it. */
  #indexIn(at: number, time: number, seq: number): number {
    const chunk = this.#chunks[at] ?? [];
    let low = at === 0 ? this.#head : 0;
    let high = chunk.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(chunk[middle], time, seq)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function isBefore(item: Placed | undefined, time: number, seq: number): boolean {
  return item !== undefined && (item.time < time || (item.time === time && item.seq < seq));
}
