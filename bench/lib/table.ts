/**
 * A result as grids of contenders and figures, and these as Markdown: medians, and beside each other contender's how
 * many times that Relevo's is.
 *
 * @module
 */

import type { Durability } from "../contenders/contender.ts";
import type { Task } from "./plan.ts";
import { medianOf, ratioOf, type Result } from "./result.ts";

/** A table of some figures of a workload. */
interface Part {
  readonly title: string;
  readonly shows: (figure: string) => boolean;
  /** The multiple that stands in brackets: of Relevo's figure to this one, or of this one to Relevo's. */
  readonly ratio?: "ours" | "theirs";
}

/** The tables of a flow. */
const FLOW: readonly Part[] = [{
  title:
    "Throughput, jobs a second (in brackets: Relevo's rate as a multiple of this one, median of the rounds' ratios)",
  shows: (figure) => figure.endsWith("/s"),
  ratio: "ours",
}, {
  title:
    "CPU of a job, client and server together, in microseconds (in brackets: as a multiple of Relevo's, median of the rounds' ratios)",
  shows: (figure) => figure.endsWith(" µs") && !isOfOneSide(figure),
  ratio: "theirs",
}, { title: "CPU of a job, by sides, in microseconds", shows: isOfOneSide }];

/** Workloads of more than one table. */
const PARTS: Readonly<Partial<Record<Task["workload"], readonly Part[]>>> = {
  flow: FLOW,
  far: FLOW.map((part) => ({ ...part, title: `With a millisecond of network in between. ${part.title}` })),
  queues: ["dispatch", "drain", "lone"].map((name) => ({
    title: `CPU of a job by the queues of one worker, in microseconds: ${
      name === "lone" ? "jobs that come alone" : name
    }`,
    shows: (figure) => figure.endsWith(`${name} µs`),
    ratio: "theirs",
  })),
  payload: [{
    title: "CPU of a job by the size of its payload, in microseconds: dispatch",
    shows: (figure) => figure.startsWith("dispatch"),
    ratio: "theirs",
  }, {
    title: "CPU of a job by the size of its payload, in microseconds: drain",
    shows: (figure) => figure.startsWith("drain"),
    ratio: "theirs",
  }],
};

function isOfOneSide(figure: string): boolean {
  return / (client|server) µs$/.test(figure);
}

/** What each table is called. */
const TITLES: Readonly<Record<Task["workload"], string>> = {
  flow: "Throughput",
  payload: "Payloads",
  far: "Throughput with a millisecond of network in between",
  queues: "Many queues",
  latency: "Latency in one process, dispatch called to handler entered",
  "far latency": "Latency with a millisecond of network in between, dispatch called to handler entered",
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
  observed: "Metrics and traces: CPU of a job, beside the same job without",
  fsync: "The disk's fsync of a page",
};

/** The contender with which each is compared, and what its durabilities are called; without a name it keeps nothing. */
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

/** Some figures of a workload, for each contender and durability that took part. */
export interface Grid extends Omit<Part, "shows"> {
  readonly workload: Task["workload"];
  readonly figures: readonly string[];
  readonly rows: readonly Task[];
}

/** All of a result. */
export function gridsOf(result: Result): readonly Grid[] {
  const workloads = Object.keys(TITLES) as Task["workload"][];
  return workloads.flatMap((workload) => {
    const rounds = result.rounds.filter(({ task }) => task.workload === workload);
    const rows = new Map(rounds.map(({ task }) => [`${task.contender}, ${task.durability}`, task]));
    const known = [...new Set(rounds.flatMap(({ figures }) => Object.keys(figures)))];
    const parts: readonly Part[] = PARTS[workload] ?? [{ title: TITLES[workload], shows: () => true }];
    return parts.map(({ shows, ...part }) => ({
      ...part,
      workload,
      figures: known.filter(shows),
      rows: [...rows.values()],
    }));
  }).filter(({ figures }) => figures.length > 0);
}

/** The whole result. */
export function tableOf(result: Result): string {
  return gridsOf(result).flatMap(({ title, figures, rows, ratio }) => {
    const head = ["", ...figures];
    const lines = [head, head.map(() => "---"), ...rows.map((task) => rowOf(result, task, figures, ratio))];
    return [`### ${title}`, "", ...lines.map((cells) => `| ${cells.join(" | ")} |`), ""];
  }).join("\n");
}

/** A contender with its durability, where it has one. */
export function labelOf({ contender, durability }: Task): string {
  const { names } = SIDES[contender] ?? MEMORY;
  return names === undefined ? contender : `${contender}, ${names[durability]}`;
}

function rowOf(result: Result, task: Task, figures: readonly string[], ratio: Part["ratio"]): string[] {
  const { workload, contender, durability } = task;
  const { ours } = SIDES[contender] ?? MEMORY;
  const cells = figures.map((figure) => {
    const key = { workload, contender, durability, figure };
    const value = medianOf(result, key);
    if (Number.isNaN(value)) return "";
    const own = { ...key, contender: ours };
    const multiple = ratio === undefined || contender === ours
      ? Number.NaN
      : ratio === "ours"
      ? ratioOf(result, own, key)
      : ratioOf(result, key, own);
    return Number.isNaN(multiple) ? shown(value) : `${shown(value)} (${shown(multiple)} x)`;
  });
  return [labelOf(task), ...cells];
}

/** Three digits that matter. */
export function shown(value: number): string {
  if (value >= 1_000) return Math.round(value).toLocaleString("en-US");
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
