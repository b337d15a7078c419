/**
 * The times of deaths, with which the subjects of dead jobs end: those of one process in their order, and no two the
 * same.
 *
 * @module
 */

import type { Runtime } from "../../../runtime.ts";
import type { Deaths } from "./context.ts";

const TIME_DIGITS = 9;
const COUNT_DIGITS = 4;
const MOST = 36 ** COUNT_DIGITS;
const OWN_DIGITS = 8;

/** Makes the times of one process's deaths. */
export function createDeaths(runtime: Runtime): Deaths {
  let own: string | undefined;
  let time = 0;
  let count = 0;
  return {
    next(now) {
      const current = Math.floor(now);
      count = current > time ? 0 : count + 1;
      time = Math.max(time, current);
      if (count === MOST) {
        time++;
        count = 0;
      }
      own ??= runtime.id().slice(-OWN_DIGITS);
      return { time, stamp: digits(time, TIME_DIGITS) + digits(count, COUNT_DIGITS) + own };
    },
  };
}

/** When a job died, as its subject says. */
export function timeOfDeath(stamp: string): number {
  return Number.parseInt(stamp.slice(0, TIME_DIGITS), 36);
}

function digits(value: number, length: number): string {
  return value.toString(36).padStart(length, "0");
}
