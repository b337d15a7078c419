/**
 * Checks of options: a wrong number is refused with the action, the value wanted and the value given, never repaired.
 *
 * @module
 */

import { MAX_DELAY } from "./defaults.ts";
import { messageOf } from "./errors.ts";

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
    `Cannot ${action} as '${option}' must be ${wanted}: current value is ${quote(value)}`,
  );
}

/** Refuses what is no time in milliseconds from `least` to a century. */
export function checkTime(action: string, option: string, value: unknown, least = 0): number {
  if (typeof value === "number" && value >= least && value <= MAX_DELAY) return value;
  throw new RangeError(
    `Cannot ${action} as '${option}' must be milliseconds from ${least} to a century: current value is ${
      quote(value)
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
    `Cannot ${action} as '${option}' must be one of ${wanted}: current value is ${quote(value)}`,
  );
}

/** Refuses what is no `AbortSignal`, of whatever realm; where one is optional, `undefined` is one too. */
export function checkSignal(action: string, signal: unknown): void {
  if (signal === undefined) return;
  const { aborted, addEventListener, throwIfAborted }: Partial<AbortSignal> = Object(signal);
  if (
    typeof aborted === "boolean" && typeof addEventListener === "function" &&
    typeof throwIfAborted === "function"
  ) return;
  throw new TypeError(
    `Cannot ${action} as 'signal' must be an AbortSignal: current value is ${quote(signal)}`,
  );
}

/** Refuses what has no properties to read. */
export function checkObject(action: string, what: string, value: unknown): void {
  if (typeof value === "object" && value !== null) return;
  throw new TypeError(`Cannot ${action} as ${what} must be an object: current value is ${quote(value)}`);
}

/** Refuses what is neither `true` nor `false`: a string that says no would be taken for yes. */
export function checkBoolean(action: string, option: string, value: unknown): void {
  if (typeof value === "boolean") return;
  throw new TypeError(
    `Cannot ${action} as '${option}' must be true or false: current value is ${quote(value)}`,
  );
}

/** A value as it stands in a message: never an error of its own, and never long. */
export function shown(value: unknown): string {
  return messageOf(value).slice(0, 80);
}

/** A value as `shown`, where a text must not look like the number that it spells. */
export function quote(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 80)) : shown(value);
}

/** Refuses options that are none or that nothing reads, so that a slip of the pen is told instead of ignored. */
export function checkKnown(action: string, options: object, known: readonly string[]): void {
  checkObject(action, "its options", options);
  for (const option of Object.keys(options)) {
    if (!known.includes(option)) {
      throw new TypeError(
        `Cannot ${action} as there is no option '${option}': there are ${known.join(", ")}`,
      );
    }
  }
}
