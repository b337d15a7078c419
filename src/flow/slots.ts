/**
 * Numbered slots for items that come and go by the thousand. V8's `Map` and `Set` leave behind, each time they make
 * room anew, a table that refers to the next one: behind one old table all that was ever in them stays until memory is
 * swept as a whole, and to keep it meanwhile was a quarter of a worker's time.
 *
 * @module
 */

/** Keeps items by the numbers of their slots. */
export interface Slots<T> {
  readonly size: number;
  /** Puts an item into a free slot; the slot's number, from 0. */
  add(item: T): number;
  get(slot: number): T | undefined;
  /** Empties a slot, which another item may get then. */
  remove(slot: number): void;
  /** One that passes a test: looks at each, so for rare use. */
  find(test: (item: T) => boolean): T | undefined;
  /** All items as they are now, in the order in which they came. */
  items(): T[];
  clear(): void;
}

/** Slots that are kept when all are free. */
const MANY = 1_024;

/** Makes slots, all free. */
export function createSlots<T>(): Slots<T> {
  return new Numbered();
}

class Numbered<T> implements Slots<T> {
  /** Keeps the shape of these objects known while no worker runs, and the code that V8 made for it. */
  static readonly kept: object = new Numbered();
  #slots: (T | undefined)[] = [];
  #free: number[] = [];
  /** How many came before the item of each slot. */
  #before: number[] = [];
  #came = 0;

  get size(): number {
    return this.#slots.length - this.#free.length;
  }

  add(item: T): number {
    const slot = this.#free.pop() ?? this.#slots.length;
    this.#slots[slot] = item;
    this.#before[slot] = this.#came++;
    return slot;
  }

  get(slot: number): T | undefined {
    return this.#slots[slot];
  }

  remove(slot: number): void {
    const slots = this.#slots;
    if (slots[slot] === undefined) return;
    slots[slot] = undefined;
    this.#free.push(slot);
    if (this.#free.length === slots.length && slots.length > MANY) this.clear();
  }

  find(test: (item: T) => boolean): T | undefined {
    return this.#slots.find((item) => item !== undefined && test(item));
  }

  items(): T[] {
    const taken: number[] = [];
    for (let slot = 0; slot < this.#slots.length; slot++) {
      if (this.#slots[slot] !== undefined) taken.push(slot);
    }
    taken.sort((a, b) => (this.#before[a] ?? 0) - (this.#before[b] ?? 0));
    return taken.map((slot) => this.#slots[slot] as T);
  }

  clear(): void {
    this.#slots = [];
    this.#free = [];
    this.#before = [];
  }
}
