/** What the tests of the main example share: folders, starts of it, and what it says and keeps. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { onTestFinished } from "vitest";
import { databaseOf } from "../../../examples/main/store.ts";
import { type Child, spawnScript } from "../support/spawn.ts";

const MAIN = new URL("../../../examples/main.ts", import.meta.url);

/** A place in which the example is started: its current folder, and the one that it measures. */
export interface Place {
  readonly cwd: string;
  readonly folder: string;
  /** The file that holds the run. */
  readonly database: string;
}

/** How a start ended. */
export interface Ended {
  readonly code: number | null;
  readonly lines: readonly string[];
  readonly errors: string;
  /** The summary, by its rows' names. */
  readonly table: Readonly<Record<string, string>>;
}

/** Rows as they are kept, without the run's number. */
export interface Kept {
  readonly results: readonly unknown[];
  readonly dead: readonly unknown[];
}

export function makePlace(): Place {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "relevo-example-")));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const place = { cwd: join(root, "cwd"), folder: join(root, "folder") };
  for (const path of Object.values(place)) mkdirSync(path);
  return { ...place, database: join(place.cwd, ".relevo", basename(databaseOf(place.folder))) };
}

/** Puts small files into folders of a hundred; every tenth file is the same. */
export function fill(folder: string, count: number): void {
  for (let index = 0; index < count; index++) {
    const sub = join(folder, `folder ${Math.floor(index / 100)}`);
    if (index % 100 === 0) mkdirSync(sub);
    writeFileSync(
      join(sub, `file ${index}`),
      index % 10 === 0 ? "the same" : `file ${index}\n`.repeat(index % 300),
    );
  }
}

/** Starts the example over a place's folder, or with other arguments. */
export function start({ cwd, folder }: Place, args: readonly string[] = [folder]): Child {
  const child = spawnScript(MAIN, args, { cwd });
  onTestFinished(() => child[Symbol.asyncDispose]());
  return child;
}

/** Reads a start to its end. */
export async function finish(child: Child): Promise<Ended> {
  const lines: string[] = [];
  for await (const line of child.lines) lines.push(line);
  const rows = lines.slice(lines.findIndex((line) => /^Run \d+, /.test(line)) + 1);
  const table = Object.fromEntries(rows.map((row) => row.trim().split(/ {2,}/)));
  return { code: (await child.exited).code, lines, errors: child.stderr(), table };
}

/** Waits until so many percent are handled, then sends a signal and waits for the end. */
export async function stopAt(child: Child, percent: number, signal: NodeJS.Signals): Promise<Ended> {
  await child.until((line) => Number(/\((\d+) %\)/.exec(line)?.[1] ?? -1) >= percent);
  child.kill(signal);
  return await finish(child);
}

/** Asks a place's database. */
export function ask(
  { database }: Place,
  sql: string,
): readonly Readonly<Record<string, unknown>>[] {
  const db = new DatabaseSync(database);
  try {
    return db.prepare(sql).all();
  } finally {
    db.close();
  }
}

/** One number of a place's database. */
export function count(place: Place, sql: string): number {
  return Number(Object.values(ask(place, sql)[0] ?? {})[0]);
}

export function kept(place: Place): Kept {
  const path = "substr(id, instr(id, ':') + 1) AS path";
  return {
    results: ask(place, `SELECT ${path}, size, gzip, hash FROM results ORDER BY path`),
    dead: ask(place, `SELECT ${path}, reason FROM relevo_jobs WHERE reason IS NOT NULL ORDER BY path`),
  };
}
