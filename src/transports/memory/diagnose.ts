/**
 * Causes of lost jobs that are in memory: the end of the process, and a limit that is near.
 *
 * @module
 */

import { type Finding, room, warning, well } from "../../contract/diagnosis.ts";
import type { Store } from "./context.ts";

/** The findings. */
export function findingsOf({ jobs, maxJobs }: Pick<Store, "jobs" | "maxJobs">): readonly Finding[] {
  return [
    warning(
      "persistence",
      "Jobs are in the memory of this process, and end with it",
      "Use SQLite, Redis or NATS for jobs that must outlive a process",
    ),
    maxJobs === Infinity
      ? well("space", `${jobs} jobs are stored, and nothing limits them`)
      : room("space", "the limit of jobs", jobs, maxJobs, "raise 'maxJobs'"),
  ];
}
