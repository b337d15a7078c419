/**
 * `npm run bench [-- --quick] [--million] [--minute] [--minutes <most>] [--store <store>] [--only <workload>]
 * [--with <contender>]`: measures everything side by side, round after round, prints medians and ratios, keeps all
 * rounds in a JSON file a store, and writes the tables of the README anew. Every load is bounded. Nothing is measured
 * with `--goals`, which prints the goals that the kept rounds miss, and with `--tables`, which writes their tables.
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
import { writePage } from "./lib/page.ts";
import { type Task, turnsOf } from "./lib/plan.ts";
import type { Measured, Result } from "./lib/result.ts";
import { type Store, stores } from "./lib/stores.ts";
import { tableOf } from "./lib/table.ts";
import { proxyOf } from "./servers/proxy.ts";
import { isThere, start, versionOf } from "./servers/server.ts";

/** Milliseconds that one measurement may take; the plan's take seconds. */
const TIMEOUT = 300_000;

const { values: choice } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    million: { type: "boolean", default: false },
    minute: { type: "boolean", default: false },
    goals: { type: "boolean", default: false },
    tables: { type: "boolean", default: false },
    minutes: { type: "string" },
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
  if (choice.tables) {
    const result = kept(name);
    if (result.rounds.length > 0) writePage(name, result);
    continue;
  }
  if (store.server !== undefined && !isThere(store.server)) {
    console.error(`There is no ${store.server}-server on this machine: its part is left out`);
    continue;
  }
  const result = await run(store);
  writeFileSync(choice.out ?? fileOf(name), JSON.stringify(result, undefined, 1) + "\n");
  console.log(`## ${name}\n\n${JSON.stringify(result.settings)}\n`);
  console.log(tableOf(result));
  console.log(goalTableOf(foundOf(name, result)));
  if (isWhole()) writePage(name, result);
}

/** Whether a run leaves nothing out, so that its tables may stand in the README. */
function isWhole(): boolean {
  const { quick, only, with: some, rounds, out } = choice;
  return !quick && [only, some, rounds, out].every((option) => option === undefined);
}

async function run(store: Store): Promise<Result> {
  const rounds: Measured[] = [];
  const stages = store.planOf(choice).map((stage) => ({
    ...stage,
    tasks: stage.tasks.filter(({ workload, contender }) =>
      (choice.only ?? workload) === workload && (choice.with ?? [contender]).includes(contender)
    ),
  }));
  const end = performance.now() + Number(choice.minutes ?? Infinity) * 60_000 * store.share;
  for (const { round, task } of turnsOf(stages, Number(choice.rounds ?? Infinity))) {
    // Out of time, but for the first round of everything.
    if (round > 0 && performance.now() > end) continue;
    process.stderr.write(`${task.workload}, ${task.contender}, ${task.durability}, round ${round + 1}\n`);
    try {
      rounds.push({ round, task, figures: await measure(store, task) });
    } catch (error) {
      // One contender that fails must not cost the others their rounds; the run is marked as failed.
      process.exitCode = 1;
      console.error(error);
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
    const delay = task.counts.delay;
    const proxy = server && delay !== undefined ? await proxyOf(server.address, delay) : undefined;
    const address = proxy?.address ?? server?.address;
    const script = fileURLToPath(new URL("measure.ts", import.meta.url));
    const args = [
      "--expose-gc",
      "--disable-warning=ExperimentalWarning",
      script,
      JSON.stringify({ task, root, address }),
    ];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: TIMEOUT })
      .finally(() => proxy?.stop());
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
