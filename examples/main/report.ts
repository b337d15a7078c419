/** What came of a run: its dead letters with their reasons, and a table. */
import type { StoredJob } from "../../mod.ts";
import { type Files, pathOf, QUEUE } from "./jobs.ts";
import type { Run, Store } from "./store.ts";
import { bytes, number, plural, printable } from "./text.ts";

/** Dead letters that are shown one by one. */
const SHOWN = 40;

export async function report(
  files: Files,
  store: Store,
  run: Run,
  { jobs, seconds }: { readonly jobs: number; readonly seconds: number },
): Promise<void> {
  let dead = 0;
  let retries = 0;
  let lost = 0;
  for await (const job of deadLetters(files)) {
    if (dead === 0) console.log("\nDead letters:");
    if (++dead <= SHOWN) console.log(`  ${await lineOf(files, job)}`);
    retries += Math.max(0, job.attempts - 1);
    lost += job.dead?.lost ?? 0;
  }
  if (dead > SHOWN) console.log(`  and ${number(dead - SHOWN)} more`);
  const totals = store.totals();
  const skipped = Object.entries(run.skipped).map(([reason, count]) => `${reason}: ${number(count)}`);
  const rows: readonly (readonly [string, string])[] = [
    ["files", number(totals.files)],
    ["bytes", bytes(totals.bytes)],
    ["bytes as gzip", bytes(totals.gzip)],
    ["duplicates", `${number(totals.files - totals.contents)} hold the same bytes as another`],
    [
      "jobs per second",
      `${number(jobs / Math.max(seconds, 0.001))} (${number(jobs)} in ${number(seconds)} s)`,
    ],
    ["retries", number(totals.retries + retries)],
    ["runs repeated", `${number(totals.lost + lost)} at most (in hand when a process died)`],
    ["dead", number(dead)],
    ...(skipped.length > 0 ? [["left out", skipped.join("; ")] as const] : []),
  ];
  console.log(`\nRun ${run.id}, ${plural(run.starts, "start")}:`);
  for (const [name, value] of rows) console.log(`  ${name.padEnd(16)}${value}`);
}

/** All dead letters, a page at a time, those that failed first. */
async function* deadLetters(files: Files): AsyncGenerator<StoredJob> {
  for (const channel of ["failed", "timeout"] as const) {
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = await files.list(QUEUE, channel, { limit: 1_000, cursor });
      yield* page.jobs;
      cursor = page.cursor;
    }
  }
}

async function lineOf(files: Files, job: StoredJob): Promise<string> {
  // Listings show only the beginning of a long payload.
  const whole = job.payload.length < job.size ? await files.get(QUEUE, job.id) : job;
  const { dead, lastError } = job;
  return `${printable(pathOf(whole ?? job))}: ${dead?.reason} (${printable(lastError?.message ?? "")})`;
}
