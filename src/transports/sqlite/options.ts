/**
 * The options of `sqlite()`, and their checks.
 *
 * @module
 */

import { resolve } from "node:path";
import {
  checkBoolean,
  checkInteger,
  checkKnown,
  checkLabel,
  checkRuntime,
  checkWord,
  quote,
  wrongType,
} from "../../options.ts";
import { type Runtime, systemRuntime } from "../../runtime.ts";
import { type Database, fileOfOpen, isDatabase } from "./engine/driver.ts";

/** Options of {@linkcode sqlite}. Give `path` or `client`. */
export interface SqliteOptions {
  /** The database file, made when missing; its folder must be there. `:memory:` for one that ends with the process. */
  readonly path?: string | undefined;
  /**
   * A `DatabaseSync` that you already hold; it is never closed here. Of a file, the transport opens a connection of
   * its own to the same file, so that its work never joins a transaction of yours, and `transactions` takes yours.
   * Of a `:memory:` database there is only the one: calls wait while a transaction of yours is open on it.
   */
  readonly client?: Database | undefined;
  /**
   * Which failures a stored job survives. `full` (default): a power cut, at the price of one fsync a transaction. `normal`: a
   * killed process, but a power cut may take the newest transactions.
   */
  readonly durability?: "full" | "normal" | undefined;
  /**
   * Bytes that the database may grow to, in whole pages; then pushes are refused with `TransportFull`. Settlements
   * may go beyond by a sixteenth, or 256 KiB if that is more. Default: no limit.
   */
  readonly maxBytes?: number | undefined;
  /**
   * Milliseconds at most between two checks for other processes' jobs while a reserve call waits, where the system does
   * not notify of writes to the file; from 1 to 1,000. Default 25; for some seconds after others were at work as often
   * as every 2 ms. Where the system notifies, as all local disks do, a job is noticed at once, and checks are 250 ms
   * apart (or `probe`, if that is more). A job that this process stores wakes at once.
   */
  readonly probe?: number | undefined;
  /**
   * Whether a file that is not there is made, and tables are put into one that has none. Default true; false for a
   * program that only looks after jobs, as a path with a slip of the pen would be a new, empty store.
   */
  readonly create?: boolean | undefined;
  /** The transport's name in errors and reports. Default `sqlite`. */
  readonly name?: string | undefined;
  /** Clock, timer and die. Default: the real ones. Processes that share a file must share the wall clock. */
  readonly runtime?: Runtime | undefined;
}

/** Options without gaps. */
export interface Settings {
  readonly path: string;
  readonly client: Database | undefined;
  readonly durability: "full" | "normal";
  readonly maxBytes: number | undefined;
  readonly probe: number;
  readonly create: boolean;
  readonly name: string;
  readonly runtime: Runtime;
}

const ACTION = "use SQLite";
const KNOWN = ["path", "client", "durability", "maxBytes", "probe", "create", "name", "runtime"];
const PROBE = 25;
/** The least size that leaves room for the tables and a job. */
const LEAST_BYTES = 256 * 1024;

/** Fills the gaps; throws a `TypeError` or `RangeError` that says the fault. */
export function settingsOf(options: SqliteOptions): Settings {
  if (typeof options === "string") {
    throw new TypeError(
      `Cannot ${ACTION} as its options must be an object: current value is a string, write sqlite({ path: ${
        quote(options)
      } })`,
    );
  }
  checkKnown(ACTION, options, KNOWN);
  const {
    path,
    client,
    durability = "full",
    maxBytes,
    probe = PROBE,
    create = true,
    name = "sqlite",
    runtime = systemRuntime(),
  } = options;
  if ((path === undefined) === (client === undefined)) {
    throw new TypeError(`Cannot ${ACTION} as exactly one of 'path' and 'client' must be given`);
  }
  if (path !== undefined && (typeof path !== "string" || path === "" || path.includes("\0"))) {
    throw wrongType(ACTION, "'path'", "a non-empty string without NUL", path);
  }
  if (path?.startsWith("sqlite:")) {
    throw new TypeError(
      `Cannot ${ACTION} as 'path' must be a path: current value is a URL, leave 'sqlite:' out or give it to connect(url)`,
    );
  }
  if (client !== undefined && !isDatabase(client)) {
    throw wrongType(ACTION, "'client'", "a DatabaseSync of node:sqlite", client);
  }
  if (client !== undefined && fileOfOpen(client) === undefined) {
    throw new TypeError(
      `Cannot ${ACTION} as 'client' must be a connection that is open: this one was closed`,
    );
  }
  checkLabel(ACTION, "name", name);
  checkBoolean(ACTION, "create", create);
  checkRuntime(ACTION, runtime);
  return {
    path: path === undefined ? "" : absolute(path),
    client,
    durability: checkWord(ACTION, "durability", durability, ["full", "normal"]),
    maxBytes: maxBytes === undefined
      ? undefined
      : checkInteger(ACTION, "maxBytes", maxBytes, LEAST_BYTES, Number.MAX_SAFE_INTEGER),
    probe: checkInteger(ACTION, "probe", probe, 1, 1_000),
    create,
    name,
    runtime,
  };
}

/** A path that stays the same wherever the process goes later; SQLite's own names are no paths. */
function absolute(path: string): string {
  if (path === ":memory:" || path.startsWith("file:")) return path;
  try {
    return resolve(path);
  } catch {
    // Without the right to ask where it runs: the call that opens the file says so.
    return path;
  }
}
