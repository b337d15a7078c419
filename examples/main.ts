/**
 * Run it: npm start [-- folder]
 *
 * Measures every file of a folder (SHA-256, size, size as gzip), each as a job of its own on SQLite. Stop it as you
 * like, also with `kill -9`: started again, it does the rest. Started in a second terminal, it helps the first.
 *
 * A file over `--limit` (64 MiB) becomes a dead letter, as does whatever cannot be read. The jobs and the results
 * are kept in `.relevo/` in the current folder; `--fresh` forgets an unfinished run.
 *
 * In a program of your own import from "@relevo/relevo" and "@relevo/relevo/sqlite".
 */
import { constants } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { exponential } from "../mod.ts";
import { sqlite } from "../src/transports/sqlite/mod.ts";
import { type Arguments, readArguments, WrongInput } from "./main/arguments.ts";
import { createFiles, dispatchAll, type Files, handleFiles, type Place, QUEUE } from "./main/jobs.ts";
import { createScreen, follow } from "./main/progress.ts";
import { report } from "./main/report.ts";
import { databaseOf, openStore, prepareFile, type Run } from "./main/store.ts";
import { number, plural, printable } from "./main/text.ts";

/** Enough to keep the disk, all threads that compress, and the database busy at the same time. */
const CONCURRENCY = 32;
/** How soon another process gets what one that died had in hand, in milliseconds. */
const LEASE = 5_000;
/** A process that is killed again and again is not the file's fault; by default the fourth time is blamed on the file. */
const MAX_LOST = 1_000;

const interrupt = new AbortController();
let stoppedBy: keyof typeof constants.signals | undefined;
const stop = (name: keyof typeof constants.signals): void => {
  stoppedBy ??= name;
  interrupt.abort(new Error(name));
};
// Once: a second one ends the process at once, which costs nothing but a few runs.
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => stop(name));
// The reader of our output is gone, as behind `| head`.
process.stdout.on("error", () => stop("SIGPIPE"));

try {
  await main(readArguments(process.argv.slice(2), fileURLToPath(new URL("..", import.meta.url))));
} catch (error) {
  if (error instanceof WrongInput) {
    console.error(error.message);
    process.exitCode = 2;
  } else if (stoppedBy === undefined) {
    console.error(`Failed: ${messageOf(error)}`);
    console.error("Start it again, and it does the rest; with --fresh it begins anew.");
    process.exitCode = 1;
  }
}
if (stoppedBy !== undefined) {
  console.log(`Stopped by ${stoppedBy}. Start it again, and it does the rest.`);
  process.exitCode = 128 + constants.signals[stoppedBy];
}

async function main({ folder, fresh, limit }: Arguments): Promise<void> {
  const path = databaseOf(folder);
  prepareFile(path, fresh);
  // The results live in the same file, so a power cut takes a job and its row together: nothing is lost by `normal`.
  const files = createFiles(sqlite({ path, durability: "normal" }));
  try {
    // The first call opens the file, so that it is there for our own tables.
    await files.queues();
    const store = await openStore(path);
    await begin({ files, store, folder }, path, limit).finally(() => store.close());
  } finally {
    await files.close();
  }
}

async function begin(place: Place, path: string, limit: number): Promise<void> {
  const run = await place.store.start();
  console.log(`${run.starts > 1 ? "Continuing" : "Beginning"} run ${run.id} over ${printable(place.folder)}`);
  console.log(`Kept in ${printable(path)}`);
  await forgetOlder(place.files, run);
  await work(place, run, limit);
}

async function work(place: Place, run: Run, limit: number): Promise<void> {
  const { files, store } = place;
  const screen = createScreen();
  const { signal } = interrupt;
  try {
    if (!run.listed) {
      await dispatchAll(place, run, (count) => screen.show(`dispatched ${number(count)}`), signal);
      screen.end();
    }
    handleFiles(place, limit);
    const finished = new AbortController();
    const [speed] = await Promise.all([
      follow(files, store.totals().files, screen, signal).finally(() => finished.abort()),
      files.run({
        signal: AbortSignal.any([signal, finished.signal]),
        concurrency: CONCURRENCY,
        lease: LEASE,
        maxLost: MAX_LOST,
        maxRetry: 3,
        backoff: exponential(500),
      }),
    ]);
    screen.end();
    if (signal.aborted) return;
    await report(files, store, store.reread(run), speed);
    // Last of all, so that who is killed before they have seen the table gets to see it.
    await store.finished(run);
  } finally {
    screen.end();
  }
}

/** Dead letters of runs before this one; another process on this run may do the same at the same time. */
async function forgetOlder(files: Files, run: Run): Promise<void> {
  let removed = 0;
  for (const channel of ["failed", "timeout"] as const) {
    removed += await files.remove(QUEUE, channel, { before: run.startedAt });
  }
  if (removed > 0) console.log(`Removed ${plural(removed, "dead letter")} of the run before`);
}

function messageOf(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error));
}
