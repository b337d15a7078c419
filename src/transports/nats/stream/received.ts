/**
 * A job as it came from the server, and as a worker of this process holds it.
 *
 * @module
 */

import type { QueueStream } from "./queue_stream.ts";
import type { Delivered, JobRecord } from "./message.ts";
import type { PullState } from "./subjects.ts";

/**
 * A message that came from a consumer, and once it was handed over a delivery of this process. Made by a constructor, as
 * are its like: V8 puts objects of literals straight among the long-lived ones once a few hundred of them lived long,
 * as a worker's jobs do while it warms up.
 */
export class Received {
  readonly queueStream: QueueStream;
  /** When its stream was made, as far as that was known. */
  readonly created: number;
  readonly state: PullState;
  /** The latest instant at which it is known not to have been sent, or kept up, on the monotonic clock. */
  at: number;
  /** It is not handed over: the server delivered it before, or it is another program's. */
  readonly returns: "lost" | "raw" | undefined;
  /** Where its acknowledgement goes. */
  reply: string;
  readonly seq: number;
  /** When it was stored, by the server's clock. */
  readonly time: number;
  /** How many of its state wait behind it. */
  readonly pending: number;
  readonly record: JobRecord;
  readonly payload: Uint8Array;
  /** Its slot among the deliveries; -1: it is none. */
  slot = -1;
  token = "";
  /** The number of the note that it was handed over, if there is one. */
  note: number | undefined = undefined;
  /** When the holder's lease ends, on the monotonic clock. */
  until: number = -Infinity;
  /** When the server's ends at the soonest, as far as it has answered. */
  safe: number = -Infinity;
  /** The server heard of it so late that it may have been another worker's in between: its end needs a condition. */
  doubtful = false;
  /** Its end was sent before, and the answer lost. */
  tried = false;

  constructor(
    queueStream: QueueStream,
    state: PullState,
    at: number,
    returns: "lost" | "raw" | undefined,
    reply: string,
    { seq, time, pending }: Omit<Delivered, "count">,
    record: JobRecord,
    payload: Uint8Array,
  ) {
    this.queueStream = queueStream;
    this.created = queueStream.created;
    this.state = state;
    this.at = at;
    this.returns = returns;
    this.reply = reply;
    this.seq = seq;
    this.time = time;
    this.pending = pending;
    this.record = record;
    this.payload = payload;
  }

  /** When it could first run. */
  get due(): number {
    return this.record.marks.due ?? this.time;
  }
}

const MOST_MARGIN = 1_000;
const MARGIN_PART = 1 / 20;
/** The part of its lease that a job must have left to be handed over. */
const LEAST_LEASE = 1 / 4;

/** The rest of the server's lease when ours counts as over: the time for an answer to travel. */
export function marginOf(ackWait: number): number {
  return Math.min(MOST_MARGIN, ackWait * MARGIN_PART);
}

/** Until when the server keeps a job for long enough to hand it over. */
export function worthUntil({ queueStream: { ackWait }, at }: Received): number {
  return at + ackWait * (1 - LEAST_LEASE) - marginOf(ackWait);
}

/**
 * The order in which jobs of a queue are handed over, as a comparison: returned ones, which are before all others, then
 * waiting ones by their due times. The server moves delayed jobs in the order in which they were dispatched.
 */
export function inTurn(a: Received, b: Received): number {
  if (a.state !== b.state) return a.state < b.state ? -1 : 1;
  return a.state === "b" ? a.seq - b.seq : a.due - b.due || a.seq - b.seq;
}

/** Whether a job lies in the stream that is there, and not in one that was deleted. */
export function isThere({ queueStream, created, time }: Received): boolean {
  return created === queueStream.created || time >= queueStream.created;
}

/** Whether the server keeps a job for long enough to hand it over. */
export function isWorthHanding(received: Received, now: number): boolean {
  return now < worthUntil(received);
}
