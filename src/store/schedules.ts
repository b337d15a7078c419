/**
 * The answers of a store to a schedule that is put into it.
 *
 * @module
 */

import type { NewSchedule, Schedule } from "../contract/recurring.ts";
import { sameBytes } from "../kinds.ts";

/** The fate of a schedule, beside the one that is there under its key. */
export function fateOfPut(
  found: Pick<Schedule, "tick" | "text" | "payload"> | undefined,
  { text, payload, from }: NewSchedule,
): "created" | "replaced" | "same" | "stale" {
  if (found !== undefined && found.text === text && sameBytes(found.payload, payload)) return "same";
  if (from !== undefined && from !== (found?.tick ?? "none")) return "stale";
  return found === undefined ? "created" : "replaced";
}
