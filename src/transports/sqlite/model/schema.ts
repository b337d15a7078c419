/**
 * The tables, and how a file comes to have them. Described for other programs in docs/transports/wire.md.
 *
 * One table holds all jobs, and one index the place of each: measured against leases and order in tables of their own,
 * it drains a tenth slower, but a job is one row. States begin at 2 and leases at 2^32, so that no reserve changes the
 * size of a row: SQLite then leaves the pages of a long payload alone. Other programs go through the view
 * `relevo_jobs`, whose triggers keep the counters; a trigger on the table itself would cost each push a sixth.
 *
 * @module
 */

import { cannotUse } from "../../../store/faults.ts";
import { type Database, integerOf, textOf } from "../engine/driver.ts";

/** Where a job is, as `relevo_entries.state` has it. */
export const WAITING = 2;
/** Waiting again after a lost lease. */
export const BACK = 3;
export const DELAYED = 4;
export const RESERVED = 5;
export const FAILED = 6;
export const TIMEOUT = 7;

/** The value of `relevo_entries.lease` while no worker holds the job. */
export const NO_LEASE: number = 2 ** 32;

/** A step from one version of the schema to the next. */
interface Migration {
  readonly name: string;
  readonly sql: (database: Database) => string;
}

/** Milliseconds since the epoch in a form that old SQLite shells know, too. */
const NOW = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";
/** The largest whole number that drivers hand over. */
const LARGEST = Number.MAX_SAFE_INTEGER;
/** The last instant of JavaScript's calendar. */
const LAST_INSTANT = "8640000000000000";

/** The groups that a new row of the view goes to, if its queue is a topic's own. */
const GROUPS_OF_NEW = "topic = rtrim(NEW.queue, '@') AND NEW.queue = topic || '@' AND bound = 1";

/** The name of a new row that says none: its queue's, or its topic's. */
const NAME_OF_NEW = "substr(NEW.queue, 1, instr(NEW.queue || '@', '@') - 1)";

/** In order; a migration that was published is never changed. */
const MIGRATIONS: readonly Migration[] = [
  { name: "create jobs, queues, ids and leases", sql: first },
  { name: "create groups of topics", sql: second },
  { name: "create schedules", sql: third },
  { name: "keep a note with each schedule", sql: fourth },
  { name: "number raw entries", sql: fifth },
];

/** The newest schema that this version knows. */
export const SCHEMA_VERSION: number = MIGRATIONS.length;

/**
 * A cast keeps the bytes of a text as the file encodes it, which need not be UTF-8 if another program made the file.
 */
function payloadOf(database: Database): string {
  const encoding = textOf(database.prepare("PRAGMA encoding").get()?.encoding);
  return encoding === "UTF-8" ? `CAST(${whole("NEW.payload")} AS BLOB)` : "NEW.payload";
}

