/**
 * Jobs as the command line shows them.
 *
 * @module
 */

import type { JobView, Preview } from "../operate/operation.ts";
import type { PageOutput } from "../operate/jobs.ts";
import { type Column, tableOf } from "./table.ts";
import { instant, type Output, plain } from "./terminal.ts";

/** Prints objects, one a line. */
export function printJson(stdout: Output, objects: readonly unknown[]): void {
  for (const object of objects) stdout.write(`${JSON.stringify(object)}\n`);
}

const LIVE: readonly Column[] = [
  { title: "ID" },
  { title: "NAME" },
  { title: "RUNS", right: true },
  { title: "DUE" },
  { title: "BYTES", right: true },
];
const DEAD: readonly Column[] = [
  { title: "ID" },
  { title: "NAME" },
  { title: "CHANNEL" },
  { title: "RUNS", right: true },
  { title: "DIED" },
  { title: "REASON" },
  { title: "ERROR" },
];

/** Prints a page of jobs, and the option that asks for the next one. */
export function printPage(stdout: Output, { jobs, cursor }: PageOutput, json: boolean): void {
  if (json) {
    printJson(stdout, jobs);
    if (cursor !== undefined) printJson(stdout, [{ cursor }]);
    return;
  }
  if (jobs.length === 0) stdout.write("no jobs\n");
  else stdout.write(jobTable(jobs));
  if (cursor !== undefined) stdout.write(`more: --cursor ${cursor}\n`);
}

/** Jobs as a table: dead ones with their death, others with when they are due; payloads on a line of their own. */
export function jobTable(jobs: readonly JobView[]): string {
  const isDead = jobs.some(({ dead }) => dead !== undefined);
  const table = tableOf(isDead ? DEAD : LIVE, jobs.map(isDead ? deadRow : liveRow));
  if (jobs.every(({ payload }) => payload === undefined)) return table;
  const [titles = "", ...lines] = table.trimEnd().split("\n");
  return [titles, ...lines.flatMap((line, index) => [line, `  ${plain(jobs[index]?.payload ?? "")}`]), ""]
    .join("\n");
}

function liveRow({ id, name, attempts, due, size }: JobView): readonly string[] {
  return [id, name, String(attempts), instant(due), String(size)];
}

function deadRow({ id, name, channel, attempts, dead, lastError }: JobView): readonly string[] {
  const error = lastError === undefined ? "" : `${lastError.name}: ${lastError.message}`;
  return [id, name, channel, String(attempts), instant(dead?.at ?? 0), dead?.reason ?? "", error];
}

/** One job with all that is known of it, a line each. */
export function printJob(stdout: Output, job: JobView, json: boolean): void {
  if (json) return printJson(stdout, [job]);
  const { lastError, dead, payload, headers } = job;
  const lines: readonly (readonly [string, string | undefined])[] = [
    ["id", job.id],
    ["name", job.name],
    ["queue", job.queue],
    ["channel", job.channel],
    ["dispatched", instant(job.createdAt)],
    ["due", instant(job.due)],
    ["leased until", job.leasedUntil === undefined ? undefined : instant(job.leasedUntil)],
    ["runs", String(job.attempts)],
    ["lost leases", String(job.lost)],
    ["request id", job.requestId],
    ["headers", Object.keys(headers).length === 0 ? undefined : JSON.stringify(headers)],
    ["codec", job.codec],
    ["bytes", String(job.size)],
    ["died", dead === undefined ? undefined : instant(dead.at)],
    ["reason", dead?.reason],
    ["error", lastError === undefined ? undefined : `${lastError.name}: ${lastError.message}`],
    ["payload", payload],
  ];
  for (const [title, text] of lines) {
    if (text !== undefined) stdout.write(`${title.padEnd(14)}${plain(text)}\n`);
  }
  for (const line of lastError?.stack?.split("\n").slice(1) ?? []) stdout.write(`${plain(line)}\n`);
}

/** The jobs that a write would reach. */
export function printPreview(stderr: Output, verb: string, { count, atLeast, sample }: Preview): void {
  stderr.write(`${verb} ${countOf(count, atLeast)}\n`);
  if (sample.length > 0) stderr.write(jobTable(sample));
  if (count > sample.length) stderr.write(`and ${atLeast ? "at least " : ""}${count - sample.length} more\n`);
}

/** A count of jobs in words. */
export function countOf(count: number, atLeast: boolean = false): string {
  return `${atLeast ? "at least " : ""}${count} ${count === 1 ? "job" : "jobs"}`;
}
