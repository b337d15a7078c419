/**
 * `npm run bench [-- --quick] [--million] [--minute] [--only <workload>]`: measures everything side by side, round after
 * round, prints medians and ratios, and keeps all rounds in a JSON file. Every load is bounded.
 *
 * @module
 */

import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { goalsOf } from "./lib/goals.ts";
import { planOf, type Task } from "./lib/plan.ts";
import type { Measured, Result } from "./lib/result.ts";
import { tableOf } from "./lib/table.ts";

/** Milliseconds that one measurement may take; the plan's take seconds. */
const TIMEOUT = 300_000;

const { values: choice } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    million: { type: "boolean", default: false },
    minute: { type: "boolean", default: false },
    only: { type: "string" },
    out: { type: "string" },
  },
});

const rounds: Measured[] = [];
for (const stage of planOf(choice)) {
  const tasks = stage.tasks.filter(({ workload }) => choice.only === undefined || workload === choice.only);
  for (let round = 0; round < stage.rounds; round++) {
    for (const task of tasks) {
      process.stderr.write(`${task.workload}, ${task.contender}, ${task.durability}, round ${round + 1}\n`);
      rounds.push({ round, task, figures: await measure(task) });
    }
  }
}
const result: Result = { date: new Date().toISOString().slice(0, 10), settings: settings(), rounds };
const file = choice.out ??
  fileURLToPath(new URL(choice.quick ? "quick.json" : "results.json", import.meta.url));
writeFileSync(file, JSON.stringify(result, undefined, 1) + "\n");
console.log(tableOf(result));
console.log(goalsOf(result));

async function measure(task: Task): Promise<Measured["figures"]> {
  // Not in the system's folder for temporary files if that is memory: its fsync would be free.
  const root = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), "relevo-bench-"));
  const script = fileURLToPath(new URL("measure.ts", import.meta.url));
  const args = [
    "--expose-gc",
    "--disable-warning=ExperimentalWarning",
    script,
    JSON.stringify({ task, root }),
  ];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: TIMEOUT });
  return JSON.parse(stdout);
}

function settings(): Result["settings"] {
  const database = new DatabaseSync(":memory:");
  const sqlite = String(database.prepare("SELECT sqlite_version() AS version").get()?.version);
  database.close();
  const manifest: { dependencies: Record<string, string> } = JSON.parse(
    readFileSync(new URL("package.json", import.meta.url), "utf8"),
  );
  return {
    node: process.version,
    sqlite,
    cpu: `${cpus().length} x ${cpus()[0]?.model ?? "unknown"}`,
    platform: `${process.platform} ${process.arch}`,
    ...manifest.dependencies,
  };
}
