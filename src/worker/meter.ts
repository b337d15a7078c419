/**
 * How fast a worker's handlers are, measured over the last runs, so that it fetches ahead the jobs that start soon and
 * no more.
 *
 * @module
 */

/** How many runs are looked back upon. */
const WINDOW = 64;
/** Below so many runs nothing is known. */
const ENOUGH = 8;
/** The median is found anew after so many runs. */
const STEP = 32;
/** Handlers that take longer at the median gain nothing from jobs fetched ahead, in milliseconds. */
const SLOW = 100;
/** Jobs are fetched ahead for so many milliseconds of work: many round trips' worth, and little for others to miss. */
const AHEAD = 100;

/** Measures runs. */
export interface Meter {
  /** A run ended now, after so many milliseconds. */
  record(now: number, duration: number): void;
  /** How many jobs may be held beyond the running ones. */
  allowance(now: number, lease: number, limit: number): number;
}

/** Makes a meter that knows nothing yet. */
export function createMeter(): Meter {
  return new Window();
}

class Window implements Meter {
  /** Keeps the shape of these objects known while no worker runs, and the code that V8 made for it. */
  static readonly kept: object = new Window();
  readonly #durations = new Float64Array(WINDOW);
  readonly #stamps = new Float64Array(WINDOW);
  #count = 0;
  #median = 0;

  record(now: number, duration: number): void {
    this.#durations[this.#count % WINDOW] = duration;
    this.#stamps[this.#count % WINDOW] = now;
    const count = ++this.#count;
    if (count !== ENOUGH && count % STEP !== 0) return;
    const known = Math.min(count, WINDOW);
    this.#median = this.#durations.slice(0, known).sort()[known >> 1] ?? 0;
  }

  allowance(now: number, lease: number, limit: number): number {
    const known = Math.min(this.#count, WINDOW);
    if (known < ENOUGH) return 0;
    if (this.#median > SLOW) return 0;
    const oldest = this.#stamps[this.#count < WINDOW ? 0 : this.#count % WINDOW] ?? 0;
    const rate = known / Math.max(now - oldest, 0.001);
    return Math.min(limit, Math.floor(rate * Math.min(AHEAD, lease / 3)));
  }
}
