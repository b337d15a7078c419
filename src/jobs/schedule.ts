/**
 * When a job runs again: recurrences that `reschedule` takes. Cron expressions are an entry point of their own.
 *
 * @module
 */

import { MAX_DELAY } from "../defaults.ts";
import { isDate } from "../kinds.ts";
import { markMaker } from "./mistake.ts";
import { quote, wrongRange } from "../options.ts";
import { hush, isPromise } from "../promises.ts";

/** The instants that a recurrence may look at. */
export interface Tick {
  /** The worker's wall clock, in milliseconds since the epoch. */
  readonly now: number;
  /** When the run that asks was due, in milliseconds since the epoch. */
  readonly due: number;
}

/** The next run: so many milliseconds from now by the broker's clock, or an instant in milliseconds since the epoch. */
export type Next = { readonly delay: number } | { readonly at: number };

/** Anything that says when a job runs next; one that throws makes the job dead (seed 004). */
export interface Recurrence {
  /** The next run, seen from the one that asks; a delay in milliseconds from 0 to a century, or an instant. */
  next(tick: Tick): Next;
}

/** A recurrence that can be written down, and so be stored with a schedule: {@linkcode every}, and `cron`. */
export interface StoredRecurrence extends Recurrence {
  /** Which {@linkcode RecurrenceKind} reads its text. */
  readonly kind: string;
  /** All that it takes to make it again. */
  readonly text: string;
}

/** Reads recurrences that were written down; a relay that pushes ticks is given the kinds that it is to know. */
export interface RecurrenceKind {
  /** The name of the kind, which its recurrences have. */
  readonly kind: string;
  /** The recurrence of a text; a fault of it is thrown here, or by `next`. */
  read(text: string): StoredRecurrence;
}

/** After so many milliseconds, 0 to a century, from the end of the run by the broker's clock. */
export function after(delay: number): Recurrence {
  return { next: () => ({ delay }) };
}

/** At an instant, in milliseconds since the epoch or as a `Date`; one in the past: at once. */
export function at(instant: number | Date): Recurrence {
  // As it is where it is no Date: `null` as a number is an instant of 1970, and the job would run again at once for ever.
  return { next: () => ({ at: isDate(instant) ? Number(instant) : instant }) };
}

/**
 * On a grid of `period` milliseconds that begins at the run's due time: a slow run or a late worker skips slots and
 * never shifts them.
 *
 * @throws {RangeError} when `period` is not from 1 ms to a century.
 */
export function every(period: number): StoredRecurrence {
  if (!(typeof period === "number" && period >= 1 && period <= MAX_DELAY)) {
    throw wrongRange("repeat", "'period'", "milliseconds from 1 to a century", period);
  }
  return {
    kind: EVERY.kind,
    text: String(period),
    next: ({ now, due }) => ({ at: due + Math.max(1, Math.floor((now - due) / period) + 1) * period }),
  };
}

/** The kind of the recurrences that {@linkcode every} makes, which every relay knows. */
export const EVERY: RecurrenceKind = { kind: "every", read: (text) => every(Number(text)) };

/** A recurrence's answer, checked. */
export function nextOf(by: Recurrence, tick: Tick): Next {
  if (typeof Object(by).next !== "function") {
    throw new TypeError(
      "reschedule needs a recurrence, as in reschedule(after(5_000)), reschedule(at(instant)) or " +
        `reschedule(every(60_000)): current value is ${quote(by)}`,
    );
  }
  const next = by.next(tick);
  if (typeof next !== "object" || next === null || isPromise(next)) {
    hush(next);
    throw new TypeError(
      `a recurrence must give a delay or an instant at once: current value is ${quote(next)}`,
    );
  }
  const given: unknown = "at" in next ? next.at : next.delay;
  const valid = typeof given === "number" &&
    given >= ("at" in next ? -8.64e15 : 0) && given <= ("at" in next ? tick.now + MAX_DELAY : MAX_DELAY);
  if (!valid) {
    const wanted = "at" in next ? "an instant at most a century from now" : "a delay from 0 to a century";
    throw new RangeError(`a recurrence must give ${wanted}: current value is ${quote(given)}`);
  }
  return "at" in next ? { at: Math.round(given) } : { delay: Math.round(given) };
}

markMaker(after, "reschedule(after(ms))");
markMaker(at, "reschedule(at(instant))");
markMaker(every, "reschedule(every(ms))");
