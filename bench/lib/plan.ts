/**
 * What is measured, with which counts, and who takes part: plain data, so that it can be read as a list.
 *
 * @module
 */

import type { Durability } from "../contenders/contender.ts";

/** What one child process measures in one round. */
export interface Task {
  readonly workload: "flow" | "latency" | "processes" | "scale" | "backlog" | "memory" | "idle" | "fsync";
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

const MEMORY = ["ceiling array", "relevo memory", "fastq", "p-queue"];

/** The plan of a run. */
export function planOf({ quick, million, minute }: Choice): readonly Stage[] {
  const scale = quick ? 0.2 : 1;
  const task = (
    workload: Task["workload"],
    contender: string,
    durability: Durability,
    counts: Task["counts"] = {},
  ): Task => ({ workload, contender, durability, counts });
  const flow = (contender: string, durability: Durability, jobs: number, serial: number): Task =>
    task("flow", contender, durability, {
      jobs: Math.ceil(jobs * scale),
      serial: Math.ceil(serial * scale),
      warm: Math.ceil(Math.min(jobs, 20_000) * scale),
    });
  const sqlite = (durability: Durability): Task[] => [
    flow("ceiling rows", durability, 50_000, 1_000),
    flow("relevo sqlite", durability, 50_000, 1_000),
    flow("plainjob", durability, 10_000, 1_000),
  ];
  const stages: Stage[] = [
    { rounds: quick ? 3 : 7, tasks: MEMORY.map((name) => flow(name, "full", 200_000, 20_000)) },
    {
      rounds: quick ? 3 : 7,
      tasks: [task("fsync", "disk", "full", { samples: quick ? 100 : 300 }), ...sqlite("full"), ...[
        task("latency", "relevo sqlite", "full", { samples: quick ? 200 : 500 }),
      ]],
    },
    { rounds: quick ? 1 : 5, tasks: sqlite("normal") },
    {
      rounds: quick ? 1 : 3,
      tasks: [
        task("latency", "relevo memory", "full", { samples: quick ? 500 : 2_000 }),
        task("latency", "relevo sqlite", "normal", { samples: quick ? 500 : 2_000 }),
        task("processes", "relevo sqlite", "full", {
          samples: quick ? 50 : 100,
          pairs: 8,
          quiet: quick ? 1_000 : 8_000,
        }),
        task("scale", "relevo memory", "full", { jobs: quick ? 10_000 : 50_000 }),
        task("scale", "relevo sqlite", "full", { jobs: quick ? 5_000 : 20_000 }),
        ...MEMORY.map((name) => task("memory", name, "full", { jobs: quick ? 50_000 : 200_000 })),
      ],
    },
    {
      rounds: quick ? 1 : 3,
      tasks: ["relevo memory", "relevo sqlite"].flatMap((name) =>
        [10_000, ...quick ? [] : [100_000], ...million ? [1_000_000] : []].map((waiting) =>
          task("backlog", name, "full", { waiting, jobs: quick ? 5_000 : 20_000 })
        )
      ),
    },
    {
      rounds: 1,
      tasks: [1, 20].map((queues) =>
        task("idle", "relevo sqlite", "full", { queues, ms: quick ? 3_000 : minute ? 60_000 : 20_000 })
      ),
    },
  ];
  return stages;
}
