/**
 * The part of `node:sqlite` that this adapter uses, and the types of its values. Whatever offers the same
 * (the built-in module of Node, Deno and Bun) will do as a client.
 *
 * @module
 */

/** The types of a parameter. */
export type Value = null | number | bigint | string | Uint8Array;

/** A row as the driver hands it over; another program may have put anything into it. */
export type Row = Readonly<Record<string, unknown>>;

/** A prepared statement. */
export interface Statement {
  /** Runs it; `changes` is how many rows it changed. */
  run(...values: Value[]): { readonly changes: number | bigint };
  /** The first row, or undefined when there is none. */
  get(...values: Value[]): Row | undefined;
  /** Every row, in order. */
  all(...values: Value[]): Row[];
}

/** A connection to a database, as `DatabaseSync` of `node:sqlite` is one. */
export interface Database {
  /** Runs statements one after another and gives back nothing; throws at the first that fails. */
  exec(sql: string): void;
  /** Compiles one statement, to be run any number of times with other values. */
  prepare(sql: string): Statement;
  /** Closes the connection; a transaction that is open on it is rolled back. */
  close(): void;
  /** Whether a transaction is open; absent before Node 22.16. */
  readonly isTransaction?: boolean;
}

const encoder = new TextEncoder();
/** Keeps a leading U+FEFF, which is a character of the text like any other. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A whole number; 0 for whatever is none. */
export function integerOf(value: unknown): number {
  if (typeof value === "number") return value;
  return typeof value === "bigint" ? Number(value) : 0;
}

/** A text that {@linkcode textValue} wrote; empty for NULL. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) return decoder.decode(value);
  return value === null || value === undefined ? "" : String(value);
}

/** Bytes; another program's text as UTF-8. */
export function bytesOf(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : encoder.encode(textOf(value));
}

/** A text as a parameter. Some drivers cut texts at a NUL when they read them, so that one with a NUL goes as bytes. */
export function textValue(text: string): string | Uint8Array {
  return text.includes("\0") ? encoder.encode(text) : text;
}

/** No bytes, in a buffer that has some. */
const NO_BYTES: Uint8Array = new Uint8Array(1).subarray(1);

/**
 * Bytes as a parameter. Node 22 and 23, and 24 and 25 in their first versions, bind NULL for no bytes whose buffer has
 * none either: those of an empty text, a copy, or any whose `buffer` was read.
 */
export function blobValue(bytes: Uint8Array): Uint8Array {
  return bytes.length === 0 ? NO_BYTES : bytes;
}

/** Whether something can be used as a database. */
export function isDatabase(value: unknown): value is Database {
  return typeof value === "object" && value !== null && "exec" in value && typeof value.exec === "function" &&
    "prepare" in value && typeof value.prepare === "function";
}

/** Whether a transaction is open on a connection. */
export function inTransaction(database: Database): boolean {
  if (typeof database.isTransaction === "boolean") return database.isTransaction;
  try {
    database.exec("BEGIN");
  } catch {
    return true;
  }
  database.exec("ROLLBACK");
  return false;
}

/** The absolute path of a connection's main file; empty when it has none. */
export function fileOf(database: Database): string {
  const rows = database.prepare("PRAGMA database_list").all();
  return textOf(rows.find((row) => row.name === "main")?.file);
}

/** The same, and undefined for a connection that was closed. */
export function fileOfOpen(database: Database): string | undefined {
  try {
    return fileOf(database);
  } catch {
    return undefined;
  }
}

const NUMBERED = /\?(\d+)/g;

/**
 * Compiles a statement in which a number (`?1`) names a value as often as it is needed, and may name none. They are
 * written as anonymous ones in the order of their places: `node:sqlite` binds numbered parameters by position only from
 * Node 22.20 and 24.7 and from Deno 2.7 on; before that it refuses them.
 */
export function prepareNumbered(database: Database, sql: string): Statement {
  const places = [...sql.matchAll(NUMBERED)].map(([, number]) => Number(number) - 1);
  if (places.length === 0) return database.prepare(sql);
  const statement = database.prepare(sql.replaceAll(NUMBERED, "?"));
  const placed = (values: readonly Value[]): Value[] => places.map((place) => values[place] ?? null);
  return {
    run: (...values) => statement.run(...placed(values)),
    get: (...values) => statement.get(...placed(values)),
    all: (...values) => statement.all(...placed(values)),
  };
}
