/**
 * The record of a job: from metadata text to what handlers, events and operators see, and back.
 *
 * @module
 */

import { MAX_ERROR_TEXT } from "./defaults.ts";
import { errorOf } from "./errors.ts";
import type { Delivery, Entry } from "./exchange.ts";
import { type ErrorRecord, type Job, type Meta, RECORD_VERSION, type StoredJob } from "./job.ts";
import { byteLength } from "./names.ts";

/** The metadata as text. */
export function writeMeta(meta: Meta): string {
  return JSON.stringify(meta);
}

/** Metadata of an entry that carries none: another program put it in. */
const RAW: Meta = { v: RECORD_VERSION };

/**
 * The metadata of a text. Of a newer format whose fields this version cannot read, only which format it is.
 *
 * @throws {TypeError} when the text is no metadata.
 */
export function readMeta(text: string): Meta {
  if (text === "") return RAW;
  const meta = parse(text);
  if (isRecord(meta)) {
    if (isSound(meta)) return meta;
    if (meta.v > RECORD_VERSION) return { v: meta.v };
  }
  throw new TypeError("the job's metadata is no record");
}

/** Bytes of an error's message that are kept where all of it is too much. */
const SHORT_ERROR = 256;

/**
 * The metadata with less of the last error, for a store that does not take all of it: without the stack, then with the
 * beginning of the message, then without the error. Undefined when there is no error left.
 */
export function lessOf(text: string): string | undefined {
  const meta = parse(text);
  if (!isRecord(meta)) return undefined;
  const { lastError, ...rest }: Meta = meta;
  if (!isObject(lastError)) return undefined;
  const { stack, ...error } = lastError;
  if (stack !== undefined) return writeMeta({ ...rest, lastError: error });
  const message = cut(String(error.message), SHORT_ERROR);
  if (message !== error.message) return writeMeta({ ...rest, lastError: { ...error, message } });
  return writeMeta(rest);
}

/** What JSON holds, if it is JSON: the error of a parser would repeat the text. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is { readonly v: number } {
  return typeof value === "object" && value !== null && "v" in value && Number.isInteger(value.v);
}

/** Whether a record can be used: the fields that decide a job's fate are what they should be. */
function isSound(record: { readonly v: number }): record is Meta {
  const meta: Partial<Meta> = record;
  const { codec, attempts, lost, maxAttempts, timeout, createdAt, unknownSince, lastDelay } = meta;
  return (codec === undefined || typeof codec === "string") && isCount(attempts) && isCount(lost) &&
    isCount(maxAttempts) && isCount(timeout) && isCount(createdAt) && isCount(unknownSince) &&
    isCount(lastDelay);
}

function isCount(value: unknown): boolean {
  return value === undefined || (typeof value === "number" && value >= 0);
}

/** The job of a delivery. */
export function jobOf(delivery: Delivery, meta: Meta): Job {
  return jobFrom(delivery, meta, delivery.due);
}

/** The job of an operator's entry; one whose metadata cannot be read shows what the store itself knows. */
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
  const { updatedAt, dead } = meta;
  const updated: unknown = updatedAt ?? (isObject(dead) ? dead.at : undefined);
  return {
    ...job,
    channel,
    payload,
    size,
    updatedAt: typeof updated === "number" ? updated : job.createdAt,
    ...(channel === "reserved" ? { leasedUntil: time } : {}),
    ...(isObject(dead) && channel === dead.channel ? { dead: { ...dead } } : {}),
  };
}

function jobFrom(stored: Delivery | Entry, meta: Meta, due: number): Job {
  const { maxAttempts, timeout, backoff, lastError } = meta;
  return {
    id: stored.id,
    name: stored.name,
    queue: stored.queue,
    attempts: attemptsOf(stored, meta),
    lost: lostOf(stored, meta),
    createdAt: meta.createdAt ?? due,
    due,
    // Any program may have written these, and a wrong one decides nothing: it is shown as if it were not there.
    requestId: typeof meta.requestId === "string" ? meta.requestId : stored.id,
    headers: isObject(meta.headers) ? structuredClone(meta.headers) : {},
    codec: meta.codec ?? "json",
    ...(maxAttempts === undefined ? {} : { maxAttempts }),
    ...(timeout === undefined ? {} : { timeout }),
    // Copies, as whoever gets this could change what the run itself is judged by.
    ...(isObject(backoff) ? { backoff: { ...backoff } } : {}),
    ...(isObject(lastError) ? { lastError: { ...lastError } } : {}),
  };
}

function isObject<Value>(value: Value): value is Value & object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Runs that counted so far. */
export function attemptsOf(stored: { readonly reset: boolean }, meta: Meta): number {
  return stored.reset ? 0 : meta.attempts ?? 0;
}

/** Leases lost so far. */
export function lostOf(stored: { readonly lost: number }, meta: Meta): number {
  return stored.lost + (meta.lost ?? 0);
}

/** An error as text, cut to what a record may hold; one that cannot even be read is stored as such. */
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