function first(database: Database): string {
  return `
CREATE TABLE relevo_entries (
  seq INTEGER PRIMARY KEY,
  queue TEXT NOT NULL,
  state INTEGER NOT NULL,
  priority INTEGER NOT NULL DEFAULT 0,
  time INTEGER NOT NULL,
  due INTEGER NOT NULL,
  lease INTEGER NOT NULL DEFAULT ${NO_LEASE},
  lost INTEGER NOT NULL DEFAULT 0,
  reset INTEGER NOT NULL DEFAULT 0,
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  reason TEXT,
  meta TEXT NOT NULL,
  payload
);
CREATE INDEX relevo_entries_order ON relevo_entries (queue, state, priority, time);
CREATE INDEX relevo_entries_id ON relevo_entries (queue, id);
CREATE TABLE relevo_queues (
  queue TEXT PRIMARY KEY,
  waiting INTEGER NOT NULL,
  delayed INTEGER NOT NULL,
  reserved INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  timeout INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE relevo_ids (
  queue TEXT NOT NULL,
  id TEXT NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (queue, id)
) WITHOUT ROWID;
CREATE INDEX relevo_ids_until ON relevo_ids (until);
CREATE TABLE relevo_leases (last INTEGER NOT NULL);
INSERT INTO relevo_leases VALUES (${NO_LEASE} + (abs(random() / 2) % 70368744177664));
CREATE VIEW relevo_jobs AS SELECT seq, queue,
  CASE state WHEN ${DELAYED} THEN CASE WHEN time <= ${NOW} THEN 'waiting' ELSE 'delayed' END
    WHEN ${RESERVED} THEN 'reserved' WHEN ${FAILED} THEN 'failed' WHEN ${TIMEOUT} THEN 'timeout' ELSE 'waiting' END AS channel,
  state, id, name, due, time, lost, reset, reason, meta, payload FROM relevo_entries;
CREATE TRIGGER relevo_jobs_insert INSTEAD OF INSERT ON relevo_jobs BEGIN
  SELECT RAISE(ABORT, 'relevo_jobs.queue must be a text') WHERE typeof(NEW.queue) <> 'text' OR NEW.queue = '';
  SELECT RAISE(ABORT, 'relevo_jobs.due must be milliseconds since the epoch') WHERE NEW.due IS NOT NULL
    AND typeof(NEW.due) NOT IN ('integer', 'real') AND (typeof(NEW.due) <> 'text' OR NEW.due = '' OR NEW.due GLOB '*[^0-9]*');
  INSERT INTO relevo_entries (queue, state, time, due, id, name, meta, payload)
    SELECT NEW.queue, CASE WHEN due > now THEN ${DELAYED} ELSE ${WAITING} END, due, due,
      coalesce(CAST(${whole("NEW.id")} AS TEXT), ''), coalesce(CAST(NEW.name AS TEXT), NEW.queue),
      coalesce(CAST(NEW.meta AS TEXT), ''), ${payloadOf(database)}
    FROM (SELECT ${NOW} AS now, min(max(CAST(coalesce(NEW.due, ${NOW}) AS INTEGER), 0), ${LAST_INSTANT}) AS due);
  UPDATE relevo_entries SET id = CAST(seq AS TEXT) WHERE seq = last_insert_rowid() AND id = '';
  INSERT INTO relevo_queues SELECT queue, state = ${WAITING}, state = ${DELAYED}, 0, 0, 0
    FROM relevo_entries WHERE seq = last_insert_rowid()
    ON CONFLICT (queue) DO UPDATE SET waiting = waiting + excluded.waiting, delayed = delayed + excluded.delayed;
END;
CREATE TRIGGER relevo_jobs_delete INSTEAD OF DELETE ON relevo_jobs BEGIN
  DELETE FROM relevo_entries WHERE seq = OLD.seq;
  UPDATE relevo_queues SET waiting = waiting - (OLD.state IN (${WAITING}, ${BACK})),
    delayed = delayed - (OLD.state = ${DELAYED}), reserved = reserved - (OLD.state = ${RESERVED}),
    failed = failed - (OLD.state = ${FAILED}), timeout = timeout - (OLD.state = ${TIMEOUT})
  WHERE queue = OLD.queue;
END;`;
}

/**
 * Groups: an entry that another program puts into a topic goes to each of them. Of a topic whose first group is being
 * bound, that group is the only one, and `bound` is 0 until all that waits was moved: until then the rest waits, too.
 */
