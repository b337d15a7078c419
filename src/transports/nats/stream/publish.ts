/**
 * Messages with jobs in them: published, on the server's own conditions, and answered once they are stored.
 *
 * @module
 */

import { TooLargeError } from "../../../errors.ts";
import { byteLength } from "../../../names.ts";
import type { NatsMessage } from "../client/connection.ts";
import { AnswerLost, type ApiFault, FAULT, refusal } from "../client/errors.ts";
import { type Answered, type Link, type Outgoing, PAUSE_MIN, pauseAfter } from "../client/link.ts";
import { HEADER, type JobRecord, line, MESSAGE_ID, pack } from "./message.ts";
import type { QueueStream } from "./queue_stream.ts";
import { liveSubject } from "./subjects.ts";

/** A message of ours. */
export interface Message {
  readonly queueStream: QueueStream;
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly record: JobRecord;
  /** The message id that makes it one of a kind within the stream's window. */
  readonly once?: string | undefined;
  /** Refuses it unless the last message of a filter has this number; 0: unless there is none. */
  readonly expected?: { readonly seq: number; readonly filter: string } | undefined;
  /** Seconds after which the server removes it. */
  readonly ttl?: number | undefined;
  /** When the server moves it on to the waiting ones; of a delayed job. */
  readonly due?: number | undefined;
  /** Whether it replaces all messages of its subject. */
  readonly replaces?: boolean;
  /** Whether the job is new: then room is kept for the text that is written about it later. */
  readonly isNew?: boolean;
}

/** The server's receipt for a message: `refused` where another bars it, whose number is `seq`; 0: none does. */
export interface Receipt {
  readonly state: "stored" | "duplicate" | "refused";
  readonly seq: number;
  /** The message that bars it, or the one that is the same, may be this one: it was sent more than once. */
  readonly twin: boolean;
}

/** Bytes of a message beside its payload and the header's text: the other header lines. */
const OVERHEAD = 768;
/**
 * Bytes that are kept free for a new job: for its attempts, its losses, why and when it died, and a little of its
 * error.
 */
const ROOM = 1_536;
/** Bytes that a server accepts as header lines. */
const MAX_HEADER = 65_000;
const MAX_PAYLOAD = 1024 * 1024;
const decoder = new TextDecoder();

/** Bytes of payload and metadata that the server accepts. */
export function payloadLimit(link: Link): number {
  return (link.info?.max_payload ?? MAX_PAYLOAD) - OVERHEAD - ROOM;
}

/** A message of a batch. */
export interface Part {
  readonly subject: string;
  readonly data: Uint8Array;
  /** Header lines, each with its end. */
  readonly lines: string;
  /** The message id among them. */
  readonly once?: string | undefined;
}

/** A message as it is sent, with the conditions under which the server stores it. */
export function partOf(message: Message): Part {
  return written(message, pack(message.record));
}

/** The same, or why it is too large. */
export function sendable(link: Link, message: Message): Part | TooLargeError {
  const { queueStream, payload, record, isNew = false } = message;
  const text = pack(record);
  return tooLarge(link, queueStream, text, payload, isNew ? ROOM : 0) ?? written(message, text);
}

function written(message: Message, text: string): Part {
  const { queueStream, subject, payload, record, once, expected, ttl, due, replaces = false } = message;
  let lines = line(HEADER, text);
  if (once !== undefined) lines += line(MESSAGE_ID, once);
  if (expected !== undefined) {
    lines += line("Nats-Expected-Last-Subject-Sequence", expected.seq) +
      line("Nats-Expected-Last-Subject-Sequence-Subject", expected.filter);
  }
  if (ttl !== undefined) lines += line("Nats-TTL", `${ttl}s`);
  if (due !== undefined) {
    lines += line("Nats-Schedule", `@at ${new Date(Math.min(due, MAX_DATE)).toISOString()}`) +
      line("Nats-Schedule-Target", liveSubject(queueStream.base, "w", record.id));
  }
  if (replaces) lines += line("Nats-Rollup", "sub");
  return { subject, data: payload, lines, once };
}

/** The last instant that has four digits for its year, which is all that the server reads. */
const MAX_DATE = Date.UTC(9999, 11, 31);

/** Publishes a message. */
export function publish(
  link: Link,
  message: Message,
  until: number,
  told: (receipt: Receipt | Error) => void,
): void {
  const { queueStream: { leader, stream, store: state }, once } = message;
  const part = sendable(link, message);
  if (part instanceof Error) return told(part);
  const outgoing = { ...part, leader, again: once !== undefined };
  store(link, outgoing, `store a job in stream '${stream}'`, until, (receipt) => {
    state.wroteAt = link.settings.runtime.monotonic();
    told(receipt);
  });
}

/** The same as a promise. */
export function published(link: Link, message: Message, until: number): Promise<Receipt> {
  return receiptOrError((told) => publish(link, message, until, told));
}

/** Sends a message that is to be stored; `what` completes "Cannot ...". */
export function store(
  link: Link,
  message: Outgoing,
  what: string,
  until: number,
  told: (receipt: Receipt | Error) => void,
): void {
  let pause = PAUSE_MIN;
  let before = false;
  const answered: Answered = (answer, error, again) => {
    before ||= again;
    const receipt = receiptOf(what, answer, error, before);
    if (receipt !== "undecided") return told(receipt);
    // A cluster says so of a message that it has not yet stored: once it has, this one is refused, or a duplicate.
    if (link.settings.runtime.monotonic() + pause >= until) return told(refusal(UNDECIDED, what));
    link.elections.rest(pause).then(send, told);
    pause = pauseAfter(pause);
  };
  const send = (): void => link.ask(message, until, answered);
  send();
}

