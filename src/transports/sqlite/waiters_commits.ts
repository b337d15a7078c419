/**
 * Commits of other processes, while reserve calls wait. The system notifies of writes to the log; SQLite's data version
 * says whether they were a commit of another connection. Behind the notifications stand checks of the version that
 * nothing asked for: some a second, and as often as without notifications where a commit was found that none told of.
 *
 * @module
 */

import type { Runtime } from "../../runtime.ts";
import type { Connection } from "./engine/connection.ts";
import type { Watch } from "./engine/log_watch.ts";

/** Finds commits of other processes. */
export interface ForeignCommits {
  /** Milliseconds from the last check to the next. */
  every(): number;
  /** Whether others committed since the check before. */
  check(): boolean;
  /** Whether the last check found another file than the one before. */
  readonly replaced: boolean;
  /** When others were last seen to commit, on the monotonic clock. */
  readonly busyAt: number;
  /** This connection writes to the log, if only perhaps. */
  wrote(): void;
  /** This connection committed a write: a notification will tell of it. */
  stored(): void;
  /** Ends the watching. */
  close(): void;
}

/** The needs of the finding. */
export interface ForeignCommitsOptions {
  readonly connection: Pick<Connection, "version" | "opened" | "file" | "probes" | "shared">;
  readonly runtime: Runtime;
  /** Milliseconds at most between two checks where the system does not notify. */
  readonly probe: number;
  readonly watch: Watch;
  /** Has a check made at once, and says whether it was: it is while a call waits. */
  readonly checkNow: () => boolean;
}

/** Milliseconds at least between two checks, and the part of the time since others were seen at work that they are. */
const FIRST_PROBE = 2;
const QUIET_PART = 1 / 250;
/** Milliseconds between two checks where no other process can be at work, as a wall clock may jump. */
const ALONE = 1_000;
/** Milliseconds between two checks where the system notifies, at most. */
const NOTIFIED = 250;
/** Milliseconds behind a notification in which a commit counts as one that it told of. */
const TOLD = 1_000;
/** Milliseconds, and checks, that a notification of a commit may be late: more, and none is counted on. */
const GRACE = 100;
const GRACE_CHECKS = 3;
/** Milliseconds without a call that waits after which the watching ends, as it costs each commit some microseconds. */
const LINGER = 1_000;

interface State extends ForeignCommitsOptions {
  seen: number;
  /** Another file stands at the path, or another call opened one since the check before. */
  replaced: boolean;
  /** Which opening of the file the last check saw. */
  openedBefore: number;
  busyAt: number;
  checkedAt: number;
  /** When a notification came that may be of a commit under way, from which the checks behind it are counted. */
  noticedAt: number;
  /** When the last notification came. */
  toldAt: number;
  /** A notification is being dealt with. */
  telling: boolean;
  /** This connection wrote since the last notification. */
  wrote: boolean;
  /** A commit of which no notification has told yet. */
  owed: { readonly since: number; checks: number } | undefined;
  /** The end of the watching. */
  unwatch: (() => void) | undefined;
  /** Which opening of the file is watched, or cannot be: each has a log of its own. */
  opened: number;
}

/** Begins with the version as it is; watches from the first check on. */
export function createForeignCommits(options: ForeignCommitsOptions): ForeignCommits {
  const now = options.runtime.monotonic();
  const state: State = {
    ...options,
    seen: options.connection.version(true),
    replaced: false,
    openedBefore: options.connection.opened(),
    busyAt: now,
    checkedAt: now,
    noticedAt: now,
    toldAt: now,
    telling: false,
    wrote: false,
    owed: undefined,
    unwatch: undefined,
    opened: 0,
  };
  return {
    every: () => every(state),
    check: () => check(state),
    get replaced() {
      return state.replaced;
    },
    get busyAt() {
      return state.busyAt;
    },
    wrote() {
      state.wrote = true;
    },
    stored: () => miss(state),
    close: () => unwatch(state),
  };
}

function every({ connection, runtime, probe, unwatch, owed, noticedAt, busyAt }: State): number {
  if (!connection.probes) return ALONE;
  const now = runtime.monotonic();
  if (unwatch === undefined || owed !== undefined) {
    return Math.min(probe, Math.max(FIRST_PROBE, (now - busyAt) * QUIET_PART));
  }
  // Twice as long each time: a log is written before its commit can be seen, which may take an fsync.
  return Math.min(Math.max(NOTIFIED, probe), Math.max(1, now - noticedAt));
}

function check(state: State): boolean {
  const { connection, runtime, probe, seen, telling } = state;
  const now = state.checkedAt = runtime.monotonic();
  // First: a commit in between would be told of by no notification.
  watchLog(state);
  doubt(state, now);
  try {
    // A notification says nothing of another file: a call that comes in time, or a check that nothing asked for, finds it.
    state.seen = connection.version(!telling);
  } catch {
    // The fault that keeps the database from being read is told to the call that comes next.
  }
  const { openedBefore } = state;
  state.openedBefore = connection.opened();
  // A new file may count from the number at which the old one was.
  state.replaced = state.seen < 0 || (openedBefore > 0 && openedBefore !== state.openedBefore);
  if (state.seen === seen && !state.replaced) return false;
  state.busyAt = now;
  state.noticedAt = now - probe;
  miss(state);
  return true;
}

function watchLog(state: State): void {
  const { connection, watch } = state;
  if (!connection.shared || connection.opened() === state.opened) return;
  unwatch(state);
  state.opened = connection.opened();
  // Commits before count as told.
  state.toldAt = state.checkedAt;
  state.wrote = false;
  state.unwatch = watch(`${connection.file()}-wal`, () => notified(state), () => unwatch(state));
}

function notified(state: State): void {
  const { runtime, probe, wrote, checkNow } = state;
  const now = state.toldAt = runtime.monotonic();
  state.owed = undefined;
  state.wrote = false;
  // A write of its own is a commit when its notification comes; one of others that was told with it is found by checks.
  state.noticedAt = wrote ? now - probe : now;
  state.telling = true;
  const waits = checkNow();
  state.telling = false;
  if (waits || now - state.checkedAt < LINGER) return;
  unwatch(state);
  state.opened = 0;
}

/** A notification is due, unless one came just now. */
function miss(state: State): void {
  const now = state.runtime.monotonic();
  if (state.unwatch !== undefined && now - state.toldAt > TOLD) state.owed ??= { since: now, checks: 0 };
}

/** Counts on no notification any more where one is overdue: some file systems have none. */
function doubt(state: State, now: number): void {
  const { owed } = state;
  if (owed === undefined || ++owed.checks < GRACE_CHECKS || now - owed.since < GRACE) return;
  unwatch(state);
}

function unwatch(state: State): void {
  state.owed = undefined;
  state.unwatch?.();
  state.unwatch = undefined;
}
