/**
 * The caller's side of transactions: handlers that share one connection take turns on it, and wait for other
 * processes without blocking this one.
 *
 * @module
 */

import { CALL_TIMEOUT } from "../../../defaults.ts";
import { checkKnown, checkRuntime, checkTime } from "../../../options.ts";
import { type Runtime, systemRuntime } from "../../../runtime.ts";
import { type Database, isDatabase } from "./driver.ts";
import { explain, isBusy } from "../errors.ts";
import { rollback } from "../model/schema.ts";

/** How a transactor waits. */
export interface TransactorOptions {
  /** Milliseconds that others may keep the file locked before a transaction is given up. Default 10,000. */
  readonly deadline?: number | undefined;
  /** Clock and timers; for tests. Default: the real ones. */
  readonly runtime?: Runtime | undefined;
}

/** Does work in a transaction: commits when it is done, rolls all of it back when it fails. */
export type Transact<D> = <T>(work: (database: D) => T | Promise<T>) => Promise<T>;

/** The first and the longest pause before a locked file is tried again, in milliseconds. */
const FIRST_PAUSE = 0.5;
const LAST_PAUSE = 20;
const PAUSE_GROWTH = 1.6;

/**
 * Makes transactions on a connection of your own, one after another however many handlers ask at once. With
 * `context.settle(db)` in one, a job ends together with its handler's writes, or not at all.
 *
 * @throws {TypeError | RangeError} for a value that is no connection, or a wrong option. A transaction rejects as the
 * work does, with `TransportBusy` when others kept the file locked, and with `TransportFull` or `TransportError` when
 * it could not be committed; then nothing of it was.
 *
 * @example
 * ```ts
 * import { DatabaseSync } from "node:sqlite";
 * import { transactor } from "@relevo/relevo/sqlite";
 *
 * const db = new DatabaseSync(":memory:");
 * db.exec("CREATE TABLE paid (id TEXT)");
 * const transact = transactor(db);
 * await transact((db) => db.exec("INSERT INTO paid VALUES ('A1')"));
 * ```
 */
export function transactor<D extends Database>(database: D, options: TransactorOptions = {}): Transact<D> {
  const action = "make a transactor";
  if (!isDatabase(database)) {
    throw new TypeError(`Cannot ${action} as it needs a DatabaseSync of node:sqlite`);
  }
  checkKnown(action, options, ["deadline", "runtime"]);
  const deadline = checkTime(
    action,
    "deadline",
    options.deadline === undefined ? CALL_TIMEOUT : options.deadline,
  );
  const { runtime = systemRuntime() } = options;
  checkRuntime(action, runtime);
  let last: Promise<unknown> = Promise.resolve();

  async function turn<T>(work: (database: D) => T | Promise<T>): Promise<T> {
    await begin(database, runtime, deadline);
    try {
      const result = await work(database);
      commit(database);
      return result;
    } catch (error) {
      rollback(database);
      throw error;
    }
  }

  return (work) => {
    const mine = last.then(() => turn(work));
    // The next transaction does not care how this one ended; the caller that asked for it does.
    last = mine.catch(() => undefined);
    return mine;
  };
}

async function begin(database: Database, runtime: Runtime, deadline: number): Promise<void> {
  const end = runtime.monotonic() + deadline;
  for (let pause = FIRST_PAUSE;; pause = Math.min(LAST_PAUSE, pause * PAUSE_GROWTH)) {
    try {
      return database.exec("BEGIN IMMEDIATE");
    } catch (error) {
      if (!isBusy(error) || runtime.monotonic() >= end) throw explain(error, "the database");
    }
    await runtime.sleep(Math.min(pause * (0.5 + runtime.random()), Math.max(0, end - runtime.monotonic())));
  }
}

function commit(database: Database): void {
  try {
    database.exec("COMMIT");
  } catch (error) {
    throw explain(error, "the database");
  }
}
