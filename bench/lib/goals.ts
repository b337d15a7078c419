/**
 * The goals, each as a number to be reached and the number that was.
 *
 * @module
 */

import { type Key, medianOf, ratioOf, type Result } from "./result.ts";
import { shown } from "./table.ts";

/** A goal, and what became of it. */
interface Goal {
  readonly what: string;
  readonly wanted: string;
  readonly reached: number;
  readonly met: boolean;
}

/** The goals of one store; those whose workload did not run have reached `NaN`. */
export type Goals = (result: Result) => readonly Goal[];

/** Goals as Markdown; those whose workload did not run are left out. */
export function goalTableOf(goals: readonly Goal[]): string {
  const lines = goals.filter(({ reached }) => !Number.isNaN(reached)).map(
    ({ what, wanted, reached, met }) =>
      `| ${what} | ${wanted} | ${shown(reached)} | ${met ? "yes" : "**no**"} |`,
  );
  return ["| goal | wanted | reached | met |", "| --- | --- | --- | --- |", ...lines].join("\n");
}

/** Of memory and SQLite. */
export const goalsOfLocal: Goals = (result) => {
  const flow = (ours: string, theirs: string, figure: string): number =>
    ratio(result, "flow", ours, theirs, figure, "full");
  const of = (workload: Key["workload"], figure: string, contender = "relevo sqlite"): number =>
    medianOf(result, { workload, contender, figure });
  const fsync = of("fsync", "p50 ms", "disk");
  return [
    atLeast("memory: drain, x fastq", 0.5, flow("relevo memory", "fastq", "drain/s")),
    atLeast(
      "memory: dispatch and drain, x fastq",
      0.5,
      flow("relevo memory", "fastq", "dispatch and drain/s"),
    ),
    atLeast("SQLite full: drain, x plainjob", 8, flow("relevo sqlite", "plainjob", "drain/s")),
    atLeast(
      "SQLite full: dispatch one by one, x plainjob",
      5,
      flow("relevo sqlite", "plainjob", "dispatch/s"),
    ),
    atLeast("SQLite full: bulk, x plainjob", 1, flow("relevo sqlite", "plainjob", "bulk/s")),
    atLeast("SQLite full: serial, x plainjob", 1, flow("relevo sqlite", "plainjob", "serial/s")),
    atMost("SQLite full: latency p50, one process, ms (0.3 + fsync)", 0.3 + fsync, of("latency", "p50 ms")),
    atMost("SQLite full: latency p50, two processes, busy, ms", 10, of("processes", "busy p50 ms")),
    atMost("SQLite full: latency p50, two processes, after a quiet, ms", 10, of("processes", "quiet p50 ms")),
    atMost("SQLite: idle worker, 1 queue, % of a core", 1, of("idle", "1 queues, % of a core")),
    atMost("SQLite: idle worker, 20 queues, % of a core", 1, of("idle", "20 queues, % of a core")),
    ...recurring(result, "SQLite", "relevo sqlite", "full"),
    atMost(
      "SQLite: idle worker, 10,000 schedules, % of a core",
      1,
      of("beside", "10000 schedules, % of a core"),
    ),
    ...flat(result, "relevo memory", "full"),
    ...flat(result, "relevo sqlite", "full"),
  ];
};

