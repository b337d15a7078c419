/**
 * Our own tables, in the same file as the jobs: which run it is, and a row for each file that was measured. One file
 * for each folder, in `.relevo/`, so that a restart finds it again.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Transact, transactor } from "../../src/transports/sqlite/mod.ts";

/** The folder, in the current one, that holds the databases; listings leave it out. */
export const STATE_FOLDER = ".relevo";

/** A run over the folder: it may take several starts. */
export interface Run {
  readonly id: number;
  readonly startedAt: number;
  /** 1 when it began with this start. */
  readonly starts: number;
  /** Every file has its job. */
  readonly listed: boolean;
  /** What the listing left out, and why. */
  readonly skipped: Readonly<Record<string, number>>;
}

export interface Result {
  readonly id: string;
  readonly size: number;
  readonly gzip: number;
  readonly hash: string;
  readonly attempt: number;
  readonly lost: number;
}

export interface Totals {
  readonly files: number;
  readonly bytes: number;
  readonly gzip: number;
  readonly contents: number;
  readonly retries: number;
  readonly lost: number;
}

type Row = Readonly<Record<string, unknown>>;

/** Our part of the database. */
export interface Store {
  /** Does something in a transaction of our handle: all or nothing, one after another. */
  readonly transact: Transact<DatabaseSync>;
  /** Goes on with the unfinished run, or begins one. */
  start(): Promise<Run>;
  /** A run as it is now: another process may be at work on it too. */
  reread(run: Run): Run;
  /** Every file of the run has its job now. */
  listed(run: Run, skipped: Run["skipped"]): Promise<void>;
  finished(run: Run): Promise<void>;
  /** Writes a row down; to be called within {@linkcode Store.transact}. */
  insert(result: Result): void;
  totals(): Totals;
  close(): void;
}

const TABLES = `
  CREATE TABLE IF NOT EXISTS runs (id INTEGER PRIMARY KEY, started_at INTEGER NOT NULL, starts INTEGER NOT NULL,
    listed INTEGER NOT NULL, skipped TEXT NOT NULL, finished INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS results (id TEXT PRIMARY KEY, size INTEGER NOT NULL, gzip INTEGER NOT NULL,
    hash TEXT NOT NULL, attempt INTEGER NOT NULL, lost INTEGER NOT NULL) WITHOUT ROWID`;

const TOTALS = `SELECT count(*) AS files, total(size) AS bytes, total(gzip) AS gzip,
  count(DISTINCT hash) AS contents, total(attempt - 1) AS retries, total(lost) AS lost FROM results`;

/** Where the runs over a folder are kept. */
export function databaseOf(folder: string): string {
  const mark = createHash("sha256").update(folder).digest("hex").slice(0, 8);
  const name = basename(folder).replace(/[^\w.-]/g, "_").slice(0, 40) || "root";
  return join(resolve(STATE_FOLDER), `${name}-${mark}.db`);
}

/** Makes room for the database; `fresh`: forgets the one that is there. */
export function prepareFile(path: string, fresh: boolean): void {
  const folder = dirname(path);
  if (!existsSync(folder)) mkdirSync(folder);
  if (fresh) { for (const part of ["", "-wal", "-shm"]) rmSync(path + part, { force: true }); }
}

/** Opens our handle; the transport has one of its own to the same file, and has made it by now. */
export async function openStore(path: string): Promise<Store> {
  const db = new DatabaseSync(path);
  // As for the jobs: a power cut may take the newest transactions, whole ones, and their work is done again.
  db.exec("PRAGMA synchronous = NORMAL");
  const transact = transactor(db);

  await transact(() => db.exec(TABLES));
  const insert = db.prepare("INSERT INTO results VALUES (?, ?, ?, ?, ?, ?)");
  const totals = db.prepare(TOTALS);
  const setListed = db.prepare("UPDATE runs SET listed = 1, skipped = ? WHERE id = ?");
  const setFinished = db.prepare("UPDATE runs SET finished = 1 WHERE id = ?");
  return {
    transact,
    start: () => transact(() => startRun(db)),
    reread: (run) => runOf(db.prepare("SELECT * FROM runs WHERE id = ?").get(run.id)) ?? run,
    listed: (run, skipped) => transact(() => void setListed.run(JSON.stringify(skipped), run.id)),
    finished: (run) => transact(() => void setFinished.run(run.id)),
    insert: ({ id, size, gzip, hash, attempt, lost }) => void insert.run(id, size, gzip, hash, attempt, lost),
    totals: () => totalsOf(totals.get()),
    close: () => db.close(),
  };
}

function totalsOf(row: Row = {}): Totals {
  const { files, bytes, gzip, contents, retries, lost } = row;
  return {
    files: Number(files),
    bytes: Number(bytes),
    gzip: Number(gzip),
    contents: Number(contents),
    retries: Number(retries),
    lost: Number(lost),
  };
}

function startRun(db: DatabaseSync): Run {
  const run = unfinished(db);
  if (run !== undefined) {
    db.prepare("UPDATE runs SET starts = starts + 1 WHERE id = ?").run(run.id);
    return { ...run, starts: run.starts + 1 };
  }
  db.exec("DELETE FROM results");
  db.prepare("INSERT INTO runs (started_at, starts, listed, skipped, finished) VALUES (?, 1, 0, '{}', 0)")
    .run(Date.now());
  const begun = unfinished(db);
  if (begun === undefined) throw new Error("A run that was just stored is missing");
  return begun;
}

function unfinished(db: DatabaseSync): Run | undefined {
  return runOf(db.prepare("SELECT * FROM runs WHERE finished = 0 ORDER BY id DESC LIMIT 1").get());
}

function runOf(row: Row | undefined): Run | undefined {
  if (row === undefined) return undefined;
  const { id, started_at: startedAt, starts, listed, skipped } = row;
  return {
    id: Number(id),
    startedAt: Number(startedAt),
    starts: Number(starts),
    listed: listed === 1,
    skipped: JSON.parse(String(skipped)),
  };
}
