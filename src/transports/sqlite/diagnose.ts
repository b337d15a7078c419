/**
 * Causes of lost or refused jobs of a SQLite file: its journal, its file system, and its room.
 *
 * @module
 */

import { platform } from "node:process";
import { danger, type Finding, room, unseen, warning, well } from "../../contract/diagnosis.ts";
import { integerOf, textOf } from "./engine/driver.ts";
import type { Session } from "./context.ts";
import { type Disk, diskOf, keptOf } from "./engine/space.ts";

/** The value of SQLite's `synchronous` for a commit that survives a power cut. */
const FULL = 2;
/** Bytes of a log that something keeps from being emptied. */
const LONG_LOG = 64 * 1024 * 1024;
/** Less than so many times the room that pushes leave free is little. */
const LITTLE = 4;

/** File systems as Linux numbers them, on which a file is not on a disk of this machine. */
const REMOTE: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB"],
  [0x517b, "SMB"],
  [0x01021997, "9P"],
  [0x00c36400, "Ceph"],
  [0x5346414f, "AFS"],
]);
/** The same, which end with the machine or with the container. */
const FLEETING: ReadonlyMap<number, string> = new Map([
  [0x01021994, "a file system in memory (tmpfs), which a restart of the machine empties"],
  [0x858458f6, "a file system in memory (ramfs), which a restart of the machine empties"],
  [0x794c7630, "a container's own layer (overlay), which goes with the container"],
]);

/** The findings; `file` is empty for a database in memory. */
export function findingsOf(
  session: Session,
  file: string,
  maxBytes: number | undefined,
): readonly Finding[] {
  const limit = maxBytes === undefined
    ? []
    : [room("space", "the limit of bytes ('maxBytes')", bytesOf(session), maxBytes, "raise 'maxBytes'")];
  if (file === "") {
    const says = "The database is in the memory of this process, and ends with it";
    return [warning("persistence", says, "Name a file for jobs that must outlive the process"), ...limit];
  }
  const disk = diskOf(file);
  return [journal(session), durability(session), fileSystem(disk), ...logOf(disk), space(disk), ...limit];
}

function bytesOf(session: Session): number {
  const one = (sql: string, column: string): number => integerOf(session.statement(sql).get()?.[column]);
  const pages = one("PRAGMA page_count", "page_count") - one("PRAGMA freelist_count", "freelist_count");
  return pages * one("PRAGMA page_size", "page_size");
}

function journal(session: Session): Finding {
  const mode = textOf(session.statement("PRAGMA journal_mode").get()?.journal_mode);
  if (mode === "wal") return well("journal", "The journal is a write-ahead log: readers stop no writer");
  const says = `The journal mode is '${mode}'`;
  const advice = "Look for what sets it: PRAGMA journal_mode = WAL";
  return mode === "off" || mode === "memory"
    ? danger("journal", `${says}: a process that is killed while it writes may spoil the file`, advice)
    : warning("journal", `${says}: readers and writers stop each other`, advice);
}

function durability(session: Session): Finding {
  if (integerOf(session.statement("PRAGMA synchronous").get()?.synchronous) >= FULL) {
    return well("durability", "A stored job survives a power cut");
  }
  return warning(
    "durability",
    "A stored job survives a killed process, and a power cut may take the newest",
    "Leave out 'durability: \"normal\"' where that matters",
  );
}

function fileSystem(disk: Disk | undefined): Finding {
  if (disk === undefined || platform !== "linux") {
    return unseen("file system", "Which file system the file is on", "Ask the system: df -T, or mount");
  }
  const remote = REMOTE.get(disk.type);
  if (remote !== undefined) {
    return danger(
      "file system",
      `The file is on a network file system (${remote}), where locks may not hold between machines`,
      "Put it on a disk of this machine, or use Redis or NATS between machines",
    );
  }
  const fleeting = FLEETING.get(disk.type);
  if (fleeting === undefined) return well("file system", "The file is on a disk of this machine");
  return warning("file system", `The file is on ${fleeting}`, "Put it on a disk, or on a volume, that stays");
}

function logOf(disk: Disk | undefined): readonly Finding[] {
  if (disk === undefined) return [];
  const says = `The log holds ${megabytes(disk.log)}`;
  if (disk.log < LONG_LOG) return [well("log", says)];
  const advice = "Look for a program that keeps a read transaction on the file open";
  return [warning("log", `${says}: some connection keeps it from being emptied`, advice)];
}

function space(disk: Disk | undefined): Finding {
  if (disk === undefined) {
    return unseen("disk", "How much of the disk is free", "Ask the system: df");
  }
  const kept = keptOf(disk);
  const says = `${megabytes(Math.max(0, disk.free))} of the disk are free`;
  if (disk.free >= kept * LITTLE) return well("disk", says);
  const advice = "Free space on the disk; what workers finish, and dead jobs that are removed, is used again";
  return disk.free < kept
    ? danger("disk", `${says}: new jobs are refused, as ${megabytes(kept)} are kept for jobs to end`, advice)
    : warning("disk", `${says}: below ${megabytes(kept)} new jobs are refused`, advice);
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1_048_576)} MiB`;
}