function second(database: Database): string {
  const targets = `(SELECT topic || '@' || name AS queue FROM relevo_groups WHERE ${GROUPS_OF_NEW}
      UNION ALL SELECT NEW.queue WHERE NOT EXISTS (SELECT 1 FROM relevo_groups WHERE ${GROUPS_OF_NEW}))`;
  return `
CREATE TABLE relevo_groups (
  topic TEXT NOT NULL,
  name TEXT NOT NULL,
  bound INTEGER NOT NULL,
  PRIMARY KEY (topic, name)
) WITHOUT ROWID;
DROP TRIGGER relevo_jobs_insert;
CREATE TRIGGER relevo_jobs_insert INSTEAD OF INSERT ON relevo_jobs BEGIN
  SELECT RAISE(ABORT, 'relevo_jobs.queue must be a text') WHERE typeof(NEW.queue) <> 'text' OR NEW.queue = '';
  SELECT RAISE(ABORT, 'relevo_jobs.due must be milliseconds since the epoch') WHERE NEW.due IS NOT NULL
    AND typeof(NEW.due) NOT IN ('integer', 'real') AND (typeof(NEW.due) <> 'text' OR NEW.due = '' OR NEW.due GLOB '*[^0-9]*');
  INSERT INTO relevo_entries (queue, state, time, due, id, name, meta, payload)
    SELECT queue, CASE WHEN due > now THEN ${DELAYED} ELSE ${WAITING} END, due, due,
      coalesce(CAST(${whole("NEW.id")} AS TEXT), ''), coalesce(CAST(NEW.name AS TEXT), ${NAME_OF_NEW}),
      coalesce(CAST(NEW.meta AS TEXT), ''), ${payloadOf(database)}
    FROM (SELECT ${NOW} AS now, min(max(CAST(coalesce(NEW.due, ${NOW}) AS INTEGER), 0), ${LAST_INSTANT}) AS due), ${targets};
  INSERT INTO relevo_queues SELECT t.queue, state = ${WAITING}, state = ${DELAYED}, 0, 0, 0
    FROM relevo_entries, ${targets} AS t WHERE seq = last_insert_rowid()
    ON CONFLICT (queue) DO UPDATE SET waiting = waiting + excluded.waiting, delayed = delayed + excluded.delayed;
  UPDATE relevo_entries SET id = CAST(last_insert_rowid() AS TEXT) WHERE queue IN (SELECT queue FROM ${targets}) AND id = '';
END;`;
}

/** Recurring jobs: the job of each tick, and the next tick. */
function third(): string {
  return `
CREATE TABLE relevo_schedules (
  queue TEXT NOT NULL,
  key TEXT NOT NULL,
  tick INTEGER NOT NULL,
  paused INTEGER NOT NULL,
  text TEXT NOT NULL,
  payload BLOB NOT NULL,
  PRIMARY KEY (queue, key)
);
CREATE INDEX relevo_schedules_tick ON relevo_schedules (queue, paused, tick);`;
}

function fourth(): string {
  return "ALTER TABLE relevo_schedules ADD COLUMN note TEXT NOT NULL DEFAULT '';";
}

/**
 * Raw entries get numbers above all that there are, and above all that raw entries ever had: an id made of one must not
 * come again when its job is gone. Only raw entries count here, as a counter beside each push would cost more than it
 * gives.
 */
function fifth(database: Database): string {
  const bound = "g.topic = relevo_groups.topic AND g.bound = 1 AND g.name <= relevo_groups.name";
  const targets =
    `(SELECT topic || '@' || name AS queue, (SELECT count(*) FROM relevo_groups AS g WHERE ${bound}) AS number
      FROM relevo_groups WHERE ${GROUPS_OF_NEW}
      UNION ALL SELECT NEW.queue, 1 WHERE NOT EXISTS (SELECT 1 FROM relevo_groups WHERE ${GROUPS_OF_NEW}))`;
  return `
CREATE TABLE relevo_numbers (last INTEGER NOT NULL);
INSERT INTO relevo_numbers VALUES (0);
DROP TRIGGER relevo_jobs_insert;
CREATE TRIGGER relevo_jobs_insert INSTEAD OF INSERT ON relevo_jobs BEGIN
  SELECT RAISE(ABORT, 'relevo_jobs.queue must be a text') WHERE typeof(NEW.queue) <> 'text' OR NEW.queue = '';
  SELECT RAISE(ABORT, 'relevo_jobs.due must be milliseconds since the epoch') WHERE NEW.due IS NOT NULL
    AND typeof(NEW.due) NOT IN ('integer', 'real') AND (typeof(NEW.due) <> 'text' OR NEW.due = '' OR NEW.due GLOB '*[^0-9]*');
  UPDATE relevo_numbers SET last = max(last, (SELECT coalesce(max(seq), 0) FROM relevo_entries));
  INSERT INTO relevo_entries (seq, queue, state, time, due, id, name, meta, payload)
    SELECT last + number, queue, CASE WHEN due > now THEN ${DELAYED} ELSE ${WAITING} END, due, due,
      coalesce(nullif(CAST(${whole("NEW.id")} AS TEXT), ''), '#' || (last + 1)),
      coalesce(CAST(NEW.name AS TEXT), ${NAME_OF_NEW}), coalesce(CAST(NEW.meta AS TEXT), ''), ${
    payloadOf(database)
  }
    FROM relevo_numbers, ${targets},
      (SELECT ${NOW} AS now, min(max(CAST(coalesce(NEW.due, ${NOW}) AS INTEGER), ${NOW}), ${LAST_INSTANT}) AS due);
  INSERT INTO relevo_queues SELECT t.queue, state = ${WAITING}, state = ${DELAYED}, 0, 0, 0
    FROM relevo_entries, ${targets} AS t WHERE seq = last_insert_rowid()
    ON CONFLICT (queue) DO UPDATE SET waiting = waiting + excluded.waiting, delayed = delayed + excluded.delayed;
  UPDATE relevo_numbers SET last = last + (SELECT count(*) FROM ${targets});
END;`;
}

