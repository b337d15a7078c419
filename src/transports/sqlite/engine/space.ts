/**
 * Space: a store that is full must still let its jobs end, as nothing else makes it empty. So pushes stop short of the
 * limit, records of failed runs stop behind them, and a write that frees space, or takes none, is never refused.
 *
 * @module
 */

import { statfsSync, statSync } from "node:fs";
import { TransportFull } from "../../../errors.ts";
import type { Runtime } from "../../../runtime.ts";
import { integerOf, type Statement } from "./driver.ts";

/** Whatever is asked for its pages: a session. */
interface Asked {
  statement(sql: string): Statement;
}

/** Says how much may still be written. */
export interface Space {
  /** Throws where pushes have taken all that they may: before one, as it would take more, and behind it. */
  checkPush(session: Asked): void;
  /** Notes the bytes that a transaction is about to write: the disk does not know of it before it commits. */
  spend(bytes: number): void;
  /** Whether a record of so many bytes may be written; one that may counts as being so. */
  hasRoom(session: Asked, bytes: number): boolean;
  /**
   * Keeps the file from growing by more than some pages where the disk has next to nothing left: a page that is in the
   * log and finds no place in the file would keep the log from ever being emptied. A write that needs such a page is
   * refused, and one that frees pages goes on. A job that changes its state may need a new page of an index.
   */
  cap(session: Asked): void;
  /** How many of so many rows one transaction may change: fewer where the log has little space left. */
  rows(most: number): number;
  /** A transaction of few rows found no space: the next ones change fewer; false where they change one alone. */
  narrow(): boolean;
  /** A transaction was committed: the next ones may change more rows again. */
  widen(): void;
  /** Whether the disk has little left: from then on the log must stay small, as emptying it takes space, too. */
  isTight(): boolean;
  /** A transaction has ended, or the log was emptied: the disk is asked anew. */
  forget(): void;
}

interface SpaceOptions {
  readonly maxBytes: number | undefined;
  /** The name in messages of the database. */
  readonly label: string;
  /** The file whose disk counts; empty for none. */
  readonly file: () => string;
  readonly runtime: Runtime;
}

/** Pages beyond the limit for the records of failed runs: at least, and as a part of the limit. */
const SPARE_PAGES = 64;
const SPARE_PART = 16;
/** Bytes of a record that says little more than how often its job ran: such have as much room again. */
const SMALL = 512;
/** Bytes of the disk that pushes leave free: as a part of the disk, and at most. */
const DISK_PART = 8;
const DISK_MOST = 16 * 1024 * 1024;
/**
 * With less than so many times the reserve the log is emptied behind each transaction: new pages in it need
 * space in the file, and a transaction that fills the disk before that is so would keep it from ever being emptied.
 */
const TIGHT = 4;
/** With less than this part of the reserve the file grows by no more than a part of what is left. */
const CAPPED = 0.5;
const GROWTH_PART = 0.125;
/**
 * Pages that a record changes beside those that it fills: of its row, of the places in the indexes that it leaves and
 * gets.
 */
const CHANGED = 4;
/** Bytes of a page, which the least change writes. */
const PAGE = 4096;
/** The part of the reserve that the log needs, though the file has free pages. */
const LOG_PART = 0.3;
/** Parts of it that records must leave, and small ones. */
const RECORD_PART = 0.7;
const SMALL_PART = 0.55;
/** Bytes of the log that a row which changes may take: of a large record all pages are written anew. */
const ROW = 32 * 1024;
/** The part of the rows that is left to the next transactions after one that found no space. */
const NARROWER = 0.25;
/** Rows that one transaction changes at most. */
const MOST_ROWS = 10_000;
/** Milliseconds for which the disk is not asked again. */
const FRESH = 10;
/**
 * A disk with so many times what is kept is not asked for that time also where transactions end: what this process writes
 * meanwhile is added up, and to ask took a twelfth of a lone push.
 */
const ROOMY = 16;

const USED = "SELECT page_count - freelist_count AS pages FROM pragma_page_count, pragma_freelist_count";
const PAGE_SIZE = "PRAGMA page_size";
const FREE = "PRAGMA freelist_count";
const PAGES = "PRAGMA page_count";
/** The most pages that SQLite knows. */
const NO_CAP = 4_294_967_294;

/** How much of a disk is left. */
interface Left {
  /** Bytes, as of this moment; without end where nothing is known of the disk. */
  bytes(): number;
  /** How much of the reserve on the disk is still there: 1 and more where all of it is. */
  ofDisk(): number;
  /** The same with free pages of the file, which serve as well but for the log: that needs a part of the disk. */
  ofAll(session: Asked): number;
  spend(bytes: number): void;
  forget(): void;
}

