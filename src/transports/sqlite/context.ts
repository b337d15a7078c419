/**
 * One connection at work: its prepared statements, and the changes that a transaction gathers until it commits.
 *
 * @module
 */

import { type Channel, CHANNELS } from "../../jobs/job.ts";
import { type Database, prepareNumbered, type Statement } from "./engine/driver.ts";
import type { Space } from "./engine/space.ts";
import { createLeases, type Leases } from "./model/leases.ts";

/** The session, with which all files of this adapter work. */
export interface Session {
  readonly database: Database;
  readonly space: Space;
  readonly leases: Leases;
  /** The wall clock at the start of the transaction, in milliseconds since the epoch. */
  now: number;
  /** Queues found empty in this transaction, so that many calls ask once. */
  readonly empty: Set<string>;
  /** Queues in which calls that wait may find a job, and how many of them. */
  readonly came: Map<string, number>;
  /** Queues in which something happens by itself, and when at the earliest. */
  readonly expected: Map<string, number>;
  /** The statement of a text, prepared once; its parameters may be numbered. */
  statement(sql: string): Statement;
  /** Adds to a queue's counter. */
  count(queue: string, channel: Channel, by: number): void;
  /** So many calls that wait for a queue may find a job. */
  bring(queue: string, jobs: number): void;
  /** A job is due in a queue, or a lease ends, at that time. */
  expect(queue: string, time: number): void;
  /** Writes the counters down: the last thing before a commit. */
  flush(): void;
  /** Forgets the changes gathered. */
  clear(): void;
  /** The same when its transaction was rolled back. */
  undo(): void;
}

const COUNT = `INSERT INTO relevo_queues VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (queue) DO UPDATE SET
  waiting = waiting + excluded.waiting, delayed = delayed + excluded.delayed, reserved = reserved + excluded.reserved,
  failed = failed + excluded.failed, timeout = timeout + excluded.timeout`;

/** Makes a session of a connection. */
export function createSession(database: Database, space: Space): Session {
  const statements = new Map<string, Statement>();
  const counts = new Map<string, Record<Channel, number>>();

  const session: Session = {
    database,
    space,
    leases: createLeases((sql) => session.statement(sql)),
    now: 0,
    empty: new Set(),
    came: new Map(),
    expected: new Map(),
    statement(sql) {
      let statement = statements.get(sql);
      if (statement === undefined) {
        statement = prepareNumbered(database, sql);
        statements.set(sql, statement);
      }
      return statement;
    },
    count(queue, channel, by) {
      let count = counts.get(queue);
      if (count === undefined) {
        count = { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };
        counts.set(queue, count);
      }
      count[channel] += by;
    },
    bring(queue, jobs) {
      session.came.set(queue, (session.came.get(queue) ?? 0) + jobs);
      session.empty.delete(queue);
    },
    expect(queue, time) {
      session.expected.set(queue, Math.min(time, session.expected.get(queue) ?? Infinity));
    },
    flush() {
      for (const [queue, count] of counts) {
        if (CHANNELS.every((channel) => count[channel] === 0)) continue;
        const { waiting, delayed, reserved, failed, timeout } = count;
        session.statement(COUNT).run(queue, waiting, delayed, reserved, failed, timeout);
      }
      counts.clear();
    },
    clear() {
      // To clear what is empty already took a fiftieth of a lone push.
      for (const gathered of [counts, session.empty, session.came, session.expected]) {
        if (gathered.size > 0) gathered.clear();
      }
    },
    undo() {
      session.clear();
      session.leases.forget();
    },
  };
  return session;
}
