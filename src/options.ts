/**
 * Checks of options: a wrong number is refused with the action, the value wanted and the value given, never repaired.
 *
 * @module
 */

import { MAX_DELAY } from "./defaults.ts";

/** Refuses what is no whole number from `least` to `most`. */
export function checkInteger(
  action: string,
  option: string,
  value: unknown,
  least: number,
  most: number,
): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  const wanted = most === Number.MAX_SAFE_INTEGER
    ? `a whole number from ${least}`
    : `a whole number from ${least} to ${most}`;
  throw new RangeError(
    `Cannot ${action} as '${option}' must be ${wanted}: current value is ${String(value)}`,
  );
}

/** Refuses what is no time in milliseconds from `least` to a century. */
export function checkTime(action: string, option: string, value: unknown, least = 0): number {
  if (typeof value === "number" && value >= least && value <= MAX_DELAY) return value;
  throw new RangeError(
    `Cannot ${action} as '${option}' must be milliseconds from ${least} to a century: current value is ${
      String(value)
    }`,
  );
}

/** Refuses what is none of the words. */
export function checkWord<Word extends string>(
  action: string,
  option: string,
  value: unknown,
  words: readonly Word[],
): Word {
  const found = words.find((word) => word === value);
  if (found !== undefined) return found;
  const wanted = words.map((word) => `'${word}'`).join(", ");
  throw new TypeError(
    `Cannot ${action} as '${option}' must be one of ${wanted}: current value is ${String(value)}`,
  );
}

/** Refuses options that nothing reads, so that a slip of the pen is told instead of ignored. */
export function checkKnown(action: string, options: object, known: readonly string[]): void {
  for (const option of Object.keys(options)) {
    if (!known.includes(option)) {
      throw new TypeError(
        `Cannot ${action} as there is no option '${option}': there are ${known.join(", ")}`,
      );
    }
  }
}
