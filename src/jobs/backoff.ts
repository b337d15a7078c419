/**
 * How long a failed job waits before its next run: policies as plain data, so that they can travel with a job.
 *
 * @module
 */

import { BACKOFF_BASE, BACKOFF_JITTER, BACKOFF_MAX, MAX_DELAY } from "../defaults.ts";
import { checkKnown, quote, wrongRange, wrongType } from "../options.ts";
import { hush } from "../promises.ts";

/** A named policy with its numbers; all times are milliseconds. */
export interface BackoffPolicy {
  /** How the delay grows from run to run; see the function of the same name. */
  readonly type: "exponential" | "fixed" | "linear" | "jittered";
  /** The first delay. */
  readonly base: number;
  /** No delay is longer, before `jitter` is added. */
  readonly max: number;
  /** Lengthens each delay by a random part of itself, from 0 up to this one. */
  readonly jitter: number;
}

/** The options of a policy's maker beside the first delay. */
export interface BackoffOptions {
  /** The longest delay in milliseconds. Default 600,000 (10 min). */
  readonly max?: number | undefined;
  /** The largest random part, 0 to 1, that is added to a delay. Default 0.1. */
  readonly jitter?: number | undefined;
}

/** The failure that a backoff is asked about. */
export interface Failure {
  /** Runs that have failed in this cycle, this one included: 1 and up. */
  readonly attempts: number;
  /** The error of the last run. */
  readonly error: unknown;
  /** The delay before the last run, in milliseconds; 0 when there was none. */
  readonly lastDelay: number;
}

/** A policy, or any function that gives the delay in milliseconds. Functions cannot travel with a job. */
export type Backoff = BackoffPolicy | ((failure: Failure) => number);

/**
 * Doubles the delay from run to run: `base`, 2 × `base`, 4 × `base`, up to `max` (seed 002). Default base: 5,000 ms.
 *
 * @throws {TypeError | RangeError} for an option that is unknown, or a number that is out of its range.
 *
 * @example
 * ```ts
 * exponential(5_000); // 5 s, 10 s, 20 s, ... 10 min, each up to 10 % longer
 * ```
 */
export function exponential(base: number = BACKOFF_BASE, options: BackoffOptions = {}): BackoffPolicy {
  return policy("exponential", base, options);
}

/**
 * Waits the same milliseconds before each run.
 *
 * @throws {TypeError | RangeError} for an option that is unknown, or a number that is out of its range.
 */
export function fixed(delay: number, options: BackoffOptions = {}): BackoffPolicy {
  return policy("fixed", delay, options);
}

/**
 * Adds `step` milliseconds from run to run: `step`, 2 × `step`, 3 × `step`, up to `max`.
 *
 * @throws {TypeError | RangeError} for an option that is unknown, or a number that is out of its range.
 */
export function linear(step: number, options: BackoffOptions = {}): BackoffPolicy {
  return policy("linear", step, options);
}

/**
 * Starts at `base` and multiplies each delay by 2 and by a random number from 0.5 up to 1.5, never below `base` and
 * never over `max` (seed 003). Default base: 1,000 ms.
 *
 * @throws {TypeError | RangeError} for an option that is unknown, or a number that is out of its range.
 */
export function jittered(base: number = 1_000, options: Omit<BackoffOptions, "jitter"> = {}): BackoffPolicy {
  return policy("jittered", base, { ...options, jitter: 0 });
}

function policy(type: BackoffPolicy["type"], base: number, options: BackoffOptions): BackoffPolicy {
  checkKnown(`make the backoff '${type}'`, options, ["max", "jitter"]);
  const made = {
    type,
    base,
    max: options.max === undefined ? Math.max(BACKOFF_MAX, base) : options.max,
    jitter: options.jitter === undefined ? BACKOFF_JITTER : options.jitter,
  };
  checkBackoff(made, `make the backoff '${type}'`);
  return made;
}

/** Whether a value is a policy that gives delays. */
export function isBackoff(value: unknown): value is BackoffPolicy {
  // Of most jobs there is none, and an error costs more than the rest of an event.
  if (value === undefined) return false;
  try {
    checkBackoff(value as BackoffPolicy, "read a record");
    return true;
  } catch {
    return false;
  }
}

/** Refuses a policy that could give a delay that is none; used where one is made and where one arrives. */
export function checkBackoff(backoff: BackoffPolicy, action: string): void {
  if (typeof backoff !== "object" || backoff === null) {
    throw wrongType(action, "'backoff'", "a policy", backoff);
  }
  const { type, base, max, jitter } = backoff;
  if (!["exponential", "fixed", "linear", "jittered"].includes(type)) {
    throw new TypeError(
      `Cannot ${action} as 'type' must name a backoff policy: current value is ${quote(type)}`,
    );
  }
  if (base === undefined) {
    throw new TypeError(
      `Cannot ${action} as 'backoff' needs all of a policy's numbers: write ${type}(5_000), with the first delay in milliseconds`,
    );
  }
  const refuse = (option: string, wanted: string, value: unknown): never => {
    throw wrongRange(action, `'${option}'`, wanted, value);
  };
  // A string compares as the number that it looks like, and is none.
  const isWithin = (value: unknown, least: number, most: number): boolean =>
    typeof value === "number" && value >= least && value <= most;
  if (!isWithin(base, 0, MAX_DELAY)) refuse("base", "milliseconds from 0 to a century", base);
  if (!isWithin(max, base, MAX_DELAY)) refuse("max", "milliseconds from 'base' to a century", max);
  if (!isWithin(jitter, 0, 1)) refuse("jitter", "a part from 0 to 1", jitter);
}

/**
 * The delay before the next run, in whole milliseconds. `random` gives numbers from 0 up to 1.
 *
 * @throws {RangeError} when a backoff function gives no delay.
 */
export function delayAfter(failure: Failure, backoff: Backoff, random: () => number): number {
  if (typeof backoff === "function") {
    const delay = backoff(failure);
    // Growth without a bound would put the next run off for as good as ever, and say nothing.
    if (typeof delay !== "number" || !(delay >= 0 && delay <= MAX_DELAY)) {
      hush(delay);
      throw new RangeError(
        `Cannot retry as a backoff must give milliseconds from 0 to a century: current value is ${
          quote(delay)
        }`,
      );
    }
    return Math.round(delay);
  }
  const delay = Math.min(steps[backoff.type](backoff, failure, random), backoff.max);
  // The longer delay must still be a delay that a transport takes.
  return Math.round(Math.min(delay * (1 + backoff.jitter * random()), MAX_DELAY));
}

const steps: Record<
  BackoffPolicy["type"],
  (policy: BackoffPolicy, failure: Failure, random: () => number) => number
> = {
  exponential: ({ base }, { attempts }) => base === 0 ? 0 : base * 2 ** (attempts - 1),
  fixed: ({ base }) => base,
  linear: ({ base }, { attempts }) => base * attempts,
  jittered: ({ base }, { lastDelay }, random) =>
    lastDelay === 0 ? base : Math.max(base, 2 * lastDelay * (0.5 + random())),
};
