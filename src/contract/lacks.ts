/**
 * Refusals of what a transport cannot do, with the reason that it gives.
 *
 * @module
 */

import type { Transport, TransportAbility } from "./transport.ts";

/** Completes the message of a refusal, from "as ..." on. */
export function lackOf({ name, lacks }: Transport, ability: TransportAbility, missing: string): string {
  const reason = lacks?.[ability];
  return `the ${name} transport ${missing}${reason === undefined ? "" : `: ${reason}`}`;
}
