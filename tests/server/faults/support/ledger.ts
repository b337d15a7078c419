/** Ledgers: what each process did, in a file of its own outside of the broker, so that a kill loses no line of it. */
import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  watch,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { type HistoryLine, readLedger } from "../../../../src/testing/mod.ts";
import { historyOf, type Reserved, type Written } from "../../../web/simulation/recorder.ts";

/** A ledger that is written to. */
export interface Ledger {
  /** Appends lines; they are on the disk when this returns. */
  write(lines: readonly Written[]): void;
  close(): void;
}

/** The clock that all processes of a machine share, finer than a millisecond. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

export function openLedger(folder: string, process: string): Ledger {
  const file = openSync(join(folder, `${process}.ledger`), "a");
  return {
    write(lines) {
      if (lines.length === 0) return;
      writeSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
      fsyncSync(file);
    },
    close: () => closeSync(file),
  };
}

/** What the ledgers of a folder say together. */
export interface Record {
  readonly history: readonly HistoryLine[];
  readonly reserved: readonly Reserved[];
}

/** Reads all ledgers of a folder, or that of one process. */
export function readLedgers(folder: string, process?: string): Record {
  const names = readdirSync(folder).filter((name) => name.endsWith(".ledger"));
  const wanted = process === undefined ? names.sort() : names.filter((name) => name === `${process}.ledger`);
  const written: readonly Written[] = wanted.flatMap((name) =>
    readLedger(readFileSync(join(folder, name), "utf8"))
  );
  return {
    history: historyOf(written),
    reserved: written.filter((line): line is Reserved => line.op === "reserve"),
  };
}

/** Jobs that a process had in hand when its ledger ended: reserved, and not known to be settled. */
export function inHand(folder: string, process: string): number {
  const { history, reserved } = readLedgers(folder, process);
  const tokens = new Set(reserved.flatMap(({ tokens }) => tokens));
  for (const line of history) {
    if (line.op === "settle" && (line.outcome ?? "ok") === "ok") tokens.delete(line.token);
  }
  return tokens.size;
}

/** Dispatches that a process had begun and that were not answered when its ledger ended. */
export function unanswered(folder: string, process: string): number {
  return readLedgers(folder, process).history.filter(({ op, outcome }) =>
    op === "dispatch" && outcome === "unknown"
  )
    .length;
}

/** How often each job's handler began, and how often it came to its end. */
export interface Runs {
  readonly starts: ReadonlyMap<string, number>;
  readonly ends: ReadonlyMap<string, number>;
  /** Starts beyond the first of each job. */
  readonly repeated: number;
}

export function runsOf(history: readonly HistoryLine[]): Runs {
  const starts = new Map<string, number>();
  const ends = new Map<string, number>();
  for (const line of history) {
    if (line.op === "start") starts.set(line.id, (starts.get(line.id) ?? 0) + 1);
    if (line.op === "end") ends.set(line.id, (ends.get(line.id) ?? 0) + 1);
  }
  const repeated = [...starts.values()].reduce((sum, count) => sum + count - 1, 0);
  return { starts, ends, repeated };
}

/**
 * Whether the machine kept a lease of so many milliseconds from being extended in time, so that its loss would be no fault
 * of ours; leases of processes that were kept from it on purpose are left `apart`.
 */
export function disturbed(
  history: readonly HistoryLine[],
  lease: number,
  apart: readonly string[] = [],
): boolean {
  const granted = new Map<string, number>();
  return history.some((line) => {
    if (apart.includes(line.process ?? "")) return false;
    if (line.op === "start") granted.set(line.token, line.until - lease);
    if (line.op !== "extend") return false;
    const before = granted.get(line.token) ?? line.at;
    granted.set(line.token, line.from ?? line.at);
    return line.at - before > lease;
  });
}

/** Handlers of living processes that had begun at an instant, and whose jobs were not being settled by then. */
export function handsAt(history: readonly HistoryLine[], at: number): number {
  const alive = new Set(history.filter((line) => line.at > at).map(({ process }) => process));
  const tokens = new Set<string>();
  for (const line of history) {
    if (line.op === "start" && line.at <= at && alive.has(line.process)) tokens.add(line.token);
  }
  for (const line of history) {
    if (line.op === "settle" && (line.outcome ?? "ok") === "ok" && (line.from ?? line.at) <= at) {
      tokens.delete(line.token);
    }
  }
  return tokens.size;
}

