/**
 * A result as Markdown: medians, and beside each other contender's how many times that Relevo's is.
 *
 * @module
 */

import type { Task } from "./plan.ts";
import { medianOf, ratioOf, type Result } from "./result.ts";

/** What each group of the table is called. */
const TITLES: Readonly<Record<Task["workload"], string>> = {
  flow:
    "Throughput, jobs a second (in brackets: Relevo's rate as a multiple of this one, median of the rounds' ratios)",
  latency: "Latency in one process, dispatch called to handler entered",
  processes: "Latency across two processes, a job every 20 ms (busy) and the first after a quiet (quiet)",
  scale: "Cost per job by handlers at once",
  backlog: "Cost per job with others waiting",
  memory: "Memory per waiting job",
  idle: "An idle worker",
  fsync: "The disk's fsync of a page",
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
  const store = contender.endsWith("memory") || contender.endsWith("array") || !isStored(contender);
  const ours = store ? "relevo memory" : "relevo sqlite";
  const cells = figures.map((figure) => {
    const key = { workload, contender, durability, figure };
    const value = medianOf(result, key);
    if (Number.isNaN(value)) return "";
    if (contender === ours || workload !== "flow") return shown(value);
    return `${shown(value)} (${shown(ratioOf(result, { ...key, contender: ours }, key))} x)`;
  });
  return [isStored(contender) ? `${contender}, ${durability}` : contender, ...cells];
}

function isStored(contender: string): boolean {
  return ["relevo sqlite", "plainjob", "ceiling rows"].includes(contender);
}

/** Three digits that matter. */
export function shown(value: number): string {
  if (value >= 1_000) return Math.round(value).toLocaleString("en-US");
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
