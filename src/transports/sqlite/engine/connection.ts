/**
 * The connection: opened by the first call that needs it and anew after it was lost, so that a wrong path is told by a
 * rejection, and mended by making it right.
 *
 * @module
 */

import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { TransportBusy } from "../../../errors.ts";
import { cannotUse } from "../../../store/faults.ts";
import { type Database, fileOf, integerOf, inTransaction, textOf } from "./driver.ts";
import type { Settings } from "../options.ts";
import { migrate, versionOf as schemaOf } from "../model/schema.ts";
import { createSession, type Session } from "../context.ts";
import { createSpace, type Space } from "./space.ts";

/** The way to the database. */
export interface Connection {
  /** The name in messages of the database. */
  readonly label: string;
  /** Whether other connections see it. */
  readonly shared: boolean;
  /**
   * Opens, brings the schema up to date, or throws SQLite's error; busy while a user's transaction is in the way.
   * Opens anew when another file stands where the open one stood: SQLite would go on with the one that was deleted, and
   * jobs that are stored there are lost.
   */
  session(): Session;
  /** Whether other connections can put something in. */
  readonly probes: boolean;
  /** The absolute path of the file that is open; empty for a database in memory. */
  file(): string;
  /** How often it was opened. */
  opened(): number;
  /**
   * A number that changes when others committed; the number before, where it cannot be told now. `anew`: also when
   * another file stands at the path.
   */
  version(anew: boolean): number;
  /** The room that is left. */
  readonly space: Space;
  /** Empties the log into the file, which gives a full disk its space back where that can be. */
  relieve(): void;
  /** Empties a log that has grown, where nothing else is to be done. */
  tidy(): void;
  /** Drops a connection that is of no more use. */
  drop(): void;
  close(): void;
}

/** Kibibytes of pages in memory: the hot ends of the indexes of a queue of a million. */
const CACHE = 16 * 1024;
/** Bytes to which the log is cut when it begins anew, and beyond which it is emptied where nothing is to be done. */
const LOG_BYTES = 4 * 1024 * 1024;
/** The version of a file that is not there any more: none that SQLite gives. */
const REPLACED = -1;

interface State {
  readonly settings: Settings;
  readonly path: string;
  /** The user's connection to a database in memory, to which there is no other. */
  readonly borrowed: Database | undefined;
  readonly shared: boolean;
  readonly label: string;
  readonly space: Space;
  session: Session | undefined;
  file: string;
  identity: Identity | undefined;
  version: number;
  opened: number;
}

/** Makes a connection; opens nothing yet. */
export function createConnection(settings: Settings): Connection {
  const state = begin(settings);
  const { label, shared, borrowed, space } = state;
  return {
    label,
    shared,
    probes: shared || borrowed !== undefined,
    session: () => sessionOf(state),
    file: () => state.file,
    opened: () => state.opened,
    version: (anew) => versionOf(state, anew),
    space,
    relieve: () => emptyLog(state),
    tidy() {
      const log = shared && state.session !== undefined
        ? statSync(`${state.file}-wal`, { throwIfNoEntry: false })
        : undefined;
      if (log !== undefined && log.size > LOG_BYTES) emptyLog(state);
    },
    drop: () => drop(state),
    close() {
      emptyLog(state);
      drop(state);
    },
  };
}

function begin(settings: Settings): State {
  const { client, runtime, maxBytes } = settings;
  const clientFile = client === undefined ? "" : fileOf(client);
  const path = clientFile === "" ? settings.path : clientFile;
  const borrowed = client !== undefined && clientFile === "" ? client : undefined;
  const label = path === "" ? ":memory:" : path;
  const state: State = {
    settings,
    path,
    borrowed,
    shared: borrowed === undefined && !isMemory(path),
    label,
    space: createSpace({ maxBytes, label, file: () => state.file, runtime }),
    session: undefined,
    file: "",
    identity: undefined,
    version: 0,
    opened: 0,
  };
  return state;
}

