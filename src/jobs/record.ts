/**
 * The record of a job: from metadata text to the job that handlers, events and operators see, and back.
 *
 * @module
 */

import { isBackoff } from "./backoff.ts";
import { MAX_ERROR_TEXT, MAX_META, MAX_META_DEPTH } from "../defaults.ts";
import { errorOf } from "../errors.ts";
import { isObject } from "../kinds.ts";
import { jsonOf } from "../text.ts";
import type { Delivery, Entry } from "./exchange.ts";
import { type Death, type ErrorRecord, type Job, type Meta, RECORD_VERSION, type StoredJob } from "./job.ts";
import { byteLength, isId } from "../names.ts";

/** The metadata as text. */
export function writeMeta(meta: Meta): string {
  return JSON.stringify(meta);
}

/** The metadata of a text with headers, of which it has none. */
export function addHeaders(text: string, headers: Readonly<Record<string, string>>): string {
  // Laid behind the rest, which is a text already.
  const rest = text === "" ? `{"v":${RECORD_VERSION}` : text.slice(0, text.lastIndexOf("}"));
  return `${rest},"headers":${JSON.stringify(headers)}}`;
}

/** The last instant of JavaScript's calendar, in milliseconds since the epoch. */
const LAST_INSTANT = 8.64e15;

/** The largest count: far from where one more is no whole number, as a record that counts on must be read again. */
const MAX_COUNT = 2 ** 52;

/** Metadata of an entry that carries none: another program put it in. */
const RAW: Meta = { v: RECORD_VERSION };

/**
 * The metadata of a text. Of a newer format whose fields this version cannot read, only which format it is.
 *
 * Any program may have written it, so that it is bounded before it is looked at: a deep value could not be copied or
 * written again, as either takes a call of itself for each level.
 *
 * @throws {TypeError} when the text is no metadata.
 */
export function readMeta(text: string): Meta {
  if (text === "") return RAW;
  if (text.length * 3 > MAX_META && byteLength(text) > MAX_META) {
    throw wrongMeta(`longer than ${MAX_META} bytes`);
  }
  const meta = jsonOf(text);
  if (isRecord(meta)) {
    if (!isShallow(meta, MAX_META_DEPTH)) throw wrongMeta(`deeper than ${MAX_META_DEPTH} levels`);
    if (isSound(meta)) return meta;
    if (meta.v > RECORD_VERSION) return { v: meta.v };
  }
  throw wrongMeta("no record");
}

/**
 * As `readMeta`, but a text which comes again next is read once: the jobs of one bulk have theirs in common. Not one with
 * values inside values, which code of a program's might write into.
 */
export class MetaReader {
  /** Keeps the shape of these objects known while no worker runs, and the code that V8 made for it. */
  static readonly kept: object = new MetaReader();
  #last = "";
  #known: Meta = RAW;