/** The same as a promise. */
export function stored(link: Link, message: Outgoing, what: string, until: number): Promise<Receipt> {
  return receiptOrError((told) => store(link, message, what, until, told));
}

/** A promise of what is told: a receipt, or an error with which it rejects. */
export function receiptOrError(send: (told: (receipt: Receipt | Error) => void) => void): Promise<Receipt> {
  return new Promise((resolve, reject) =>
    send((receipt) => {
      if (receipt instanceof Error) reject(receipt);
      else resolve(receipt);
    })
  );
}

const UNDECIDED: ApiFault = { code: 503, description: "another write to the same id is under way" };

/** The server's refusal behind the error of a store. */
export function refusalOf(error: Error): unknown {
  const refused = error instanceof AnswerLost ? error.cause : error;
  return refused instanceof Error ? refused.cause : undefined;
}

/**
 * Reads a server's receipt. A message that was sent `before` may have been accepted then, whatever is said of the
 * second; and the first of its kind is likely to be the message that was sent before.
 */
export function receiptOf(
  what: string,
  message: NatsMessage | undefined,
  error: Error | undefined,
  before: boolean,
): Receipt | Error | "undecided" {
  const isLost = (cause: Error): boolean => before && !(cause instanceof AnswerLost);
  const failed = (cause: Error): Error => isLost(cause) ? new AnswerLost(cause) : cause;
  if (message === undefined) return failed(error ?? new Error("A message was not answered"));
  const answer: { readonly seq?: number; readonly duplicate?: boolean; readonly error?: ApiFault } = JSON
    .parse(
      decoder.decode(message.data),
    );
  const { error: fault } = answer;
  if (fault === undefined) {
    return { state: answer.duplicate === true ? "duplicate" : "stored", seq: answer.seq ?? 0, twin: before };
  }
  if (fault.err_code === FAULT.otherLastSequence || fault.err_code === FAULT.idInProcess) return "undecided";
  if (fault.err_code === FAULT.duplicateInBatch) return { state: "duplicate", seq: 0, twin: before };
  if (fault.err_code === FAULT.wrongLastSequence) {
    const [, seq = "0"] = /(\d+)\D*$/.exec(fault.description ?? "") ?? [];
    return { state: "refused", seq: Number(seq), twin: before };
  }
  return failed(refusal(fault, what));
}

/** Whether a store failed as it is sure that nothing was stored. */
export function isRefused(error: unknown): boolean {
  if (error instanceof TooLargeError) return true;
  return error instanceof Error && !(error instanceof AnswerLost) && refusalOf(error) !== undefined;
}

/** Why a message is too large, or undefined. */
export function tooLarge(
  link: Link,
  { largest }: QueueStream,
  header: string,
  payload: Uint8Array,
  room: number,
): TooLargeError | undefined {
  const most = Math.max(0, Math.min(link.info?.max_payload ?? MAX_PAYLOAD, largest) - OVERHEAD - room);
  const longest = MAX_HEADER - room;
  // A UTF-16 unit takes at most three bytes, so that most headers need not be encoded here.
  if (header.length * 3 <= longest && payload.length + header.length * 3 <= most) return undefined;
  const bytes = byteLength(header);
  if (bytes > longest) return new TooLargeError("the metadata of a job", bytes, longest);
  return payload.length + bytes > most ? new TooLargeError("a job", payload.length + bytes, most) : undefined;
}

/** A message that is to be alone on its subject, replaced only by a write that knows its number. */
export interface Replacement {
  readonly subject: string;
  /** The text of our header line. */
  readonly text: string;
  readonly data?: Uint8Array | undefined;
  /** The number of the message that is replaced; 0 for none. */
  readonly expected: number;
  /** Seconds after which the server removes it. */
  readonly ttl?: number | undefined;
}

/** The header lines of a replacement. */
export function replacing({ text, expected, ttl }: Replacement): string {
  return line("Nats-Expected-Last-Subject-Sequence", expected) + line("Nats-Rollup", "sub") +
    line(HEADER, text) +
    (ttl === undefined ? "" : line("Nats-TTL", `${ttl}s`));
}

/**
 * Replaces the message that is alone on its subject, if it has that number; answers the number of the new one, or
 * undefined when another message is there. In a cluster it bears a message id of its own, so that it is known again when
 * it is sent again.
 */
export async function replace(
  { link, queueStream: { leader }, until }: {
    readonly link: Link;
    readonly queueStream: QueueStream;
    readonly until: number;
  },
  replacement: Replacement,
): Promise<number | undefined> {
  const { subject, data = new Uint8Array() } = replacement;
  const once = link.clustered ? line(MESSAGE_ID, link.settings.runtime.id()) : "";
  const lines = replacing(replacement) + once;
  const { state, seq } = await stored(
    link,
    { subject, data, lines, leader, again: true },
    `write '${subject}'`,
    until,
  );
  return state === "refused" ? undefined : seq;
}
