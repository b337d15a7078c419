/**
 * Checks of options: a wrong number is refused with the action, the value wanted and the value given, never repaired.
 *
 * @module
 */

import { MAX_DELAY } from "./defaults.ts";
import { messageOf } from "./errors.ts";
import { hasFields, isRevoked, tagOf } from "./kinds.ts";
import { ourWordFor } from "./other_words.ts";

/** The error of a value of the wrong kind; `what` is the value's place, `wanted` ends "must be ...". */
export function wrongType(action: string, what: string, wanted: string, value: unknown): TypeError {
  return new TypeError(wrong(action, what, wanted, value));
}

/** The error of a value out of its range; as {@linkcode wrongType}. */
export function wrongRange(action: string, what: string, wanted: string, value: unknown): RangeError {
  return new RangeError(wrong(action, what, wanted, value));
}

function wrong(action: string, what: string, wanted: string, value: unknown): string {
  return `Cannot ${action} as ${what} must be ${wanted}: current value is ${quote(value)}`;
}

/** Refuses a value that is no whole number from `least` to `most`. */
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
  throw wrongRange(action, `'${option}'`, wanted, value);
}

/** Refuses a value that is no time in milliseconds from `least` to a century. */
export function checkTime(action: string, option: string, value: unknown, least = 0): number {
  if (typeof value === "number" && value >= least && value <= MAX_DELAY) return value;
  throw wrongRange(action, `'${option}'`, `milliseconds from ${least} to a century`, value);
}

/** Refuses a value that is none of the words. */
export function checkWord<Word extends string>(
  action: string,
  option: string,
  value: unknown,
  words: readonly Word[],
): Word {
  const found = words[words.indexOf(value as Word)];
  if (found !== undefined) return found;
  const wanted = words.map((word) => `'${word}'`).join(", ");
  throw wrongType(action, `'${option}'`, `one of ${wanted}`, value);
}

/** Refuses a value that is no `AbortSignal`, of whatever realm; where one is optional, `undefined` is one too. */
export function checkSignal(action: string, signal: unknown): void {
  if (signal === undefined) return;
  const { aborted, addEventListener, throwIfAborted }: Partial<AbortSignal> = Object(signal);
  if (
    typeof aborted === "boolean" && typeof addEventListener === "function" &&
    typeof throwIfAborted === "function"
  ) return;
  throw wrongType(action, "'signal'", "an AbortSignal", signal);
}

/** Refuses a value that is no clock, timer and die, such as `createFakeRuntime` of `./testing` gives. */
export function checkRuntime(action: string, runtime: unknown): void {
  const parts: { readonly [part: string]: unknown } = Object(runtime);
  const missing = ["now", "monotonic", "sleep", "timer", "random", "id"].find((part) =>
    typeof parts[part] !== "function"
  );
  if (missing === undefined) return;
  throw new TypeError(
    `Cannot ${action} as 'runtime' must have the functions now, monotonic, sleep, timer, random and id: current value is ${
      typeof runtime === "object" && runtime !== null && hasFields(runtime)
        ? `an object without '${missing}'`
        : quote(runtime)
    }`,
  );
}

/** Refuses a value that has no properties to read. */
export function checkObject(action: string, what: string, value: unknown): void {
  if (typeof value === "object" && value !== null && !isRevoked(value)) return;
  throw wrongType(action, what, "an object", value);
}

/** Refuses a value that is no list. */
export function checkList(action: string, what: string, wanted: string, value: unknown): void {
  if (!Array.isArray(value)) throw wrongType(action, what, wanted, value);
}

/** Refuses a value that is no relay, such as the promise of one; `wanted` says which values there may be. */
export function checkRelay(action: string, wanted: string, relay: unknown): void {
  const { events, queues }: { readonly events?: unknown; readonly queues?: unknown } = Object(relay);
  if (typeof events === "object" && typeof queues === "function") return;
  throw new TypeError(`Cannot ${action} as it takes ${wanted}: current value is ${quote(relay)}`);
}

/** Refuses a value that is no name: a text that is empty tells nothing from another in events and errors. */
export function checkLabel(action: string, option: string, value: unknown): asserts value is string {
  if (typeof value !== "string" || value === "") {
    throw wrongType(action, `'${option}'`, "a non-empty string", value);
  }
}

/** Refuses a value that is neither `true` nor `false`: a string that says no would be taken for yes. */
export function checkBoolean(action: string, option: string, value: unknown): void {
  if (typeof value === "boolean") return;
  throw wrongType(action, `'${option}'`, "true or false", value);
}

/**
 * A value as it stands in a message: never an error of its own, and never long. Of an object its kind alone is told, as
 * its content may be private.
 */
export function shown(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (isRevoked(value)) return "a revoked Proxy";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null && !(value instanceof Date)) return kindOf(value);
  return messageOf(value).slice(0, 80);
}

function kindOf(value: object): string {
  try {
    const name: unknown = value.constructor?.name;
    const kind = typeof name === "string" && /^[A-Za-z]\w{0,60}$/.test(name) ? name : "Object";
    return kind === "Object" ? "an object" : `${/^([AEIO]|Un)/.test(kind) ? "an" : "a"} ${kind}`;
  } catch {
    return "an object";
  }
}

/** A value as `shown`, where a text must not look like the number that it spells. */
export function quote(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 80)) : shown(value);
}

/** Refuses options that are none or that nothing reads, so that a slip of the pen is told instead of ignored. */
export function checkKnown(action: string, options: object, known: readonly string[]): void {
  checkOptions(action, options);
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue;
    const ours = ourWordFor(option);
    throw new TypeError(
      `Cannot ${action} as there is no option '${option.slice(0, 80)}': ${
        ours === undefined ? "" : `${ours}; `
      }there are ${known.join(", ")}`,
    );
  }
}

/** Refuses a value that is no set of options: a list or a signal has properties too, and all that it says would be ignored. */
export function checkOptions(action: string, options: object): void {
  checkObject(action, "its options", options);
  if (Array.isArray(options)) {
    throw new TypeError(`Cannot ${action} as its options must be an object: current value is a list`);
  }
  if (!hasFields(options) && tagOf(options) !== "AbortSignal") {
    throw new TypeError(
      `Cannot ${action} as its options must be an object: current value is ${shown(options)}`,
    );
  }
  if (typeof AbortSignal === "function" && options instanceof AbortSignal) {
    throw new TypeError(
      `Cannot ${action} as its options must be an object: current value is a signal, give { signal }`,
    );
  }
}

/** A fault that valibot found in an input of ours; its message says which value there "must be". */
export interface InputFault {
  /** The kind of schema, such as `strict_object`. */
  readonly type: string;
  /** The value wanted, in valibot's words: `never` for a key that is too much. */
  readonly expected: string | null;
  /** The clause of our own schema. */
  readonly message: string;
  /** The value given. */
  readonly input: unknown;
}

/** One fault of an input that holds nothing private: the value wanted and the value given. */
export function faultOf({ type, expected, message, input }: InputFault): string {
  const isOfKey = type === "strict_object" && expected !== "Object";
  if (!isOfKey) return `${message}: current value is ${quote(input)}`;
  return expected === "never" ? `there is no such option: ${message}` : "is missing";
}

/** The message of a strict object of these fields: for a value that is none, and for a key that is too much. */
export function messageOfFields(fields: object): (fault: Pick<InputFault, "expected">) => string {
  const known = Object.keys(fields).join(", ");
  return ({ expected }) => expected === "never" ? `there are ${known || "none"}` : "must be an object";
}
