/**
 * The goals, each as a number to be reached and the number that was.
 *
 * @module
 */

import { type Key, medianOf, ratioOf, type Result } from "./result.ts";
import { shown } from "./table.ts";

interface Goal {
  readonly what: string;
  readonly wanted: string;
  readonly reached: number;
  readonly met: boolean;
}

/** The goals as Markdown; those whose workload did not run are left out. */
export function goalsOf(result: Result): string {
  const lines = goals(result).filter(({ reached }) => !Number.isNaN(reached)).map(
    ({ what, wanted, reached, met }) =>
      `| ${what} | ${wanted} | ${shown(reached)} | ${met ? "yes" : "**no**"} |`,
  );
  return ["| goal | wanted | reached | met |", "| --- | --- | --- | --- |", ...lines].join("\n");
}

function goals(result: Result): Goal[] {
  const flow = (contender: string, figure: string): Key => ({ workload: "flow", contender, figure });
  const ratio = (ours: string, theirs: string, figure: string): number =>
    ratioOf(result, flow(ours, figure), flow(theirs, figure));
  const atLeast = (what: string, wanted: number, reached: number): Goal => ({
    what,
    wanted: `at least ${wanted}`,
    reached,
    met: reached >= wanted,
  });
  const atMost = (what: string, wanted: number, reached: number): Goal => ({
    what,
    wanted: `at most ${shown(wanted)}`,
    reached,
    met: reached <= wanted,
  });
  const of = (workload: Key["workload"], figure: string, contender = "relevo sqlite"): number =>
    medianOf(result, { workload, contender, figure });
  const fsync = of("fsync", "p50 ms", "disk");
  return [
    atLeast("memory: drain, x fastq", 0.5, ratio("relevo memory", "fastq", "drain/s")),
    atLeast(
      "memory: dispatch and drain, x fastq",
      0.5,
      ratio("relevo memory", "fastq", "dispatch and drain/s"),
    ),
    atLeast("SQLite full: drain, x plainjob", 8, ratio("relevo sqlite", "plainjob", "drain/s")),
    atLeast(
      "SQLite full: dispatch one by one, x plainjob",
      5,
      ratio("relevo sqlite", "plainjob", "dispatch/s"),
    ),
    atLeast("SQLite full: bulk, x plainjob", 1, ratio("relevo sqlite", "plainjob", "bulk/s")),
    atLeast("SQLite full: serial, x plainjob", 1, ratio("relevo sqlite", "plainjob", "serial/s")),
    atMost("SQLite full: latency p50, one process, ms (0.3 + fsync)", 0.3 + fsync, of("latency", "p50 ms")),
    atMost("SQLite full: latency p50, two processes, busy, ms", 10, of("processes", "busy p50 ms")),
    atMost("SQLite full: latency p50, two processes, after a quiet, ms", 10, of("processes", "quiet p50 ms")),
    atMost("SQLite: idle worker, 1 queue, % of a core", 1, of("idle", "1 queues, % of a core")),
    atMost("SQLite: idle worker, 20 queues, % of a core", 1, of("idle", "20 queues, % of a core")),
    ...["relevo memory", "relevo sqlite"].flatMap((contender) =>
      ["dispatch", "drain"].map((what) => {
        const cost = (waiting: number): number => of("backlog", `${what} at ${waiting} µs/job`, contender);
        const most = Number.isNaN(cost(1_000_000)) ? 100_000 : 1_000_000;
        return atMost(
          `${contender}: ${what} with ${most} waiting, x the cost with 10,000`,
          1.2,
          cost(most) / cost(10_000),
        );
      })
    ),
  ];
}
