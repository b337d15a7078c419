/**
 * The link to the transport as a worker sees it: down with the first call that fails, up with the next that succeeds,
 * told once per change.
 *
 * @module
 */

import { errorOf } from "../errors.ts";
import type { Events } from "../events.ts";

/** The shortest and the longest pause after a failed call, in milliseconds. */
const PAUSE_MIN = 100;
const PAUSE_MAX = 3_000;

/** Keeps the state of a link. */
export interface Link {
  /** A call succeeded. */
  up(): void;
  /** A call failed; how long to pause before the next, in milliseconds. */
  down(thrown: unknown): number;
}

/** Makes a link that is taken to be up. */
export function createLink(events: Events, random: () => number): Link {
  let failures = 0;
  let told = false;
  let last: unknown;
  return {
    up() {
      if (!told) return;
      told = false;
      failures = 0;
      last = undefined;
      events.emit("connection", { state: "up" });
    },
    down(thrown) {
      // All items of a batch fail with the one error of its call.
      if (thrown !== last) failures++;
      last = thrown;
      if (!told) events.emit("connection", { state: "down", error: errorOf(thrown) });
      told = true;
      const step = Math.min(PAUSE_MAX, PAUSE_MIN * 2 ** Math.min(failures - 1, 16));
      return step * (0.5 + random() / 2);
    },
  };
}
