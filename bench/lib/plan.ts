/**
 * What is measured, with which counts, and who takes part: plain data, so that it can be read as a list.
 *
 * @module
 */

import type { Durability } from "../contenders/contender.ts";

/** What each child process measures in one round. */
export interface Task {
  readonly workload:
    | "flow"
    | "latency"
    | "processes"
    | "scale"
    | "workers"
    | "backlog"
    | "delayed"
    | "memory"
    | "weight"
    | "idle"
    | "ticks"
    | "beside"
    | "codecs"
    | "middleware"
    | "payload"
    | "fsync";
  readonly contender: string;
  readonly durability: Durability;
  /** Sizes of the workload, by name. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Tasks that run interleaved, round after round. */
export interface Stage {
  readonly rounds: number;
  readonly tasks: readonly Task[];
}

/** What the command line asks for. */
export interface Choice {
  readonly quick: boolean;
  /** A backlog of a million. */
  readonly million: boolean;
  /** Idle for a minute. */
  readonly minute: boolean;
}

/** A task of these counts. */
export function taskOf(
  workload: Task["workload"],
  contender: string,
  durability: Durability,
  counts: Task["counts"] = {},
): Task {
  return { workload, contender, durability, counts };
}

/** The flow of so many jobs. */
export function flowOf(
  { quick }: Choice,
  contender: string,
  durability: Durability,
  jobs: number,
  serial: number,
): Task {
  const scale = quick ? 0.2 : 1;
  return taskOf("flow", contender, durability, {
    jobs: Math.ceil(jobs * scale),
    serial: Math.ceil(serial * scale),
    warm: Math.ceil(Math.min(jobs, 20_000) * scale),
  });
}

/** Jobs of each size of payload: so many, and no more than make so many bytes. */
export function payloadsOf(quick: boolean): Task["counts"] {
  return { jobs: quick ? 2_000 : 20_000, bytes: quick ? 8_000_000 : 64_000_000 };
}
