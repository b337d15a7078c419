/**
 * The checker: reads a history and says which promises were broken. The same for unit tests, simulations and the
 * ledgers of fault tests.
 *
 * @module
 */

import { checkBoolean, checkKnown, checkList, checkTime, wrongType } from "../options.ts";
import { JOB_RULES, type JobHistory } from "./history/job_rules.ts";
import type { HistoryLine, OperateLine, Violation } from "./history/lines.ts";
import { inOrder, SHARED_RULES } from "./history/shared_rules.ts";

/** How strictly a history is read. */
export interface CheckOptions {
  /** Milliseconds by which the clocks of the writers may differ. Default 0. */
  readonly slack?: number;
  /**
   * Whether the history goes on to the end: jobs that are left in the store stand in `left` lines, so that a missing
   * one is lost. Default `true`.
   */
  readonly complete?: boolean;
}

/**
 * Says which of the invariants S1 to S19 a history breaks; an empty list when none. An event that may have happened is
 * counted in favour: a call whose outcome is unknown, a process that was killed before it could write. Of each
 * invariant it sees the faults that a history can show: overlaps, losses and doubles of jobs for certain, S15 to S19 as
 * far as someone wrote down which parts were alive, counted and buffered.
 *
 * @example
 * ```ts
 * import { checkHistory } from "@relevo/relevo/testing";
 *
 * const violations = checkHistory([
 *   { op: "dispatch", at: 0, queue: "mail", id: "1" },
 *   { op: "start", at: 5, queue: "mail", id: "1", token: "a", attempt: 1, until: 30_000 },
 * ]);
 * console.log(violations[0]?.message); // mail/1 was stored and is neither done nor dead nor left
 * ```
 */
export function checkHistory(
  lines: readonly HistoryLine[],
  options: CheckOptions = {},
): readonly Violation[] {
  const action = "check a history";
  checkList(action, "'lines'", "a list of lines, such as the answer of readLedger", lines);
  checkKnown(action, options, ["slack", "complete"]);
  const { slack = 0, complete = true } = options;
  checkTime(action, "slack", slack);
  checkBoolean(action, "complete", complete);
  const violations: Violation[] = [];
  const report = (invariant: string, at: number, message: string): void => {
    if (invariant !== "S1" || complete) violations.push({ invariant, at, message });
  };
  const ordered = inOrder(lines);
  for (const job of jobsOf(ordered)) {
    for (const rule of JOB_RULES) rule(job, report, slack);
  }
  for (const rule of SHARED_RULES) rule(ordered, report);
  return violations.sort((a, b) => a.at - b.at);
}

/**
 * Reads a ledger: one JSON text a line. A last line that was cut off by a crash is left out.
 *
 * @throws {TypeError} for a value that is no string.
 */
export function readLedger(text: string): readonly HistoryLine[] {
  if (typeof text !== "string") throw wrongType("read a ledger", "'text'", "a string", text);
  const rows = text.split("\n");
  const last = rows.pop() ?? "";
  return [...rows, isWhole(last) ? last : ""].filter((row) => row !== "").map((row) => JSON.parse(row));
}

function isWhole(row: string): boolean {
  try {
    JSON.parse(row);
    return true;
  } catch {
    return false;
  }
}

function isOperation(line: HistoryLine): line is OperateLine {
  return line.op === "reload" || line.op === "remove";
}

function jobsOf(lines: readonly HistoryLine[]): readonly JobHistory[] {
  const byJob = new Map<string, HistoryLine[]>();
  for (const line of lines) {
    if (!("id" in line)) continue;
    const key = JSON.stringify([line.queue, line.id]);
    const mine = byJob.get(key);
    if (mine === undefined) byJob.set(key, [line]);
    else mine.push(line);
  }
  return [...byJob].map(([key, mine]) => ({
    name: (JSON.parse(key) as string[]).join("/"),
    lines: mine,
    dispatches: mine.filter((line) => line.op === "dispatch"),
    starts: mine.filter((line) => line.op === "start"),
    settles: mine.filter((line) => line.op === "settle"),
    operations: mine.filter(isOperation),
    left: mine.filter((line) => line.op === "left"),
  }));
}
