/**
 * Return values of handlers that were meant to decide a job's fate and do not: a recurrence without `reschedule`, a
 * maker of outcomes that was not called, an Error that was not thrown. Taken for "done", they would end a recurring job
 * for good, or hide a failure; so the job is dead at once, as a retry would repeat the handler's work.
 *
 * @module
 */

import { messageOf } from "../errors.ts";

/** Marks makers; a registered symbol, so that two copies of this module in one program understand each other. */
const MAKER = Symbol.for("relevo.maker");

/** The fault of a value that was given for an outcome. */
export interface Mistake {
  /** Its kind, with the article. */
  readonly what: string;
  /** The code to write instead. */
  readonly write: string;
  /** The Error that was returned instead of thrown. */
  readonly cause?: unknown;
}

/** Marks a function that makes outcomes or recurrences, with the call to write where it was returned and not called. */
export function markMaker(maker: (...given: never) => unknown, call: string): void {
  Object.defineProperty(maker, MAKER, { value: call });
}

/** The fault of a returned value; undefined: nothing, it is an outcome or completes the job. */
export function mistakeOf(value: unknown): Mistake | undefined {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return undefined;
  try {
    if (isError(value)) {
      return {
        what: `an Error (${messageOf(value)})`,
        write: "throw it, or return retry({ error }) or deadLetter({ error })",
        cause: value,
      };
    }
    const call: unknown = Reflect.get(value, MAKER);
    if (typeof call === "string") return { what: "a function of Relevo's uncalled", write: `return ${call}` };
    return isRecurrence(value)
      ? {
        what: "a recurrence, which alone runs no job again",
        write: "return reschedule(every(ms)), not every(ms)",
      }
      : undefined;
  } catch {
    // A value whose properties cannot even be read is the user's own.
    return undefined;
  }
}

/** A mistake as the error that its job dies of. */
export function errorOfMistake({ what, write, cause }: Mistake, by: string = "The handler"): Error {
  return new TypeError(
    `${by} returned ${what}: ${write}`,
    cause === undefined ? undefined : { cause },
  );
}

/** An Error of whatever realm. */
function isError(value: object): boolean {
  return value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";
}

/** Has a function `next`, and is no iterator that can be iterated. */
function isRecurrence(value: object): boolean {
  return typeof Reflect.get(value, "next") === "function" && !(Symbol.iterator in value) &&
    !(Symbol.asyncIterator in value);
}
