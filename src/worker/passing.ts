/**
 * The states of a transport that may pass by themselves.
 *
 * @module
 */

import type { ErrorCode } from "../error_codes.ts";

/** A settlement is repeated through these for as long as the worker runs. */
export const PASSING: readonly ErrorCode[] = [
  "DEADLINE_EXCEEDED",
  "TRANSPORT_BUSY",
  "TRANSPORT_FULL",
  "TRANSPORT_READ_ONLY",
  "TRANSPORT_FORBIDDEN",
  "TRANSPORT_UNAVAILABLE",
];
