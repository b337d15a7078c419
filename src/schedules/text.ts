/**
 * A schedule's text, as the core writes it: the recurrence, the job and its settings, and the fate of ticks
 * that were missed. Equal definitions make equal texts, so that putting one again changes nothing.
 *
 * @module
 */

import type { Meta } from "../jobs/job.ts";
import { RECORD_VERSION } from "../jobs/job.ts";
import { isPartOfRecord } from "../jobs/record.ts";
import { isObject } from "../kinds.ts";
import { quote } from "../options.ts";
import { jsonOf } from "../text.ts";

/** The policy for ticks that are found due together. */
export type Missed = "once" | "skip" | "all";

/** Whether a tick has a job while that of an earlier one is live. */
export type Overlap = "allow" | "skip";

/** A recurrence as it is written. */
export interface WrittenWhen {
  /** Which kind of recurrence reads the text. */
  readonly kind: string;
  /** The recurrence itself. */
  readonly text: string;
}

/** A schedule's definition. Instants and times are milliseconds. */
export interface Definite {
  readonly v: number;
  /** The job's name. */
  readonly name: string;
  readonly when: WrittenWhen;
  readonly missed: Missed;
  readonly overlap: Overlap;
  /** How much later than its tick a job may be due. */
  readonly jitter: number;
  readonly start?: number | undefined;
  readonly end?: number | undefined;
  /** Whose `sync` stored it. */
  readonly owner?: string | undefined;
  /** The caller named its queue: a definition that changes its own moves others only. */
  readonly placed?: boolean | undefined;
  /** The metadata of each of its jobs. */
  readonly meta: Readonly<Partial<Meta>>;
}

/** Milliseconds by which `skip` lets the newest tick be late. */
export const LATE: number = 60_000;

/** Ticks that `all` pushes at most of those that are found due together. */
export const MOST_MISSED: number = 100;

/** The text of a definition. */
export function writeText(
  { name, when, missed, overlap, jitter, start, end, owner, placed, meta }: Definite,
): string {
  return JSON.stringify({
    v: RECORD_VERSION,
    name,
    when: { kind: when.kind, text: when.text },
    missed,
    overlap,
    jitter,
    start,
    end,
    owner,
    placed: placed === true ? true : undefined,
    meta,
  });
}

/**
 * The definition of a text.
 *
 * @throws {TypeError} when it is none, or one of a newer version.
 */
export function readText(text: string): Definite {
  const read = jsonOf(text);
  if (isObject(read) && typeof read.v === "number" && read.v > RECORD_VERSION) {
    throw new TypeError(`a newer version of Relevo wrote it (format ${read.v})`);
  }
  if (!isObject(read) || !isDefinite(read)) throw new TypeError("its text is no schedule of Relevo's");
  return read;
}

/** The text without the parts that are compared apart: whether two schedules have the same ticks. */
export function sameTicks(one: Definite, other: Definite): boolean {
  return one.when.kind === other.when.kind && one.when.text === other.when.text &&
    one.start === other.start &&
    one.end === other.end;
}

function isDefinite(read: object): read is Definite {
  const { v, name, when, missed, overlap, jitter, start, end, owner, placed, meta }: Partial<Definite> = read;
  return typeof v === "number" && typeof name === "string" && name !== "" &&
    isObject(when) && typeof when.kind === "string" && typeof when.text === "string" &&
    (missed === "once" || missed === "skip" || missed === "all") &&
    (overlap === "allow" || overlap === "skip") &&
    isTime(jitter) && (start === undefined || isInstant(start)) && (end === undefined || isInstant(end)) &&
    (owner === undefined || typeof owner === "string") &&
    (placed === undefined || typeof placed === "boolean") &&
    isObject(meta) && isPartOfRecord(meta);
}

function isTime(value: unknown): boolean {
  return Number.isFinite(value) && Number(value) >= 0;
}

function isInstant(value: unknown): boolean {
  return typeof value === "number" && Math.abs(value) <= 8.64e15;
}

/** Why a schedule rests, as it stands in its note. */
export interface Rest {
  /** The program or person that paused it; absent where the call did not say. */
  readonly by?: string;
  /** Absent where the call did not say. */
  readonly reason?: string;
  /** When it was paused, in milliseconds since the epoch by the caller's clock; absent in another program's note. */
  readonly since?: number;
}

/** The note of a pause. */
export function writeNote({ by, reason, since }: Rest): string {
  return JSON.stringify({ by, reason, since });
}

/** The contents of a note; another program may have written anything. */
export function readNote(note: string): Rest {
  const read = jsonOf(note);
  if (!isObject(read)) return note === "" ? {} : { reason: quote(note) };
  const { by, reason, since } = read;
  return {
    ...(typeof by === "string" ? { by } : {}),
    ...(typeof reason === "string" ? { reason } : {}),
    ...(typeof since === "number" ? { since } : {}),
  };
}
