/**
 * The link to the transport as a worker sees it: down with the first call that fails, up when all that failed works
 * again, told once per change. A success of another call is none: a store may answer some calls and others not.
 *
 * @module
 */

import { errorOf } from "../errors.ts";
import type { Events } from "../events/events.ts";
import type { Run } from "./run.ts";

/** The shortest and the longest pause after a failed call, in milliseconds. */
const PAUSE_MIN = 100;
const PAUSE_MAX = 3_000;

/** What makes calls, one after another: the looks for jobs, or a run that is settled and extended. */
type Caller = Run | "look";

/** Keeps the state of a link. */
export interface Link {
  /** Whether it is down, and was told to be. */
  readonly away: boolean;
  /**
   * A call succeeded; `wrote`: it changed something. A store that can only be read may still find that nothing waits.
   */
  up(caller: Caller, wrote: boolean): void;
  /**
   * A call failed that would have changed something, or only looked; how long to pause before the next, in
   * milliseconds.
   */
  down(caller: Caller, thrown: unknown): number;
  /** A run is over, however it ended. */
  leave(run: Run): void;
}

/** Makes a link that is taken to be up; `turned` is told each change, too. */
export function createLink(events: Events, random: () => number, turned: (away: boolean) => void): Link {
  return new Told(events, random, turned);
}

class Told implements Link {
  readonly #events: Events;
  readonly #random: () => number;
  readonly #turned: (away: boolean) => void;
  readonly #failing: Set<Caller> = new Set();
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

  up(caller: Caller, wrote: boolean): void {
    if (!this.#away) return;
    this.#failing.delete(caller);
    // Pauses grow with failures that follow one another.
    if (wrote) this.#failures = 0;
    if (wrote && this.#failing.size <= Number(this.#failing.has("look"))) this.#readOnly = false;
    if (this.#failing.size > 0 || this.#readOnly) return;
    this.#away = false;
    this.#failures = 0;
    this.#last = undefined;
    this.#turned(false);
    this.#events.emit("connection", { state: "up" });
  }

  down(caller: Caller, thrown: unknown): number {
    this.#failing.add(caller);
    this.#readOnly ||= caller !== "look";
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

  leave(run: Run): void {
    if (this.#failing.size > 0) this.#failing.delete(run);
  }
}
