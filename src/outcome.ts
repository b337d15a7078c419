/**
 * What a handler may return beside any value of its own: the outcomes that decide what becomes of its job.
 *
 * @module
 */

import type { Recurrence } from "./schedule.ts";

/** Marks outcomes; a registered symbol, so that two copies of this module in one program understand each other. */
const OUTCOME: unique symbol = Symbol.for("relevo.outcome") as never;

/** The job is done. */
export interface Complete {
  readonly [OUTCOME]: "complete";
}

/** The job failed and runs again while attempts are left. */
export interface Retry {
  readonly [OUTCOME]: "retry";
  readonly delay: number | undefined;
  readonly error: unknown;
}

/** The job is dead. */
export interface DeadLetter {
  readonly [OUTCOME]: "deadLetter";
  readonly reason: string;
  readonly error: unknown;
}

/** The job did not fail and runs again, in a new cycle. */
export interface Reschedule {
  readonly [OUTCOME]: "reschedule";
  readonly by: Recurrence;
  /** Present when the next run gets another payload, even an undefined one. */
  readonly next: { readonly payload: unknown } | undefined;
  readonly keepAttempts: boolean;
}

/** What a handler returns to decide its job's fate by itself. */
export type Outcome = Complete | Retry | DeadLetter | Reschedule;

/** The job is done; the same as returning nothing or any value that is no outcome (seed 004). */
export function complete(): Complete {
  return { [OUTCOME]: "complete" };
}

/** What {@linkcode retry} takes. */
export interface RetryOptions {
  /** Milliseconds before the next run. Default: what the backoff gives. */
  readonly delay?: number;
  /** What went wrong; stored with the job and told to listeners. */
  readonly error?: unknown;
}

/** The run failed: it counts, and the job runs again unless that was its last attempt (seed 004). */
export function retry(options: RetryOptions = {}): Retry {
  return { [OUTCOME]: "retry", delay: options.delay, error: options.error };
}

/** What {@linkcode deadLetter} takes. */
export interface DeadLetterOptions {
  /** A word for programs, by which operators can select. Default `refused`. */
  readonly reason?: string;
  /** What went wrong; stored with the job and told to listeners. */
  readonly error?: unknown;
}

/** The job is dead at once, whatever attempts are left (seed 004). */
export function deadLetter(options: DeadLetterOptions = {}): DeadLetter {
  return { [OUTCOME]: "deadLetter", reason: options.reason ?? "refused", error: options.error };
}

/** What {@linkcode reschedule} takes. */
export interface RescheduleOptions {
  /** The next run's payload, checked and stored as a dispatched one is. Default: the same again. */
  readonly payload?: unknown;
  /** Go on counting attempts instead of beginning a new cycle. Default false. */
  readonly keepAttempts?: boolean;
}

/** The run did not fail; the job runs again when `by` says (seed 004). A `by` that fails makes the job dead. */
export function reschedule(by: Recurrence, options: RescheduleOptions = {}): Reschedule {
  const next = "payload" in options ? { payload: options.payload } : undefined;
  return { [OUTCOME]: "reschedule", by, next, keepAttempts: options.keepAttempts ?? false };
}

/** The kind of an outcome, or undefined for any other value. */
export function outcomeOf(value: unknown): Outcome | undefined {
  return typeof value === "object" && value !== null && OUTCOME in value ? value as Outcome : undefined;
}

/** Which outcome it is. */
export function kindOf(outcome: Outcome): Outcome[typeof OUTCOME] {
  return outcome[OUTCOME];
}
