/**
 * How a job is written as a message: the body is exactly the payload, and one header line holds the rest,
 * `Relevo: ["<id>","<name>","<meta>",{...}]`. A message without it is another program's: named after its queue, with
 * its number in the stream as its id. Every field may be another program's, so that each is accepted only if it is of
 * its type.
 *
 * @module
 */

import { jsonOf } from "../../../text.ts";
import type { NatsMessage } from "../client/connection.ts";
import { rawId } from "./subjects.ts";

/** The header line that is ours. */
export const HEADER = "Relevo";
/** Makes a message one of a kind within the stream's window. */
export const MESSAGE_ID = "Nats-Msg-Id";

/** A header line with its end. No value of ours has a line break: texts of callers are JSON. */
export function line(name: string, value: string | number): string {
  return `${name}: ${value}\r\n`;
}

/**
 * The facts about a job beside its id, its name and the core's metadata; each is absent where it would be 0 or false.
 */
export interface Marks {
  /** Leases that ran out. */
  readonly lost?: number | undefined;
  /** It lost a lease before it was settled to run again: {@linkcode isFrail}. */
  readonly frail?: boolean | undefined;
  /** Reloaded for a full life. */
  readonly reset?: boolean | undefined;
  /** When it may, or could, run first; milliseconds since the epoch. */
  readonly due?: number | undefined;
  /** It has an id that a caller chose: until when the id is taken anyway. */
  readonly until?: number | undefined;
  /** It is a group's copy, and its id a caller's: until when its topic keeps the id taken. */
  readonly window?: number | undefined;
  /** Why it is dead. */
  readonly reason?: string | undefined;
  /** When it died. */
  readonly died?: number | undefined;
  /** It was dead: the number of the dead message, which the reload that stored this one has yet to remove. */
  readonly dead?: number | undefined;
}

/** A job as a message tells it. */
export interface JobRecord {
  readonly id: string;
  readonly name: string;
  readonly meta: string;
  readonly marks: Marks;
}

/** The marks of most jobs. */
const NONE: Marks = {};

/** Whether a job lost a lease before, so that each hand-over of it is written down. */
export function isFrail({ marks: { lost = 0, frail = false } }: JobRecord): boolean {
  return lost > 0 || frail;
}

/** The header's text. */
export function pack({ id, name, meta, marks }: JobRecord): string {
  const bare = Object.values(marks).every((mark) => mark === undefined);
  return JSON.stringify(bare ? [id, name, meta] : [id, name, meta, marks]);
}

/** Reads a message of ours, or another program's. */
export function unpack(header: string, rawName: string, seq: number): JobRecord {
  const parts = header === "" ? undefined : jsonOf(header);
  if (!Array.isArray(parts)) return { id: rawId(seq), name: rawName, meta: "", marks: NONE };
  const [id, name, meta, marks] = parts;
  return {
    id: typeof id === "string" && id !== "" ? id : rawId(seq),
    name: typeof name === "string" ? name : rawName,
    meta: typeof meta === "string" ? meta : "",
    marks: typeof marks === "object" && marks !== null ? marksOf(marks as Record<string, unknown>) : NONE,
  };
}

/** A value that is no mark is left out: a count of losses that is a text would never end. */
function marksOf(
  { lost, frail, reset, due, until, window, reason, died, dead }: Record<string, unknown>,
): Marks {
  const marks: { -readonly [K in keyof Marks]: Marks[K] } = {};
  if (Number.isSafeInteger(lost) && (lost as number) > 0) marks.lost = lost as number;
  if (frail === true) marks.frail = true;
  if (reset === true) marks.reset = true;
  if (isInstant(due)) marks.due = due;
  if (isInstant(until)) marks.until = until;
  if (isInstant(window)) marks.window = window;
  if (typeof reason === "string") marks.reason = reason;
  if (isInstant(died)) marks.died = died;
  if (Number.isSafeInteger(dead)) marks.dead = dead as number;
  return marks;
}

/** Whether a value is an instant that a date can be. */
export function isInstant(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= 8.64e15;
}