/**
 * Milliseconds from an instant until the store answered a settlement or a dispatch that was sent after it: the first
 * that did to any process, and the longest that one of those had to wait that were there before and after.
 */
export function recovery(
  history: readonly HistoryLine[],
  at: number,
): { readonly first: number; readonly last: number } {
  const answered = new Map<string, number>();
  const before = new Set<string>();
  for (const line of history) {
    if (line.process === undefined || (line.op !== "settle" && line.op !== "dispatch")) continue;
    if ((line.outcome ?? "ok") !== "ok") continue;
    if (line.at < at) before.add(line.process);
    else if ((line.from ?? line.at) >= at) {
      answered.set(line.process, Math.min(answered.get(line.process) ?? Infinity, line.at - at));
    }
  }
  const waits = [...answered].filter(([process]) => before.has(process)).map(([, wait]) => wait);
  return { first: Math.min(...waits), last: Math.max(...waits) };
}

/** Counts the handlers that came to an end, as the ledgers of a folder grow. */
function followEnds(folder: string): () => number {
  const read = new Map<string, number>();
  const piece = new Uint8Array(1 << 20);
  let ends = 0;
  return () => {
    for (const name of readdirSync(folder).filter((name) => name.endsWith(".ledger"))) {
      const file = openSync(join(folder, name), "r");
      let place = read.get(name) ?? 0;
      for (;;) {
        const length = readSync(file, piece, 0, piece.length, place);
        // A line that is not whole yet is read again when it is.
        const whole = piece.subarray(0, length).lastIndexOf(10) + 1;
        if (whole === 0) break;
        ends += new TextDecoder().decode(piece.subarray(0, whole)).split('{"op":"end"').length - 1;
        place += whole;
      }
      read.set(name, place);
      closeSync(file);
    }
    return ends;
  };
}

/** Waits until the ledgers of a folder tell of so many handlers that ended: each line that is written to one wakes this. */
export async function ended(folder: string, count: number): Promise<void> {
  const ends = followEnds(folder);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let looking = false;
  const look = (): void => {
    looking = false;
    try {
      if (ends() >= count) resolve();
    } catch (error) {
      reject(error);
    }
  };
  const watcher = watch(folder, () => {
    // Many lines are written in one turn: they are read at once.
    if (!looking) setImmediate(look);
    looking = true;
  });
  watcher.on("error", reject);
  look();
  await promise.finally(() => watcher.close());
}

/** The jobs that were acknowledged to those who dispatched them. */
export function acknowledged(history: readonly HistoryLine[]): ReadonlySet<string> {
  const lines = history.filter((line) => line.op === "dispatch" && (line.outcome ?? "ok") === "ok");
  return new Set(lines.map((line) => line.op === "dispatch" ? line.id : ""));
}

/** The jobs of which a lease was kept up only when it was over, by the clock of the worker that held it. */
export function keptUpLate(history: readonly HistoryLine[]): ReadonlySet<string> {
  const ends = new Map<string, number>();
  const late = new Set<string>();
  for (const line of history) {
    if (line.op === "start") ends.set(line.token, line.until);
    if (line.op !== "extend") continue;
    if ((line.from ?? line.at) > (ends.get(line.token) ?? Infinity)) late.add(line.id);
    if (line.state === "held" && (line.outcome ?? "ok") === "ok") ends.set(line.token, line.until);
  }
  return late;
}

/** The jobs that something happened to between two instants, and those that a handler had at the first. */
export function touched(history: readonly HistoryLine[], from: number, to: number): ReadonlySet<string> {
  const ids = new Set<string>();
  const held = new Map<string, string>();
  for (const line of history) {
    if (!("id" in line)) continue;
    if (line.at >= from && (line.from ?? line.at) <= to) ids.add(line.id);
    if (line.op === "start" && line.at < from) held.set(line.token, line.id);
  }
  for (const line of history) {
    if (line.op === "settle" && (line.outcome ?? "ok") === "ok" && line.at < from) held.delete(line.token);
  }
  return new Set([...ids, ...held.values()]);
}
