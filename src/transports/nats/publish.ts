/**
 * Messages with jobs in them: published, and answered by the server once they are stored.
 *
 * @module
 */

import { TooLargeError } from "../../errors.ts";
import { byteLength } from "../../names.ts";
import type { Answered, Outgoing } from "./asks.ts";
import { AnswerLost, type ApiFault, FAULT, isFault, refusal } from "./errors.ts";
import type { NatsMessage } from "./connection.ts";
import { PAUSE_MIN, pauseAfter } from "./leaders.ts";
import type { Link } from "./link.ts";
import type { Line } from "./names.ts";
import { idToken } from "./names.ts";
import type { Place } from "./place.ts";
import { HEADER, type JobRecord, MESSAGE_ID, pack } from "./wire.ts";

/** A message of ours. */
export interface Letter {
  readonly place: Place;
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly record: JobRecord;
  /** What makes it one of a kind within the stream's window. */
  readonly once?: string | undefined;
  /** Whether the job is new: then room is kept for what is written about it later. */
  readonly isNew?: boolean;
}

/** What the server says of a message that it took. */
export interface Receipt {
  readonly seq: number;
  /** One with the same `once` was taken before, and this one was not. */
  readonly duplicate: boolean;
  /** The same, but that one may be this one: it was sent more than once. */
  readonly twin: boolean;
}

/** What became of a message. */
export type Published = (receipt: Receipt | undefined, error: Error | undefined) => void;

/** Bytes of a message beside its payload and the header's text: the other header lines. */
const OVERHEAD = 512;
/** Bytes that are kept free for a new job: for its attempts, its losses, why and when it died, and a little of its error. */
const ROOM = 1_536;
/** Bytes that a server takes as header lines. */
const MAX_HEADER = 65_000;
const MAX_PAYLOAD = 1024 * 1024;
const decoder = new TextDecoder();

/** The subject of a job in a line. */
export function lineSubject(place: Place, line: Line | "p", id: string): string {
  return `${place.base}${line}.${idToken(id)}`;
}

/** The subject of what follows a message behind which nothing comes. */
export function tombSubject({ base }: Place, seq: number): string {
  return `${base}x.${seq}`;
}

/** Bytes of payload and metadata that the server takes. */
export function payloadLimit(link: Link): number {
  return (link.info?.max_payload ?? MAX_PAYLOAD) - OVERHEAD - ROOM;
}

/** Publishes a message. */
export function publish(link: Link, letter: Letter, until: number, published: Published): void {
  const { place, subject, payload, record, once, isNew = false } = letter;
  const header = pack(record);
  const refused = tooLarge(link, place, header, payload, isNew ? ROOM : 0);
  if (refused !== undefined) return published(undefined, refused);
  const lines: [string, string][] = [[HEADER, header]];
  if (once !== undefined) lines.push([MESSAGE_ID, once]);
  const message = { subject, data: payload, lines, leader: place.leader, again: once !== undefined };
  store(link, message, `store a job in stream '${place.stream}'`, until, (receipt) => {
    if (receipt instanceof Error) published(undefined, receipt);
    else published(receipt, undefined);
  });
}

/** Sends what is to be stored; `what` completes "Cannot ...". */
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
    // A cluster says so of a twin that it has not yet stored: once it has, this one is a duplicate.
    const under = receipt instanceof Error && isFault(refusalOf(receipt), FAULT.idInProcess);
    if (!under || link.settings.runtime.monotonic() + pause >= until) return told(receipt);
    link.leaders.rest(pause).then(send, told);
    pause = pauseAfter(pause);
  };
  const send = (): void => link.ask(message, until, answered);
  send();
}

/** The server's refusal behind what a store failed with. */
export function refusalOf(error: Error): unknown {
  const refused = error instanceof AnswerLost ? error.cause : error;
  return refused instanceof Error ? refused.cause : undefined;
}

/** The same as a promise. */
export function published(link: Link, letter: Letter, until: number): Promise<Receipt> {
  return new Promise((resolve, reject) =>
    publish(link, letter, until, (receipt, error) => {
      if (receipt === undefined) reject(error);
      else resolve(receipt);
    })
  );
}

/**
 * Reads a server's receipt. What was sent `before` may have been taken then, whatever is said of the second; and the
 * first of its kind is likely to be what was sent before.
 */
function receiptOf(
  what: string,
  message: NatsMessage | undefined,
  error: Error | undefined,
  before: boolean,
): Receipt | Error {
  const failed = (cause: Error): Error => before ? new AnswerLost(cause) : cause;
  if (message === undefined) return failed(error ?? new Error("A message was not answered"));
  const answer: Partial<Receipt> & { readonly error?: ApiFault } = JSON.parse(decoder.decode(message.data));
  if (answer.error !== undefined) return failed(refusal(answer.error, what));
  const known = answer.duplicate === true;
  return { seq: answer.seq ?? 0, duplicate: known && !before, twin: known && before };
}

function tooLarge(
  link: Link,
  { largest }: Place,
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
