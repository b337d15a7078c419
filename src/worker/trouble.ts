/**
 * Queues in trouble: those that cannot be reserved from, or whose groups cannot be bound, while others can. Each is
 * told once per change, by its name, and is left alone for pauses that grow.
 *
 * @module
 */

import { errorOf, RelevoError } from "../errors.ts";
import type { Events } from "../events/events.ts";
import { isRefusal, PASSING } from "./passing.ts";

/** The verb that fails for a queue. */
export type Doing = "reserve" | "bind";

/** The shortest and the longest pause before a queue in trouble is tried again, in milliseconds. */
const PAUSE_MIN = 250;
const PAUSE_MAX = 15_000;
/** The longest where the error is one of the transport, which may be back for all at any time. */
const PAUSE_OF_ALL = 3_000;

/** Keeps the troubles of one worker. */
export interface Troubles {
  readonly size: number;
  /** It failed; how long to leave the queue alone, in milliseconds. */
  down(queue: string, doing: Doing, thrown: unknown): number;
  /** It was done, or is wanted no more. */
  up(queue: string, doing: Doing): void;
}

interface Trouble {
  failures: number;
  told: boolean;
}

/** Makes one without any. */
export function createTroubles(events: Events, random: () => number): Troubles {
  const troubles = new Map<string, Trouble>();
  const keyOf = (queue: string, doing: Doing): string => `${doing} ${queue}`;
  return {
    get size(): number {
      return troubles.size;
    },
    down(queue, doing, thrown) {
      const key = keyOf(queue, doing);
      const trouble = troubles.get(key) ?? { failures: 0, told: false };
      troubles.set(key, trouble);
      trouble.failures++;
      // A transport that fails as a whole fails for each queue: that is told by `connection`, unless it goes on for
      // this one alone.
      if (!trouble.told && (trouble.failures > 1 || !isOfAll(thrown))) {
        trouble.told = true;
        events.emit("queue", { queue, state: "down", during: doing, error: errorOf(thrown) });
      }
      return pauseOf(trouble.failures, random, isOfAll(thrown) ? PAUSE_OF_ALL : PAUSE_MAX);
    },
    up(queue, doing) {
      const key = keyOf(queue, doing);
      const trouble = troubles.get(key);
      if (trouble === undefined) return;
      troubles.delete(key);
      if (trouble.told) events.emit("queue", { queue, state: "up", during: doing });
    },
  };
}

/** How long to pause after so many failures, in milliseconds; at most `most`. */
export function pauseOf(failures: number, random: () => number, most: number = PAUSE_MAX): number {
  const step = Math.min(most, PAUSE_MIN * 2 ** Math.min(failures - 1, 16));
  return step * (0.5 + random() / 2);
}

/** Whether an error says something of the transport rather than of one queue; a refusal may be one queue's. */
export function isOfAll(thrown: unknown): boolean {
  return thrown instanceof RelevoError && PASSING.includes(thrown.code) && !isRefusal(thrown);
}
