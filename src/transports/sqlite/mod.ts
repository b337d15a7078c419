/**
 * Jobs in a SQLite file: durable, shared by the processes of one machine, no server. Needs `node:sqlite`, which Node
 * (22.13 and later), Deno and Bun have built in.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { sqlite } from "@relevo/relevo/sqlite";
 * import * as v from "valibot";
 *
 * const relay = createRelay({ jobs: { welcome: v.object({}) }, transport: sqlite({ path: ":memory:" }) });
 * console.log((await relay.dispatch("welcome", {})).status); // stored
 * await relay.close();
 * ```
 *
 * @module
 */

import { MAX_NAME } from "../../defaults.ts";
import { TransportClosed } from "../../errors.ts";
import type { Call } from "../../jobs/exchange.ts";
import { guarded } from "../../guard/guard.ts";
import type { Transport } from "../../contract/transport.ts";
import { createAdmin } from "./admin.ts";
import { type Calls, createCalls, type Work } from "./calls.ts";
import { createCommitter } from "./engine/commit.ts";
import { createConnection } from "./engine/connection.ts";
import { findingsOf } from "./diagnose.ts";
import { getJobs, infoOf, listJobs, queueNames } from "./inspect.ts";
import { settingsOf, type SqliteOptions } from "./options.ts";
import { MAX_BYTES, MAX_ITEMS, pushJobs } from "./push.ts";
import { createSchedules } from "./schedules.ts";
import { extendLeases, settleAll } from "./settle.ts";
import { createTopics } from "./topics.ts";
import { inParts } from "./engine/parts.ts";
import type { Space } from "./engine/space.ts";
import { createTransactions } from "./transactions.ts";
import { createWaiting } from "./waiters.ts";

export type { Database, Row, Statement, Value } from "./engine/driver.ts";
export type { SqliteOptions };
export { type Transact, transactor, type TransactorOptions } from "./engine/transactor.ts";

/** Why a database in memory lacks what a file has. */
const PRIVATE = "its database is in the memory of this process";

/**
 * A transport that keeps jobs in a SQLite database.
 *
 * The file is opened by the first call, and the tables (all named `relevo_...`, so that they may live among yours) are
 * made or brought up to date by it, however many processes start at once. The file is put into WAL mode. A file that
 * cannot be used makes each call reject with a `TransportError`, whose `code` says why, until it can be used.
 *
 * While another process holds the lock, calls wait without blocking this one, and reject with `TransportBusy` when
 * their deadline is over. A full disk, or `maxBytes`, rejects pushes with `TransportFull`; nothing of them was stored,
 * and the rest of the space is kept for jobs to end.
 *
 * @throws {TypeError} When an option is wrong, or none says where the database is.
 * @throws {RangeError} When a number is out of its range.
 *
 * @example
 * ```ts
 * import { sqlite } from "@relevo/relevo/sqlite";
 *
 * await using transport = sqlite({ path: ":memory:" });
 * const payload = new TextEncoder().encode(JSON.stringify({ userId: 42 }));
 * const job = { queue: "default", id: "1", name: "email.welcome", payload, meta: "" };
 * console.log(await transport.push([job], { deadline: 10_000 })); // [ "stored" ]
 * ```
 */
export function sqlite(options: SqliteOptions): Transport {
  const settings = settingsOf(options);
  const { name, runtime, client } = settings;
  const connection = createConnection(settings);
  const waiting = createWaiting({
    connection,
    runtime,
    probe: settings.probe,
    submit: (operation) => committer.submit(operation),
  });
  const committer = createCommitter({ connection, runtime, waiting });
  const calls = createCalls({ name, runtime, committer });
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    calls.close();
    await waiting.close(new TransportClosed(name));
    committer.close(() => new TransportClosed(name));
    connection.close();
  }

  return guarded({
    name,
    features: {
      durable: connection.shared,
      shared: connection.shared,
      exactFence: true,
      exactInfo: true,
      atomicPush: true,
      remote: false,
      clock: "machine",
      idLive: true,
      idWindow: true,
    },
    lacks: {
      remote: "the database is in a file that this process reads and writes itself",
      ...(connection.shared ? {} : { durable: PRIVATE, shared: PRIVATE }),
    },
    limits: { payload: MAX_BYTES, bulk: MAX_ITEMS, name: MAX_NAME },
    reserve: waiting.waiters.reserve,
    ...exchangeOf(calls, connection.space.rows),
    ...operatorOf(calls),
    ...createAdmin(calls),
    diagnose: (call) =>
      calls.read(call, (session) => ({
        findings: findingsOf(session, connection.file(), settings.maxBytes),
      })),
    topics: createTopics(calls),
    schedules: createSchedules(calls),
    transactions: createTransactions({
      name,
      connection,
      runtime,
      client,
      isClosed: () => closing !== undefined,
    }),
    [Symbol.asyncDispose]: () => closing ??= close(),
  });
}

/** The verbs of jobs on their way. */
function exchangeOf({ call }: Calls, rows: Space["rows"]): Pick<Transport, "push" | "extend" | "settle"> {
  const batch = <T>(bounds: Call, { length: size }: readonly unknown[], run: Work<T>["run"]): Promise<T> =>
    call(bounds, { size, writes: size > 0, run });
  return {
    push: (jobs, bounds) => batch(bounds, jobs, (session) => pushJobs(session, jobs, bounds.atomic ?? false)),
    extend: (leases, bounds) =>
      inParts(leases, rows, (part) => batch(bounds, part, (session) => extendLeases(session, part))),
    settle: (settlements, bounds) =>
      inParts(settlements, rows, (part) => batch(bounds, part, (session) => settleAll(session, part))),
  };
}

/** The operator's reads. */
function operatorOf(
  { call, read }: Calls,
): Pick<Transport, "info" | "queues" | "list" | "get"> {
  return {
    info: (queue, bounds) => read(bounds, (session) => infoOf(session, queue)),
    queues: (bounds) => read(bounds, queueNames),
    list: (queue, channel, page, bounds) =>
      read(bounds, (session) => listJobs(session, queue, channel, page)),
    get: (queue, ids, bounds) =>
      call(bounds, { size: ids.length, writes: false, run: (session) => getJobs(session, queue, ids) }),
  };
}