/** The facts in the reply subject of a delivered message. */
export interface Delivered {
  /** How often it was delivered. */
  readonly count: number;
  /** Its number in the stream. */
  readonly seq: number;
  /** When it was stored, in milliseconds since the epoch by the server's clock. */
  readonly time: number;
  /** Messages that its consumer has not delivered yet. */
  readonly pending: number;
}

/** Tokens of the shorter of the two forms below. */
const SHORT = 9;
const ZERO = 48;
/** Digits by which a time is finer than milliseconds. */
const FINER = 6;

/**
 * Reads `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<count>.<seq>.<delivery>.<time>.<pending>`; of the longer
 * form another token may follow. It is read where it lies, as this is done for each job.
 */
export function deliveredOf(reply: string): Delivered {
  let tokens = 1;
  for (let dot = reply.indexOf("."); dot >= 0; dot = reply.indexOf(".", dot + 1)) tokens++;
  let start = 0;
  for (let before = tokens === SHORT ? 4 : 6; before > 0; before--) start = reply.indexOf(".", start) + 1;
  const counted = endOf(reply, start);
  const numbered = endOf(reply, counted + 1);
  const ordered = endOf(reply, numbered + 1);
  const timed = endOf(reply, ordered + 1);
  return {
    count: numberIn(reply, start, counted),
    seq: numberIn(reply, counted + 1, numbered),
    time: numberIn(reply, ordered + 1, timed - FINER),
    pending: numberIn(reply, timed + 1, endOf(reply, timed + 1)),
  };
}

/** The end of the token that begins there. */
function endOf(text: string, start: number): number {
  const dot = text.indexOf(".", start);
  return dot < 0 ? text.length : dot;
}

function numberIn(text: string, start: number, end: number): number {
  let number = 0;
  for (let i = start; i < end; i++) number = number * 10 + text.charCodeAt(i) - ZERO;
  return number;
}

/** A message that was asked for by its number or subject. */
export interface Stored extends JobRecord {
  readonly subject: string;
  readonly seq: number;
  /** Our header line as it is. */
  readonly header: string;
  /** The message id under which it was stored; empty when it had none. */
  readonly once: string;
  /** When it was stored. */
  readonly time: number;
  readonly payload: Uint8Array;
}

/** Reads the answer to a direct get; undefined when there is no such message. */
export function storedOf(message: NatsMessage, rawName: string): Stored | undefined {
  const { headers } = message;
  if (headers === undefined || headers.code !== 0) return undefined;
  const seq = Number(headers.get("Nats-Sequence"));
  const header = headers.get(HEADER);
  return {
    ...unpack(header, rawName, seq),
    header,
    once: headers.get(MESSAGE_ID),
    subject: headers.get("Nats-Subject"),
    seq,
    time: timeOf(headers.get("Nats-Time-Stamp")),
    payload: new Uint8Array(message.data),
  };
}

/** A message as the API tells it; bytes are in base64. */
export interface Kept {
  readonly subject: string;
  readonly seq: number;
  readonly time: string;
  readonly hdrs?: string;
  readonly data?: string;
}

/** Reads a message as the API tells it. */
export function keptOf({ subject, seq, time, hdrs = "", data = "" }: Kept, rawName: string): Stored {
  const lines = new TextDecoder().decode(bytesOf(hdrs)).split("\r\n");
  const valueOf = (name: string): string =>
    (lines.find((line) => line.startsWith(`${name}:`)) ?? "").slice(name.length + 1).trim();
  const header = valueOf(HEADER);
  return {
    ...unpack(header, rawName, seq),
    header,
    once: valueOf(MESSAGE_ID),
    subject,
    seq,
    time: timeOf(time),
    payload: bytesOf(data),
  };
}

function bytesOf(base64: string): Uint8Array {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Whether two instants are one: it is told in nanoseconds, of which a number keeps all but the last. */
export function isSameTime(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1;
}

/** A server's instant, in milliseconds since the epoch. It has nanoseconds, which not every engine reads. */
export function timeOf(instant: string): number {
  return Date.parse(instant.replace(/(\.\d{3})\d*/, "$1"));
}
