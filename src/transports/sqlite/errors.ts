/**
 * The meaning of SQLite's errors. Node and Bun say a result code; Deno says only a message.
 *
 * @module
 */

import { statSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf, RelevoError, TransportBusy, type TransportFault, TransportFull } from "../../errors.ts";
import { cannotUse } from "../../store/faults.ts";
import { permissionOf } from "../../permission.ts";

/** The cause that kept a statement from working. */
type Cause = "busy" | "full" | TransportFault;

const BY_CODE: Readonly<Record<number, Cause>> = {
  1: "TRANSPORT_INCOMPATIBLE",
  3: "TRANSPORT_READ_ONLY",
  5: "busy",
  6: "busy",
  8: "TRANSPORT_READ_ONLY",
  10: "TRANSPORT_UNAVAILABLE",
  11: "TRANSPORT_CORRUPT",
  13: "full",
  14: "TRANSPORT_UNAVAILABLE",
  15: "busy",
  17: "TRANSPORT_INCOMPATIBLE",
  19: "TRANSPORT_INCOMPATIBLE",
  26: "TRANSPORT_CORRUPT",
};

/** An index of shared memory that could not grow, and a file that was moved away while it was open. */
const SHM_SIZE = 10 | (19 << 8);
const MOVED = 8 | (4 << 8);

const BY_MESSAGE: readonly (readonly [RegExp, Cause])[] = [
  [/is locked|locking protocol|within a transaction/, "busy"],
  [/is full/, "full"],
  [/readonly/, "TRANSPORT_READ_ONLY"],
  [/malformed|not a database/, "TRANSPORT_CORRUPT"],
  // The last three: a connection that was handed over, and closed since, in the words of Node, Deno and Bun.
  [/unable to open|disk I\/O|is not open|is closed|closed database/, "TRANSPORT_UNAVAILABLE"],
  [/no such (table|column)|has no column/, "TRANSPORT_INCOMPATIBLE"],
];

const SAYS: Readonly<Record<TransportFault, string>> = {
  TRANSPORT_READ_ONLY: "it is read-only",
  TRANSPORT_FORBIDDEN: "it may not be opened or written",
  TRANSPORT_CORRUPT: "it is corrupt or no SQLite database",
  TRANSPORT_INCOMPATIBLE: "its tables are not those of this version",
  TRANSPORT_UNAVAILABLE: "it cannot be opened, read or written",
};

function causeOf(error: unknown): Cause | undefined {
  if (permissionOf(error) !== undefined) return "TRANSPORT_UNAVAILABLE";
  if (error instanceof TransportBusy) return "busy";
  if (!(error instanceof Error) || error instanceof RelevoError) return undefined;
  const message = BY_MESSAGE.find(([pattern]) => pattern.test(error.message))?.[1];
  if (!("errcode" in error) || typeof error.errcode !== "number") {
    return message ??
      ("code" in error && error.code === "ERR_SQLITE_ERROR" ? "TRANSPORT_INCOMPATIBLE" : undefined);
  }
  if (error.errcode === SHM_SIZE) return "full";
  if (error.errcode === MOVED) return "TRANSPORT_UNAVAILABLE";
  // Code 1 is any error in a statement; a transaction that another caller holds open on this connection is one of them.
  if (error.errcode === 1) return message ?? "TRANSPORT_INCOMPATIBLE";
  return BY_CODE[error.errcode & 0xff] ?? message;
}

/** Whether another holds a lock, so that the same may work a moment later. */
export function isBusy(error: unknown): boolean {
  return causeOf(error) === "busy";
}

/** Whether the file cannot grow. */
export function isFull(error: unknown): boolean {
  return causeOf(error) === "full";
}

/** Whether the connection is of no more use, and a new one may be. */
export function isLost(error: unknown): boolean {
  const cause = causeOf(error);
  return cause === "TRANSPORT_UNAVAILABLE" || cause === "TRANSPORT_CORRUPT";
}

/** The error that a caller sees; it names the file, never its contents. */
export function explain(error: unknown, file: string): unknown {
  if (error instanceof RelevoError) return error;
  const cause = causeOf(error);
  if (cause === undefined) return error;
  const options = { cause: error };
  if (cause === "busy") return new TransportBusy(`Cannot use '${file}' as others keep it locked`, options);
  if (cause === "full") {
    return new TransportFull(`Cannot store in '${file}' as its disk or its limit is full`, options);
  }
  const why = cause === "TRANSPORT_UNAVAILABLE" ? permissionOf(error) ?? misplaced(file) : undefined;
  return cannotUse(`'${file}'`, cause, `${why ?? SAYS[cause]}: ${messageOf(error)}`, error);
}

/**
 * The same for a transaction of the caller's. A busy one stays so: a transaction that has read before others
 * wrote can never write, and waiting would not help one that holds the lock for which the others wait.
 */
export function explainInside(error: unknown, file: string): unknown {
  if (!isBusy(error) || error instanceof RelevoError) return explain(error, file);
  return new TransportBusy(
    `Cannot write to '${file}' in this transaction as others wrote since it began, or are at it: ` +
      "roll it back, and begin it with BEGIN IMMEDIATE",
    { cause: error },
  );
}

/** A fact that SQLite does not tell: that the path leads to a folder, or through none. */
function misplaced(file: string): string | undefined {
  if (isFolder(file)) return "it is a folder";
  return isFolder(dirname(file)) === undefined ? "its folder is not there" : undefined;
}

/** Undefined: nothing is there. */
function isFolder(path: string): boolean | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory();
  } catch {
    // Something is there that we may not look at.
    return false;
  }
}