  /** @throws {TypeError} when the text is no metadata. */
  read(text: string): Meta {
    if (text === this.#last) return this.#known;
    const meta = readMeta(text);
    if (isShallow(meta, 1)) {
      this.#last = text;
      this.#known = meta;
    }
    return meta;
  }
}

function wrongMeta(what: string): TypeError {
  return new TypeError(`the job's metadata is ${what}`);
}

/** Whether a value has at most so many levels. */
function isShallow(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (levels < 1) return false;
  if (!isObject(value)) return Object.values(value).every((part) => isShallow(part, levels - 1));
  // Without a list of its parts, as each delivery with a record is read.
  for (const name in value) if (!isShallow(value[name], levels - 1)) return false;
  return true;
}

/** Bytes of an error's message that are kept where all of it is too much. */
const SHORT_ERROR = 256;

/**
 * The metadata with less of the last error, for a store that does not take all of it: without the stack, then with the
 * beginning of the message, then without the error. Undefined when there is no error left.
 */
export function lessOf(text: string): string | undefined {
  const meta = jsonOf(text);
  if (!isRecord(meta)) return undefined;
  const { lastError, ...rest }: Meta = meta;
  if (lastError === undefined) return undefined;
  if (!isError(lastError)) return writeMeta(rest);
  const { stack, sealed, ...error }: ErrorRecord & { readonly sealed?: unknown } = lastError;
  // Encrypted text cannot be cut, only left out: the clear message says that it was encrypted.
  if (isObject(sealed)) {
    const less = "stack" in sealed ? { ...error, sealed: { ...sealed, stack: undefined } } : error;
    return writeMeta({ ...rest, lastError: less });
  }
  if (stack !== undefined) return writeMeta({ ...rest, lastError: error });
  const message = cut(error.message, SHORT_ERROR);
  if (message !== error.message) return writeMeta({ ...rest, lastError: { ...error, message } });
  return writeMeta(rest);
}

/**
 * The metadata of a dead job without all that other programs, and the job's dispatcher, said: the fields that a dead
 * job cannot do without.
 */
export function leastOf(text: string): string | undefined {
  const meta = jsonOf(text);
  if (!isRecord(meta)) return undefined;
  const { v, codec, version, createdAt, attempts, dead }: Meta = meta;
  const least = writeMeta({
    v,
    ...(codec === undefined ? {} : { codec }),
    ...(version === undefined ? {} : { version }),
    ...(createdAt === undefined ? {} : { createdAt }),
    ...(attempts === undefined ? {} : { attempts }),
    ...(dead === undefined ? {} : { dead }),
  });
  return least.length < text.length ? least : undefined;
}

function isRecord(value: unknown): value is { readonly v: number } {
  return isObject(value) && "v" in value && isWhole(value.v) && value.v >= RECORD_VERSION;
}

/** Whether values can be fields of a record: those that a schedule gives to each of its jobs. */
export function isPartOfRecord(part: object): boolean {
  return isShallow(part, MAX_META_DEPTH) && isSound({ v: RECORD_VERSION, ...part });
}

/** Whether a record can be used: the fields that decide a job's fate are of their types. */
function isSound(record: { readonly v: number }): record is Meta {
  const meta: Partial<Meta> = record;
  const { codec, version, attempts, lost, maxAttempts, timeout, createdAt, unknownSince, lastDelay } = meta;
  return (codec === undefined || typeof codec === "string") && isNumber(version) &&
    isCount(attempts) && isCount(lost) &&
    isNumber(maxAttempts) && isTime(timeout) && isInstant(createdAt) &&
    isInstant(unknownSince) && isTime(lastDelay);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/** As whatever may be given: no run counts it on. */
function isNumber(value: unknown): boolean {
  return value === undefined || (isWhole(value) && value >= 1);
}

function isCount(value: unknown): boolean {
  return value === undefined || (isWhole(value) && value >= 0 && value <= MAX_COUNT);
}

function isTime(value: unknown): boolean {
  return value === undefined || (Number.isFinite(value) && Number(value) >= 0);
}

function isInstant(value: unknown): boolean {
  return value === undefined || (typeof value === "number" && value >= 0 && value <= LAST_INSTANT);
}

/** The job of a delivery. */
export function jobOf(delivery: Delivery, meta: Meta): Job {
  return jobFrom(delivery, meta, delivery.due);
}

/** The job of an operator's entry; one whose metadata cannot be read shows the fields that the store itself knows. */
export function storedJobOf(entry: Entry): StoredJob {
  const { channel, size, payload, time } = entry;
  let meta = RAW;
  try {
    meta = readMeta(entry.meta);
  } catch {
    // An operator must be able to see, and so remove, even this one.
  }
  const due = channel === "waiting" || channel === "delayed" ? time : meta.createdAt ?? time;
  const job = jobFrom(entry, meta, due);
  const dead = isDeath(meta.dead) ? meta.dead : undefined;
  const updated = meta.updatedAt ?? dead?.at;
  return {
    ...job,
    channel,
    payload,
    size,
    updatedAt: updated !== undefined && isInstant(updated) ? updated : job.createdAt,
    ...(channel === "reserved" ? { leasedUntil: time } : {}),
    ...(channel === dead?.channel ? { dead: { ...dead } } : {}),
  };
}

/**
 * Any program may have written these, and a wrong one that decides nothing is shown as if it were not there. Fields that
 * most jobs lack are put in one by one: to spread an object without any costs as much as the rest of an event.
 */
function jobFrom(stored: Delivery | Entry, meta: Meta, due: number): Job {
  const { maxAttempts, timeout, backoff, lastError, tick } = meta;
  const schedule = scheduleOf(meta);
  const job: { -readonly [Field in keyof Job]: Job[Field] } = {
    id: stored.id,
    name: stored.name,
    queue: stored.queue,
    attempts: attemptsOf(stored, meta),
    lost: lostOf(stored, meta),
    createdAt: createdOf({ due }, meta),
    due,
    requestId: requestIdOf(stored, meta),
    headers: meta.headers === undefined ? {} : headersOf(meta.headers),
    codec: meta.codec ?? "json",
    version: meta.version ?? 1,
  };
  if (maxAttempts !== undefined) job.maxAttempts = maxAttempts;
  if (timeout !== undefined) job.timeout = timeout;
  if (schedule !== undefined) job.schedule = schedule;
  if (tick !== undefined && isInstant(tick)) job.tick = tick;
  // Copies, as a caller that gets this could change the record by which the run itself is judged.
  if (isBackoff(backoff)) job.backoff = { ...backoff };
  if (isError(lastError)) job.lastError = clearOf(lastError);
  return job;
}

/** The request id: the record's, or the job's own. */
export function requestIdOf({ id }: { readonly id: string }, { requestId }: Meta): string {
  return isId(requestId) ? requestId : id;
}

/** The key of the schedule that a job is of. */
export function scheduleOf({ schedule }: Meta): string | undefined {
  return typeof schedule === "string" ? schedule : undefined;
}

/** One header of a record. */
export function headerOf({ headers }: Meta, name: string): string | undefined {
  if (!isObject(headers) || !Object.hasOwn(headers, name)) return undefined;
  const value: unknown = headers[name];
  return typeof value === "string" ? value : undefined;
}

/** An error as it is shown without its keys: encrypted texts are no part of it. */
function clearOf(error: ErrorRecord & { readonly sealed?: unknown }): ErrorRecord {
  const { sealed: _, ...clear } = error;
  return clear;
}

/** A copy of those headers that are texts. */
function headersOf(headers: unknown): Record<string, string> {
  if (!isObject(headers)) return {};
  const copy: Record<string, unknown> = { ...headers };
  for (const name in copy) if (typeof copy[name] !== "string") delete copy[name];
  return copy as Record<string, string>;
}

function isError(value: unknown): value is ErrorRecord {
  if (!isObject(value)) return false;
  const { name, message, stack = "", code = "" }: Partial<Record<keyof ErrorRecord, unknown>> = value;
  return [name, message, stack, code].every((text) => typeof text === "string");
}

function isDeath(value: unknown): value is Death {
  if (!isObject(value)) return false;
  const { channel, reason, at, lost }: Partial<Record<keyof Death, unknown>> = value;
  return typeof channel === "string" && typeof reason === "string" && at !== undefined && isInstant(at) &&
    lost !== undefined && isCount(lost);
}

/**
 * When a job was dispatched: when it was due where its record does not say, as an instant that a record can hold, or the
 * next worker could not read the record that this one writes.
 */
export function createdOf({ due }: { readonly due: number }, { createdAt }: Meta): number {
  return createdAt ?? (due >= 0 ? Math.min(due, LAST_INSTANT) : 0);
}

/** Runs that counted so far; fewer than the largest count, so that a record which counts one more can be read. */
export function attemptsOf(stored: { readonly reset: boolean }, meta: Meta): number {
  return stored.reset ? 0 : Math.min(meta.attempts ?? 0, MAX_COUNT - 1);
}

/** Leases lost so far; at most the largest count, so that a record which says so can be read. */
export function lostOf(stored: { readonly lost: number }, meta: Meta): number {
  return Math.min(stored.lost + (meta.lost ?? 0), MAX_COUNT);
}

/** An error as text, cut to the length that a record may hold; one that cannot even be read is stored as such. */
export function errorRecordOf(thrown: unknown): ErrorRecord {
  try {
    return readError(errorOf(thrown));
  } catch {
    return { name: "Error", message: "an error that throws when it is read" };
  }
}

function readError(error: Error): ErrorRecord {
  const code: unknown = "code" in error ? error.code : undefined;
  return {
    name: cut(String(error.name), 256),
    message: cut(String(error.message), MAX_ERROR_TEXT),
    ...(typeof error.stack === "string" ? { stack: cut(error.stack, MAX_ERROR_TEXT) } : {}),
    ...(typeof code === "string" || typeof code === "number" ? { code: cut(String(code), 256) } : {}),
  };
}

/** The longest beginning of a text that takes at most so many UTF-8 bytes. */
function cut(text: string, bytes: number): string {
  if (text.length * 3 <= bytes || byteLength(text) <= bytes) return text.toWellFormed();
  const into = new Uint8Array(bytes);
  const { read } = new TextEncoder().encodeInto(text, into);
  return text.slice(0, read).toWellFormed();
}
