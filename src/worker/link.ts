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
  let failures = 0;
  let told = false;
  let last: unknown;
  let readOnly = false;
  return {
    get away(): boolean {
      return told;
    },
    up(wrote) {
      if (!told || (readOnly && !wrote)) return;
      told = false;
      readOnly = false;
      failures = 0;
      last = undefined;
      turned(false);
      events.emit("connection", { state: "up" });
    },
    down(thrown, writing) {
      readOnly ||= writing;
      // All items of a batch fail with the one error of its call.
      if (thrown !== last) failures++;
      last = thrown;
      if (!told) {
        turned(true);
        events.emit("connection", { state: "down", error: errorOf(thrown) });
      }
      told = true;
      const step = Math.min(PAUSE_MAX, PAUSE_MIN * 2 ** Math.min(failures - 1, 16));
      return step * (0.5 + random() / 2);
    },
  };
}
