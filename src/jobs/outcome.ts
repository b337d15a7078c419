/**
 * The outcomes that a handler may return beside any value of its own: they decide the fate of its job.
 *
 * @module
 */

import { MAX_NAME } from "../defaults.ts";
import { markMaker } from "./mistake.ts";
import { checkText } from "../names.ts";
import { checkBoolean, checkKnown, quote } from "../options.ts";
import type { Recurrence } from "./schedule.ts";

/**
 * Marks outcomes, so that no value of a handler's own is taken for an outcome by its shape. A
 * registered symbol, so that two copies of this module in one program understand each other.
 */
const OUTCOME = Symbol.for("relevo.outcome");

/** The job is done; made by {@linkcode complete} only. */
export interface Complete {
  /** Tells outcomes apart. */
  readonly kind: "complete";
}

/** The run failed, and the job runs again while attempts are left; made by {@linkcode retry} only. */
export interface Retry {
  /** Tells outcomes apart. */
  readonly kind: "retry";
  /** Milliseconds before the next run; undefined: the backoff decides. */
  readonly delay: number | undefined;
  /** The fault; undefined: an error that says that the handler asked for a retry. */
  readonly error: unknown;
}

/** The job is dead, in `failed`; made by {@linkcode deadLetter} only. */
export interface DeadLetter {
  /** Tells outcomes apart. */
  readonly kind: "deadLetter";
  /** By which operators can select. */
  readonly reason: string;
  /** The fault; undefined: an error that says that the handler refused the job. */
  readonly error: unknown;
}

/** The run did not fail, and the job runs again in a new cycle; made by {@linkcode reschedule} only. */
export interface Reschedule {
  /** Tells outcomes apart. */
  readonly kind: "reschedule";
  /** Says when; asked once, by the worker that ran the job. */
  readonly by: Recurrence;
  /** Present when the next run gets another payload, even an undefined one. */
  readonly next: { readonly payload: unknown } | undefined;
  /** Whether the next run goes on counting attempts. */
  readonly keepAttempts: boolean;
}

/** A returned value by which a handler decides its job's fate itself. */
export type Outcome = Complete | Retry | DeadLetter | Reschedule;

/** The job is done; the same as returning nothing or any value that is no outcome (seed 004). */
export function complete(): Complete {
  return marked({ kind: "complete" });
}

/** The options of {@linkcode retry}. */
export interface RetryOptions {
  /** Milliseconds before the next run. Default: that of the backoff. */
  readonly delay?: number | undefined;
  /** The fault; stored with the job and told to listeners. */
  readonly error?: unknown | undefined;
}

/**
 * The run failed: it counts, and the job runs again unless that was its last attempt (seed 004).
 *
 * @throws {TypeError} for an option that is unknown; in a handler, a failed run.
 */
export function retry(options: RetryOptions = {}): Retry {
  refuseBare("retry a job", options, "retry({ delay: 5_000 })");
  checkKnown("retry a job", options, ["delay", "error"]);
  return marked({ kind: "retry", delay: options.delay, error: options.error });
}

/** The options of {@linkcode deadLetter}. */
export interface DeadLetterOptions {
  /** A word for programs, by which operators can select. Default `refused`. */
  readonly reason?: string | undefined;
  /** The fault; stored with the job and told to listeners. */
  readonly error?: unknown | undefined;
}

/**
 * The job is dead at once, whatever attempts are left (seed 004).
 *
 * @throws {TypeError | RangeError} when an option is unknown, or the reason is no text that operators could select by.
 */
export function deadLetter(options: DeadLetterOptions = {}): DeadLetter {
  refuseBare("bury a job", options, 'deadLetter({ reason: "gone" })');
  checkKnown("bury a job", options, ["reason", "error"]);
  const { reason = "refused", error } = options;
  checkText("reason of a dead letter", reason, "bury a job", MAX_NAME);
  return marked({ kind: "deadLetter", reason, error });
}

/** The options of {@linkcode reschedule}. */
export interface RescheduleOptions {
  /** The next run's payload, checked and stored as a dispatched one is. Default: the same again. */
  readonly payload?: unknown;
  /** Go on counting attempts instead of beginning a new cycle. Default false. */
  readonly keepAttempts?: boolean | undefined;
}

/**
 * The run did not fail; the job runs again when `by` says (seed 004). A `by` that fails makes the job dead.
 *
 * @throws {TypeError} for an option that is unknown; in a handler, a failed run.
 */
export function reschedule(by: Recurrence, options: RescheduleOptions = {}): Reschedule {
  checkKnown("reschedule a job", options, ["payload", "keepAttempts"]);
  const next = "payload" in options ? { payload: options.payload } : undefined;
  const { keepAttempts = false } = options;
  checkBoolean("reschedule a job", "keepAttempts", keepAttempts);
  return marked({ kind: "reschedule", by, next, keepAttempts });
}

/** The value itself when it is an outcome, or undefined for any other value. */
export function outcomeOf(value: unknown): Outcome | undefined {
  return isOutcome(value) ? value : undefined;
}

/** Refuses a value where options are wanted, and shows how it is given. */
function refuseBare(action: string, options: unknown, form: string): void {
  if (typeof options === "object" && options !== null && !(options instanceof Error)) return;
  throw new TypeError(
    `Cannot ${action} as its options must be an object: current value is ${quote(options)}, write ${form}`,
  );
}

function isOutcome(value: unknown): value is Outcome {
  if (typeof value !== "object" || value === null) return false;
  try {
    return OUTCOME in value;
  } catch {
    // A value that does not even let itself be looked at is the user's own.
    return false;
  }
}

function marked<Kind extends Outcome>(outcome: Kind): Kind {
  return { [OUTCOME]: true, ...outcome };
}

markMaker(complete, "complete()");
markMaker(retry, "retry()");
markMaker(deadLetter, "deadLetter()");
markMaker(reschedule, "reschedule(every(ms))");
