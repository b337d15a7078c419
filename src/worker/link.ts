/**
 * The link to the transport as a worker sees it: down with the first call that fails, up with the next that shows that
 * the call that failed works again, told once per change.
 *
 * @module
 */

import { errorOf } from "../errors.ts";
import type { Events } from "../events/events.ts";

/** The shortest and the longest pause after a failed call, in milliseconds. */
const PAUSE_MIN = 100;
const PAUSE_MAX = 3_000;

/** Keeps the state of a link. */
export interface Link {
  /** Whether it is down, and was told to be. */
  readonly away: boolean;
  /**
   * A call succeeded; `wrote`: it changed something. A store that can only be read may still find that nothing waits.
   */
  up(wrote: boolean): void;
  /**
   * A call failed that would have changed something, or only looked; how long to pause before the next, in
   * milliseconds.
   */
  down(thrown: unknown, writing: boolean): number;
}

/** Makes a link that is taken to be up; `turned` is told each change, too. */
export function createLink(events: Events, random: () => number, turned: (away: boolean) => void): Link {
  return new Told(events, random, turned);
}

class Told implements Link {
  readonly #events: Events;
  readonly #random: () => number;
  readonly #turned: (away: boolean) => void;
  #failures = 0;
  #away = false;
  #last: unknown;
  #readOnly = false;

  constructor(events: Events, random: () => number, turned: (away: boolean) => void) {
    this.#events = events;
    this.#random = random;
    this.#turned = turned;
  }

  get away(): boolean {
    return this.#away;
  }

  up(wrote: boolean): void {
    if (!this.#away || (this.#readOnly && !wrote)) return;
    this.#away = false;
    this.#readOnly = false;
    this.#failures = 0;
    this.#last = undefined;
    this.#turned(false);
    this.#events.emit("connection", { state: "up" });
  }

  down(thrown: unknown, writing: boolean): number {
    this.#readOnly ||= writing;
    // All items of a batch fail with the one error of its call.
    if (thrown !== this.#last) this.#failures++;
    this.#last = thrown;
    if (!this.#away) {
      this.#turned(true);
      this.#events.emit("connection", { state: "down", error: errorOf(thrown) });
    }
    this.#away = true;
    const step = Math.min(PAUSE_MAX, PAUSE_MIN * 2 ** Math.min(this.#failures - 1, 16));
    return step * (0.5 + this.#random() / 2);
  }
}
