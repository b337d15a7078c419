/**
 * Readings of a clock that are taken once for all that happens in one go.
 *
 * @module
 */

/**
 * A reading that is taken again only when the microtasks that are due now have run: many runs begin and end in one turn
 * of the event loop, and a look at a clock for each is a part of a quick one's time.
 */
export class OnceATurn {
  /** Keeps the shape of these objects known while no worker runs, and the code that V8 made for it. */
  static readonly kept: object = new OnceATurn(() => 0);
  readonly #read: () => number;
  readonly #forget: () => void = () => void (this.#reading = undefined);
  #reading: number | undefined;

  /** `read` takes it. */
  constructor(read: () => number) {
    this.#read = read;
  }

  /** The reading of this turn. */
  get(): number {
    if (this.#reading === undefined) {
      this.#reading = this.#read();
      // Not by queueMicrotask: jest's fake timers put theirs in its place, and the reading would be the last for ever.
      void Promise.resolve().then(this.#forget);
    }
    return this.#reading;
  }
}