/**
 * A column of a listing, 0 where another program has put in a value that is no whole number of JavaScript's: the driver
 * throws for an integer beyond, and one such row would keep a whole queue from being read.
 */
export function safe(column: string): string {
  return `CASE WHEN ${column} BETWEEN ${-LARGEST} AND ${LARGEST} THEN ${column} ELSE 0 END AS ${column}`;
}

/** The payload of a row; an integer as its text, for the same reason. */
export const PAYLOAD =
  "CASE typeof(payload) WHEN 'integer' THEN CAST(payload AS TEXT) ELSE payload END AS payload";

/**
 * The bound of a statement's rows, given as a parameter. SQLite compiles a statement anew whenever a bare parameter of
 * LIMIT is bound, as the plan may depend on its value: that takes three times as long as to read a page of one job.
 */
export function limitOf(parameter: string): string {
  return `LIMIT ${parameter} + 0`;
}

/** JavaScript's drivers send every number as a real one; as a text, 7 is not to be 7.0. */
function whole(value: string): string {
  return `CASE WHEN typeof(${value}) = 'real' AND ${value} = CAST(${value} AS INTEGER) THEN CAST(${value} AS INTEGER) ELSE ${value} END`;
}

/** The version of a file's schema; 0 when it has none of our tables. */
export function versionOf(database: Database): number {
  const table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'relevo_schema'";
  if (database.prepare(table).get() === undefined) return 0;
  return integerOf(database.prepare("SELECT max(version) AS version FROM relevo_schema").get()?.version);
}

/**
 * Brings a file's schema up to this version, also where other processes try at the same time; on an up-to-date file it
 * only reads.
 *
 * @throws {TransportError} `TRANSPORT_INCOMPATIBLE` when a newer version made the schema.
 */
export function migrate(database: Database, file: string, now: number): void {
  if (isCurrent(database, file)) return;
  database.exec("BEGIN IMMEDIATE");
  try {
    if (!isCurrent(database, file)) runMigrations(database, file, now);
    database.exec("COMMIT");
  } catch (error) {
    rollback(database);
    throw error;
  }
}

function isCurrent(database: Database, file: string): boolean {
  const version = versionOf(database);
  if (version <= SCHEMA_VERSION) return version === SCHEMA_VERSION;
  const why = `its schema is of version ${version}, and this version of Relevo knows up to ${SCHEMA_VERSION}`;
  throw cannotUse(`'${file}'`, "TRANSPORT_INCOMPATIBLE", why);
}

function runMigrations(database: Database, file: string, now: number): void {
  const start = versionOf(database);
  if (start === 0) {
    database.exec(
      "CREATE TABLE relevo_schema (version INTEGER PRIMARY KEY, migration TEXT NOT NULL, applied INTEGER NOT NULL)",
    );
  }
  for (const [index, { name, sql }] of MIGRATIONS.entries()) {
    const version = index + 1;
    if (version <= start) continue;
    try {
      database.exec(sql(database));
      database.prepare("INSERT INTO relevo_schema VALUES (?, ?, ?)").run(version, name, now);
    } catch (error) {
      throw named(error, `migrating '${file}' from schema ${version - 1} to ${version} (${name})`);
    }
  }
}

/** Puts the action in front of an error's message; the rest of the error stays. */
function named(error: unknown, doing: string): unknown {
  if (error instanceof Error) error.message = `${doing}: ${error.message}`;
  return error;
}

/** Ends a transaction that failed; SQLite may have ended it by itself. */
export function rollback(database: Database): void {
  try {
    database.exec("ROLLBACK");
  } catch {
    // Nothing was open any more.
  }
}
