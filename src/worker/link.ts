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
  return {
    up() {
      if (failures === 0) return;
      failures = 0;
      events.emit("connection", { state: "up" });
    },
    down(thrown) {
      failures++;
      if (failures === 1) events.emit("connection", { state: "down", error: errorOf(thrown) });
      const step = Math.min(PAUSE_MAX, PAUSE_MIN * 2 ** Math.min(failures - 1, 16));
      return step * (0.5 + random() / 2);
    },
  };
}