/** Of Redis, at an fsync every second. */
export const goalsOfRedis: Goals = (result) => {
  const flow = (theirs: string, figure: string): number =>
    ratio(result, "flow", "relevo redis", theirs, figure, "normal");
  const of = (workload: Key["workload"], figure: string): number =>
    medianOf(result, { workload, contender: "relevo redis", durability: "normal", figure });
  const serial = ["bullmq", "bee-queue", "groupmq"].map((peer) => flow(peer, "serial/s"));
  return [
    atLeast("Redis: dispatch one by one, x BullMQ", 7, flow("bullmq", "dispatch/s")),
    atLeast("Redis: bulk, x BullMQ", 10, flow("bullmq", "bulk/s")),
    atLeast("Redis: drain, x BullMQ", 5, flow("bullmq", "drain/s")),
    atLeast("Redis: drain, x the ceiling", 0.6, flow("ceiling stream", "drain/s")),
    atLeast("Redis: serial, x the fastest peer", 1, Math.min(...serial)),
    atMost(
      "Redis: latency p50, x BullMQ's",
      1,
      ratio(result, "latency", "relevo redis", "bullmq", "p50 ms", "normal"),
    ),
    ...[1, 20].flatMap((queues) => [
      atMost(
        `Redis: idle worker, ${queues} queues, commands/s`,
        2,
        of("idle", `${queues} queues, requests/s`),
      ),
      atMost(
        `Redis: idle worker, ${queues} queues, connections`,
        2,
        of("idle", `${queues} queues, connections`),
      ),
    ]),
    ...recurring(result, "Redis", "relevo redis", "normal"),
    ...flat(result, "relevo redis", "normal"),
  ];
};

/** Of NATS, on files. */
export const goalsOfNats: Goals = (result) => {
  const flow = (figure: string): number =>
    ratio(result, "flow", "relevo nats", "ceiling jetstream", figure, "normal");
  const of = (workload: Key["workload"], figure: string): number =>
    medianOf(result, { workload, contender: "relevo nats", durability: "normal", figure });
  return [
    atLeast("NATS: dispatch one by one, x the ceiling", 0.85, flow("dispatch/s")),
    atLeast("NATS: drain, x the ceiling", 0.85, flow("drain/s")),
    ...[1, 20].flatMap((queues) => [
      atMost(
        `NATS: idle worker, ${queues} queues, messages/s`,
        Math.ceil(queues / 10),
        of("idle", `${queues} queues, requests/s`),
      ),
      atMost(
        `NATS: idle worker, ${queues} queues, connections`,
        1,
        of("idle", `${queues} queues, connections`),
      ),
    ]),
    ...recurring(result, "NATS", "relevo nats", "normal"),
    ...flat(result, "relevo nats", "normal"),
  ];
};

function ratio(
  result: Result,
  workload: Key["workload"],
  ours: string,
  theirs: string,
  figure: string,
  durability: "full" | "normal",
): number {
  const key = { workload, figure, durability };
  return ratioOf(result, { ...key, contender: ours }, { ...key, contender: theirs });
}

/** The cost per job with many waiting, beside that with few. */
function flat(result: Result, contender: string, durability: "full" | "normal"): Goal[] {
  return ["dispatch", "drain"].map((what) => {
    const cost = (waiting: number): number =>
      medianOf(result, {
        workload: "backlog",
        contender,
        durability,
        figure: `${what} at ${waiting} µs/job`,
      });
    const most = Number.isNaN(cost(1_000_000)) ? 100_000 : 1_000_000;
    return atMost(
      `${contender}: ${what} with ${most} waiting, x the cost with 10,000`,
      1.2,
      cost(most) / cost(10_000),
    );
  });
}

/** Many ticks at one instant in time, and as little asked of a server beside many schedules as beside one. */
function recurring(result: Result, name: string, contender: string, durability: "full" | "normal"): Goal[] {
  const of = (workload: Key["workload"], figure: string): number =>
    medianOf(result, { workload, contender, durability, figure });
  const beside = (count: number): number => of("beside", `${count} schedules, requests/s`);
  return [
    atMost(`${name}: 1,000 schedules due at once, ms`, 2_000, of("ticks", "1000 at once, ms")),
    // Two readings of one rate may differ by a call or two of those that come once a minute.
    atMost(
      `${name}: idle beside 10,000 schedules, requests/s above those beside 1`,
      0.5,
      beside(10_000) - beside(1),
    ),
  ];
}

function atLeast(what: string, wanted: number, reached: number): Goal {
  return { what, wanted: `at least ${wanted}`, reached, met: reached >= wanted };
}

function atMost(what: string, wanted: number, reached: number): Goal {
  return { what, wanted: `at most ${shown(wanted)}`, reached, met: reached <= wanted };
}
