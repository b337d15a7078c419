/**
 * How runs ended, as their events tell: one by one, and counted.
 *
 * @module
 */

import { type EventMap, type JobEvents, observe } from "../../events/events.ts";
import type { DeadChannel } from "../../jobs/job.ts";
import type { Drained, Tally } from "../../worker/state.ts";

/** The fate of one run. */
export interface JobRun {
  /**
   * `completed`: the job is done. `retrying`: the run failed, and the job would run again. `rescheduled`: it would run
   * again, and the run did not fail. `failed`: the job is dead. `released`: it was given back without counting.
   * `stale`: its lease was lost, and its settlement changed nothing.
   */
  readonly ended: "completed" | "retrying" | "rescheduled" | "failed" | "released" | "stale";
  /** The error of the run; of `retrying` and `failed`. */
  readonly error?: Error;
  /** Milliseconds until the next run; of `retrying` and of `rescheduled` with `after` or `every`. */
  readonly delay?: number;
  /** The instant of the next run, in milliseconds since the epoch; of `rescheduled` with `at` and its kin. */
  readonly at?: number;
  /** The bytes that the next run would get, where the handler gave others; of `rescheduled`. */
  readonly payload?: Uint8Array;
  /** Why; of `failed` and `released`. */
  readonly reason?: string;
  /** Where the job is dead; of `failed`. */
  readonly channel?: DeadChannel;
}

/** Which events end a run, and how a drain counts them. */
const ENDS = {
  completed: "completed",
  retrying: "retried",
  rescheduled: "rescheduled",
  failed: "failed",
  released: "released",
  stale: "stale",
} as const;

type End = keyof typeof ENDS;

/** Hears each end of a run, of whichever job. */
export function watchEnds(events: JobEvents, heard: (end: JobRun) => void): void {
  const watch = <Name extends End>(ended: Name): void => {
    observe(events, ended, (detail) => heard({ ended, ...partsOf(detail) }));
  };
  for (const ended of namesOf(ENDS)) watch(ended);
}

/** Counts runs by how they end; answers the counts so far. */
export function countEnds(events: JobEvents): () => Drained {
  const tally: Tally = { completed: 0, retried: 0, rescheduled: 0, failed: 0, released: 0, stale: 0 };
  watchEnds(events, ({ ended }) => tally[ENDS[ended]]++);
  return () => ({ ...tally });
}

/** The later counts without the earlier ones. */
export function since(later: Drained, earlier: Drained): Drained {
  return {
    completed: later.completed - earlier.completed,
    retried: later.retried - earlier.retried,
    rescheduled: later.rescheduled - earlier.rescheduled,
    failed: later.failed - earlier.failed,
    released: later.released - earlier.released,
    stale: later.stale - earlier.stale,
  };
}

/** The part of an event's detail that says how a run ended, and is no fact of its job. */
const PARTS: readonly string[] = ["error", "delay", "at", "payload", "reason", "channel"];

function partsOf(detail: EventMap[End]): Omit<JobRun, "ended"> {
  return Object.fromEntries(
    Object.entries(detail).filter(([key, value]) => PARTS.includes(key) && value !== undefined),
  );
}

function namesOf<Names extends object>(names: Names): readonly (keyof Names)[] {
  return Object.keys(names) as (keyof Names)[];
}
