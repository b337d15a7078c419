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
  let slots: (T | undefined)[] = [];
  let free: number[] = [];
  /** How many came before the item of each slot. */
  let before: number[] = [];
  let came = 0;

  function clear(): void {
    slots = [];
    free = [];
    before = [];
  }

  return {
    get size(): number {
      return slots.length - free.length;
    },
    add(item) {
      const slot = free.pop() ?? slots.length;
      slots[slot] = item;
      before[slot] = came++;
      return slot;
    },
    get: (slot) => slots[slot],
    remove(slot) {
      if (slots[slot] === undefined) return;
      slots[slot] = undefined;
      free.push(slot);
      if (free.length === slots.length && free.length > MANY) clear();
    },
    find: (test) => slots.find((item) => item !== undefined && test(item)),
    items() {
      const taken: number[] = [];
      for (let slot = 0; slot < slots.length; slot++) if (slots[slot] !== undefined) taken.push(slot);
      taken.sort((a, b) => (before[a] ?? 0) - (before[b] ?? 0));
      return taken.map((slot) => slots[slot] as T);
    },
    clear,
  };
}
