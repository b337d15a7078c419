/**
 * Calls inside a transaction that the user began on a connection of theirs, and will end: stored if it commits, gone if
 * it does not. Nothing is awaited in between, so that they are done when the call returns.
 *
 * @module
 */

import { TransportBusy, TransportClosed } from "../../errors.ts";
import type { Call } from "../../jobs/exchange.ts";
import type { Runtime } from "../../runtime.ts";
import type { Transactions } from "../../contract/transport.ts";
import type { Connection } from "./engine/connection.ts";
import { type Database, fileOfOpen, inTransaction, isDatabase } from "./engine/driver.ts";
import { explainInside } from "./errors.ts";
import { pushJobs } from "./push.ts";
import { createSession, type Session } from "./context.ts";
import { settleAll } from "./settle.ts";

interface TransactionsOptions {
  readonly name: string;
  readonly connection: Connection;
  readonly runtime: Runtime;
  readonly client: Database | undefined;
  readonly isClosed: () => boolean;
}

/** Makes the ability. */
export function createTransactions(options: TransactionsOptions): Transactions {
  const { name, connection, runtime, client, isClosed } = options;
  const sessions = new WeakMap<object, Session>();

  /** Makes sure that our tables are in the file, which a user's transaction must not have to do. */
  function ensureOpen(database: Database): void {
    try {
      connection.session();
    } catch (error) {
      // The only connection to a database in memory has a transaction open, as it should: the tables may be there.
      if (!(error instanceof TransportBusy) || database !== client) throw error;
    }
  }

  function check(transaction: object): Database {
    const refuse = (wanted: string): TypeError =>
      new TypeError(`Cannot use a transaction as 'transaction' must be ${wanted}`);
    if (!isDatabase(transaction)) throw refuse("a DatabaseSync of node:sqlite");
    const file = fileOfOpen(transaction);
    if (file === undefined) throw refuse("a connection that is open: it was closed");
    if (!inTransaction(transaction)) throw refuse("one on which a transaction was begun: none is open");
    ensureOpen(transaction);
    const same = connection.shared ? file === connection.file() : transaction === client;
    if (!same) throw refuse(`a connection to the database of this transport, '${connection.label}'`);
    return transaction;
  }

  function inside<T>(transaction: object, { signal }: Call, run: (session: Session) => T): T {
    signal?.throwIfAborted();
    if (isClosed()) throw new TransportClosed(name);
    try {
      const database = check(transaction);
      const session = sessions.get(database) ?? createSession(database, connection.space);
      sessions.set(database, session);
      return savepoint(session, Math.floor(runtime.now()), run);
    } catch (error) {
      sessions.delete(transaction);
      throw explainInside(error, connection.label);
    }
  }

  // Asynchronous only in form: an `async` function runs to its first `await`, and there is none.
  return {
    // deno-lint-ignore require-await
    async push(transaction, jobs, call) {
      return inside(transaction, call, (session) => pushJobs(session, jobs, call.atomic ?? false));
    },
    // deno-lint-ignore require-await
    async settle(transaction, settlements, call) {
      return inside(transaction, call, (session) => settleAll(session, settlements));
    },
  };
}

/** All of it or nothing, whatever the user makes of the transaction around it. */
function savepoint<T>(session: Session, now: number, run: (session: Session) => T): T {
  const { database } = session;
  session.clear();
  session.now = now;
  database.exec("SAVEPOINT relevo");
  try {
    const result = run(session);
    session.flush();
    database.exec("RELEASE relevo");
    return result;
  } catch (error) {
    if (inTransaction(database)) database.exec("ROLLBACK TO relevo; RELEASE relevo");
    throw error;
  }
}
