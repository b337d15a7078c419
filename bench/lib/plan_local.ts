/**
 * What is measured of memory and SQLite.
 *
 * @module
 */

import type { Durability } from "../contenders/contender.ts";
import { type Choice, flowOf, payloadsOf, queuesOf, type Stage, type Task, taskOf as task } from "./plan.ts";

const MEMORY = ["ceiling array", "relevo memory", "fastq", "p-queue"];

/** The plan of a run. */
export function planOfLocal(choice: Choice): readonly Stage[] {
  const { quick, million, minute } = choice;
  const sqlite = (durability: Durability): Task[] => [
    flowOf(choice, "ceiling rows", durability, 50_000, 1_000),
    flowOf(choice, "relevo sqlite", durability, 50_000, 1_000),
    flowOf(choice, "plainjob", durability, 10_000, 1_000),
  ];
  return [
    { rounds: quick ? 3 : 7, tasks: MEMORY.map((name) => flowOf(choice, name, "full", 200_000, 20_000)) },
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
        task("codecs", "relevo memory", "full", { jobs: quick ? 5_000 : 20_000 }),
        task("middleware", "relevo memory", "full", { jobs: quick ? 20_000 : 100_000 }),
        task("middleware", "relevo sqlite", "full", { jobs: quick ? 5_000 : 20_000 }),
        task("observed", "relevo memory", "full", { jobs: quick ? 5_000 : 20_000, turns: quick ? 5 : 15 }),
        task("observed", "relevo sqlite", "full", { jobs: quick ? 2_000 : 10_000, turns: quick ? 3 : 9 }),
        ...["relevo memory", "ceiling rows", "relevo sqlite", "plainjob"].map((name) =>
          task("payload", name, "full", payloadsOf(quick))
        ),
        ...queuesOf(choice, "relevo memory", "full", 50_000),
        ...queuesOf(choice, "relevo sqlite", "full", 20_000),
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
    {
      rounds: 1,
      tasks: [
        task("ticks", "relevo sqlite", "full", { samples: quick ? 20 : 100, many: 1_000 }),
        ...[1, 10_000].map((schedules) =>
          task("beside", "relevo sqlite", "full", { schedules, ms: quick ? 3_000 : 20_000 })
        ),
      ],
    },
  ];
}
