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
    | "observed"
    | "payload"
    | "queues"
    | "far"
    | "far latency"
    | "fsync";
  readonly contender: string;
  readonly durability: Durability;
  /** Sizes of the workload, by name; `delay`: milliseconds by which a round trip to the server takes longer. */
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

/** One worker of so many queues; a peer may have a bound, as each of its queues takes a worker. */
export function queuesOf(
  { quick }: Choice,
  contender: string,
  durability: Durability,
  jobs: number,
  most: number = Infinity,
): Task[] {
  return [1, 20, 200, 1_000].filter((queues) => queues <= most).map((queues) =>
    taskOf("queues", contender, durability, { queues, jobs: quick ? 2_000 : jobs, alone: quick ? 100 : 500 })
  );
}

/** One measurement of a run. */
export interface Turn {
  readonly round: number;
  readonly task: Task;
}

/**
 * The order of a run: each stage once, then the further rounds of the first stage, which says most, and of the others.
 * So a run that is out of time has something of everything.
 */
export function turnsOf(stages: readonly Stage[], rounds: number): readonly Turn[] {
  const of = ({ tasks }: Stage, round: number): Turn[] => tasks.map((task) => ({ round, task }));
  const further = stages.flatMap((stage) =>
    Array.from(
      { length: Math.max(0, Math.min(stage.rounds, rounds) - 1) },
      (_, index) => of(stage, index + 1),
    )
  );
  return [...stages.flatMap((stage) => of(stage, 0)), ...further.flat()];
}

/** Jobs of each size of payload: so many, and no more than make so many bytes. */
export function payloadsOf(quick: boolean): Task["counts"] {
  return { jobs: quick ? 2_000 : 20_000, bytes: quick ? 8_000_000 : 64_000_000 };
}