function createLeft(file: () => string, runtime: Runtime): Left {
  let asked = -Infinity;
  let free = Infinity;
  let kept = 0;
  let spent = 0;

  function look(): void {
    const now = runtime.monotonic();
    if (now - asked < FRESH) return;
    asked = now;
    ({ free, kept } = roomOf(diskOf(file())));
  }

  return {
    bytes() {
      look();
      return free;
    },
    ofDisk() {
      look();
      return free / kept;
    },
    ofAll(session) {
      look();
      if (free === Infinity) return Infinity;
      // All that is asked for is there without them: to count them took an eighth of a push.
      if (free - 2 * spent >= kept) return (free - 2 * spent) / kept;
      const pages = integerOf(session.statement(FREE).get()?.freelist_count);
      const inside = pages * integerOf(session.statement(PAGE_SIZE).get()?.page_size);
      // Twice: it is written to the log, and, while it is still there, to the file.
      return free - spent < kept * LOG_PART ? 0 : (free + inside - 2 * spent) / kept;
    },
    spend(bytes) {
      spent += bytes;
    },
    forget() {
      if ((free - 2 * spent) / kept >= ROOMY && runtime.monotonic() - asked < FRESH) return;
      asked = -Infinity;
      spent = 0;
    },
  };
}

/** Makes it for one database. */
export function createSpace({ maxBytes, label, file, runtime }: SpaceOptions): Space {
  const left = createLeft(file, runtime);
  /** The part of the rows that transactions change, after one that found no space. */
  let part = 1;
  const caps = new WeakSet<Asked>();

  return {
    checkPush(session) {
      if (maxBytes !== undefined && pagesOver(session, maxBytes) > 0) {
        throw new TransportFull(
          `Cannot store in '${label}' as it is at its limit of ${maxBytes} bytes ('maxBytes')`,
        );
      }
      // As SQLite itself would say it, so that the log is emptied into the file before a caller hears of it.
      if (left.ofAll(session) < 1) {
        throw new Error("database or disk is full, but for what is kept for jobs to end");
      }
    },
    spend: left.spend,
    hasRoom(session, bytes) {
      const small = bytes <= SMALL;
      if (maxBytes !== undefined && pagesOver(session, maxBytes) >= (small ? 2 : 1)) return false;
      if (left.ofAll(session) < (small ? SMALL_PART : RECORD_PART)) return false;
      left.spend(bytes + CHANGED * PAGE);
      return true;
    },
    cap(session) {
      const capped = left.ofDisk() < CAPPED;
      if (!capped && !caps.has(session)) return;
      if (capped) caps.add(session);
      else caps.delete(session);
      setCap(session, capped ? Math.max(0, Math.floor(left.bytes() * GROWTH_PART / PAGE)) : Infinity);
    },
    rows: (most) => Math.max(1, Math.floor(Math.min(most, left.bytes() / ROW) * part)),
    narrow() {
      if (part * MOST_ROWS < 1) return false;
      part *= NARROWER;
      return true;
    },
    widen() {
      part = Math.min(1, part / NARROWER);
    },
    isTight: () => left.ofDisk() < TIGHT,
    forget: left.forget,
  };
}

/** Pages beyond a limit in bytes, as a part of those that are spare. */
function pagesOver(session: Asked, limit: number): number {
  const pages = Math.floor(limit / integerOf(session.statement(PAGE_SIZE).get()?.page_size));
  const spare = Math.max(SPARE_PAGES, Math.ceil(pages / SPARE_PART));
  return (integerOf(session.statement(USED).get()?.pages) - pages) / spare;
}

/** Lets the file grow by so many pages. */
function setCap(session: Asked, growth: number): void {
  const most = growth === Infinity ? NO_CAP : integerOf(session.statement(PAGES).get()?.page_count) + growth;
  session.statement(`PRAGMA max_page_count = ${most}`).get();
}

/** A disk, in bytes. */
export interface Disk {
  /** Bytes that may still be written, less those that the log may take in the file before it gives it back. */
  readonly free: number;
  readonly size: number;
  /** Which file system it has, as its number in the system. */
  readonly type: number;
  /** The log. */
  readonly log: number;
}

/** What may be written to a disk, and how much of it pushes leave free; without end where nothing is known of it. */
function roomOf(disk: Disk | undefined): { readonly free: number; readonly kept: number } {
  return disk === undefined ? { free: Infinity, kept: 1 } : { free: disk.free, kept: keptOf(disk) };
}

/** Bytes of a disk that pushes leave free. */
export function keptOf({ size }: Disk): number {
  return Math.max(1, Math.min(DISK_MOST, size / DISK_PART));
}

/** The disk of a file; undefined for no file, and where the system does not say. */
export function diskOf(file: string): Disk | undefined {
  if (file === "") return undefined;
  try {
    const { bavail, blocks, bsize, type } = statfsSync(file);
    const log = statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    return blocks > 0 ? { free: bavail * bsize - log, size: blocks * bsize, type, log } : undefined;
  } catch {
    return undefined;
  }
}
