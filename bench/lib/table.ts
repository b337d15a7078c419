/**
 * A result as Markdown: medians, and beside each other contender's how many times that Relevo's is.
 *
 * @module
 */

import type { Durability } from "../contenders/contender.ts";
import type { Task } from "./plan.ts";
import { medianOf, ratioOf, type Result } from "./result.ts";

/** What each group of the table is called. */
const TITLES: Readonly<Record<Task["workload"], string>> = {
  flow:
    "Throughput, jobs a second (in brackets: Relevo's rate as a multiple of this one, median of the rounds' ratios)",
  latency: "Latency in one process, dispatch called to handler entered",
  processes: "Latency across two processes, a job every 20 ms (busy) and the first after a quiet (quiet)",
  scale: "Cost per job by handlers at once",
  workers: "Cost per job by worker processes",
  backlog: "Cost per job with others waiting",
  delayed: "Many jobs due at one instant",
  memory: "Memory per waiting job",
  weight: "What a waiting job takes in the server",
  idle: "An idle worker",
  ticks: "Recurring jobs: how late a lone tick is, and many that are due at once",
  beside: "An idle worker beside schedules that are not due",
  codecs: "Codecs and versions: dispatch and drain, beside the bare calls of the runtime",
  middleware: "Middlewares: CPU of a drained job",
  fsync: "The disk's fsync of a page",
};

/** With whom each contender is compared, and what its durabilities are called; without a name it keeps nothing. */
interface Side {
  readonly ours: string;
  readonly names?: Readonly<Record<Durability, string>>;
}

const MEMORY: Side = { ours: "relevo memory" };
const SQLITE: Side = { ours: "relevo sqlite", names: { full: "full", normal: "normal" } };
const REDIS: Side = { ours: "relevo redis", names: { full: "fsync always", normal: "fsync every second" } };
const NATS: Side = { ours: "relevo nats" };

const SIDES: Readonly<Record<string, Side>> = {
  "relevo sqlite": SQLITE,
  "plainjob": SQLITE,
  "ceiling rows": SQLITE,
  "relevo redis": REDIS,
  "bullmq": REDIS,
  "bee-queue": REDIS,
  "groupmq": REDIS,
  "ceiling stream": REDIS,
  "relevo nats": NATS,
  "ceiling jetstream": NATS,
};

/** The whole result. */
export function tableOf(result: Result): string {
  return Object.entries(TITLES).flatMap(([workload, title]) => {
    const rounds = result.rounds.filter(({ task }) => task.workload === workload);
    if (rounds.length === 0) return [];
    const figures = [...new Set(rounds.flatMap((round) => Object.keys(round.figures)))];
    const rows = new Map(rounds.map(({ task }) => [`${task.contender}, ${task.durability}`, task]));
    const head = ["", ...figures];
    const lines = [head, head.map(() => "---")];
    for (const task of rows.values()) lines.push(rowOf(result, task, figures));
    return [`### ${title}`, "", ...lines.map((cells) => `| ${cells.join(" | ")} |`), ""];
  }).join("\n");
}

function rowOf(result: Result, task: Task, figures: readonly string[]): string[] {
  const { workload, contender, durability } = task;
  const { ours, names } = SIDES[contender] ?? MEMORY;
  const cells = figures.map((figure) => {
    const key = { workload, contender, durability, figure };
    const value = medianOf(result, key);
    if (Number.isNaN(value)) return "";
    const ratio = workload === "flow" && contender !== ours
      ? ratioOf(result, { ...key, contender: ours }, key)
      : Number.NaN;
    return Number.isNaN(ratio) ? shown(value) : `${shown(value)} (${shown(ratio)} x)`;
  });
  return [names === undefined ? contender : `${contender}, ${names[durability]}`, ...cells];
}

/** Three digits that matter. */
export function shown(value: number): string {
  if (value >= 1_000) return Math.round(value).toLocaleString("en-US");
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
