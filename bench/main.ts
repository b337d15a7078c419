/**
 * `npm run bench [-- --quick] [--million] [--minute] [--store <store>] [--only <workload>] [--with <contender>]`: measures
 * everything side by side, round after round, prints medians and ratios, and keeps all rounds in a JSON file a store.
 * Every load is bounded. With `--goals` nothing is measured: the goals that the kept rounds miss are printed.
 *
 * @module
 */

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { foundOf, goalTableOf, missedTableOf } from "./lib/goals.ts";
import type { Task } from "./lib/plan.ts";
import type { Measured, Result } from "./lib/result.ts";
import { type Store, stores } from "./lib/stores.ts";
import { tableOf } from "./lib/table.ts";
import { start, versionOf } from "./servers/server.ts";

/** Milliseconds that one measurement may take; the plan's take seconds. */
const TIMEOUT = 300_000;

const { values: choice } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    million: { type: "boolean", default: false },
    minute: { type: "boolean", default: false },
    goals: { type: "boolean", default: false },
    store: { type: "string" },
    only: { type: "string" },
    with: { type: "string", multiple: true },
    rounds: { type: "string" },
    out: { type: "string" },
  },
});

// A server of a measurement that is interrupted ends with this process.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

for (const [name, store] of Object.entries(stores)) {
  if (choice.store !== undefined && choice.store !== name) continue;
  if (choice.goals) {
    console.log(`## ${name}\n\n${missedTableOf(foundOf(name, kept(name)))}\n`);
    continue;
  }
  const result = await run(store);
  writeFileSync(choice.out ?? fileOf(name), JSON.stringify(result, undefined, 1) + "\n");
  console.log(`## ${name}\n\n${JSON.stringify(result.settings)}\n`);
  console.log(tableOf(result));
  console.log(goalTableOf(foundOf(name, result)));
}

async function run(store: Store): Promise<Result> {
  const rounds: Measured[] = [];
  for (const stage of store.planOf(choice)) {
    const tasks = stage.tasks.filter(({ workload, contender }) =>
      (choice.only ?? workload) === workload && (choice.with ?? [contender]).includes(contender)
    );
    for (let round = 0; round < Math.min(stage.rounds, Number(choice.rounds ?? Infinity)); round++) {
      for (const task of tasks) {
        process.stderr.write(`${task.workload}, ${task.contender}, ${task.durability}, round ${round + 1}\n`);
        try {
          rounds.push({ round, task, figures: await measure(store, task) });
        } catch (error) {
          // One contender that fails must not cost the others their rounds; the run is marked as failed.
          process.exitCode = 1;
          console.error(error);
        }
      }
    }
  }
  return { date: new Date().toISOString().slice(0, 10), settings: settings(store), rounds };
}

/** Measures in a process of its own, with a server of its own. */
async function measure({ server: kind }: Store, task: Task): Promise<Measured["figures"]> {
  // Not in the system's folder for temporary files if that is memory: its fsync would be free.
  const root = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), "relevo-bench-"));
  const data = mkdtempSync(`${root}-server-`);
  const server = kind && await start(kind, data, task.durability);
  try {
    const script = fileURLToPath(new URL("measure.ts", import.meta.url));
    const args = [
      "--expose-gc",
      "--disable-warning=ExperimentalWarning",
      script,
      JSON.stringify({ task, root, address: server?.address }),
    ];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: TIMEOUT });
    return JSON.parse(stdout);
  } finally {
    await server?.stop();
    for (const folder of [root, data]) rmSync(folder, { recursive: true, force: true });
  }
}

/** The result of an earlier run; without rounds where there was none. */
function kept(store: string): Result {
  const file = choice.out ?? fileOf(store);
  if (!existsSync(file)) return { date: "", settings: {}, rounds: [] };
  const result: Result = JSON.parse(readFileSync(file, "utf8"));
  return result;
}

function fileOf(store: string): string {
  return fileURLToPath(new URL(`results/${choice.quick ? "quick-" : ""}${store}.json`, import.meta.url));
}

function settings({ server, packages }: Store): Result["settings"] {
  const manifest: { dependencies: Record<string, string> } = JSON.parse(
    readFileSync(new URL("package.json", import.meta.url), "utf8"),
  );
  const versions = packages.map((name) => [name, manifest.dependencies[name] ?? "not installed"]);
  return {
    node: process.version,
    ...server === undefined ? { sqlite: sqliteVersion() } : { [`${server}-server`]: versionOf(server) },
    cpu: `${cpus().length} x ${cpus()[0]?.model ?? "unknown"}`,
    platform: `${process.platform} ${process.arch}`,
    ...Object.fromEntries(versions),
  };
}

function sqliteVersion(): string {
  const database = new DatabaseSync(":memory:");
  const sqlite = String(database.prepare("SELECT sqlite_version() AS version").get()?.version);
  database.close();
  return sqlite;
}