function sessionOf(state: State): Session {
  const { borrowed, label } = state;
  if (borrowed !== undefined && inTransaction(borrowed)) {
    throw new TransportBusy(
      "Cannot use the database as a transaction of its owner is open on the only connection to it",
    );
  }
  if (state.session !== undefined && isReplaced(state)) {
    drop(state);
    const why =
      "the file was moved or deleted while it was open: the next call opens what stands there now, or makes it anew";
    throw cannotUse(`'${label}'`, "TRANSPORT_UNAVAILABLE", why);
  }
  return state.session ??= open(state);
}

function open(state: State): Session {
  const { borrowed, path, label, shared, settings: { durability, runtime, create } } = state;
  const mayCreate = create || !shared;
  if (!mayCreate && isAbsent(path)) {
    throw cannotUse(`'${label}'`, "TRANSPORT_UNAVAILABLE", "there is no such file");
  }
  const database = borrowed ?? openFile(path);
  try {
    if (!mayCreate && schemaOf(database) === 0) {
      // The file is another program's, or is empty.
      const why = "it is no store of jobs: it has no table 'relevo_schema'";
      throw cannotUse(`'${label}'`, "TRANSPORT_INCOMPATIBLE", why);
    }
    if (borrowed === undefined) prepareFile(database, durability);
    migrate(database, label, Math.floor(runtime.now()));
    state.file = fileOf(database);
    state.identity = identityOf(state.file);
    state.opened++;
    return createSession(database, state.space);
  } catch (error) {
    if (borrowed === undefined) database.close();
    throw error;
  }
}

function versionOf(state: State, anew: boolean): number {
  const { session, borrowed, version } = state;
  if (session === undefined || (borrowed !== undefined && inTransaction(borrowed))) return version;
  // Waiting reserve calls shall ask, and so open the other file.
  if (anew && isReplaced(state)) return state.version = REPLACED;
  // On a connection of its own only others' commits count; on a borrowed one the owner's statements do.
  const sql = borrowed === undefined ? "PRAGMA data_version" : "SELECT total_changes() AS data_version";
  return state.version = integerOf(session.statement(sql).get()?.data_version);
}

function isReplaced({ shared, identity, file }: State): boolean {
  return shared && !isSame(identity, identityOf(file));
}

function emptyLog({ space, shared, session }: State): void {
  space.forget();
  try {
    if (shared) session?.database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch {
    // Others are at it, or there is no space: it is emptied another time.
  }
}

function drop(state: State): void {
  const dropped = state.session?.database;
  state.session = undefined;
  if (dropped === undefined || dropped === state.borrowed) return;
  try {
    dropped.close();
  } catch {
    // It was closed before.
  }
}

/** A file that no other connection can see. */
function isMemory(path: string): boolean {
  return path === "" || path === ":memory:" || /^file::memory:|^file:.*[?&]mode=memory\b/.test(path);
}

/** The identity of a file, as another may stand at the same path. */
interface Identity {
  readonly dev: number;
  readonly ino: number;
}

/** Undefined for a file that is not there, or must not be looked at. */
function identityOf(file: string): Identity | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function isSame(a: Identity | undefined, b: Identity | undefined): boolean {
  return a?.dev === b?.dev && a?.ino === b?.ino;
}

/** Whether there is no such file. One that may not be looked at is told by SQLite, and a `file:` URL is SQLite's own. */
function isAbsent(path: string): boolean {
  try {
    return !path.startsWith("file:") && statSync(path, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}

function openFile(path: string): Database {
  return new DatabaseSync(path);
}

function prepareFile(database: Database, durability: "full" | "normal"): void {
  // The driver is synchronous: to wait inside of it would stop every heartbeat of this process.
  database.exec("PRAGMA busy_timeout = 0");
  database.exec(`PRAGMA cache_size = -${CACHE}`);
  const mode = textOf(database.prepare("PRAGMA journal_mode").get()?.journal_mode);
  if (mode !== "wal" && mode !== "memory") database.prepare("PRAGMA journal_mode = WAL").get();
  database.exec(`PRAGMA synchronous = ${durability}`);
  // SQLite would keep the log at the greatest size that it ever had.
  database.prepare(`PRAGMA journal_size_limit = ${LOG_BYTES}`).get();
}
