/**
 * The errors of a transport by what they say: that it is in a state that may pass by itself, or that it is there and
 * refuses.
 *
 * @module
 */

import type { ErrorCode } from "../error_codes.ts";
import { RelevoError } from "../errors.ts";

/** A settlement is repeated through these for as long as the worker runs. */
export const PASSING: readonly ErrorCode[] = [
  "DEADLINE_EXCEEDED",
  "TRANSPORT_BUSY",
  "TRANSPORT_FULL",
  "TRANSPORT_READ_ONLY",
  "TRANSPORT_FORBIDDEN",
  "TRANSPORT_UNAVAILABLE",
];

/** Answers that a store gave: what was asked for is refused, while the store may do other things. */
const REFUSALS: readonly ErrorCode[] = [
  "TRANSPORT_FULL",
  "TRANSPORT_FORBIDDEN",
  "TRANSPORT_CORRUPT",
  "TRANSPORT_INCOMPATIBLE",
];

/** Whether an error is an answer of the store, so that the connection to it is not down. */
export function isRefusal(thrown: unknown): boolean {
  return thrown instanceof RelevoError && REFUSALS.includes(thrown.code);
}
