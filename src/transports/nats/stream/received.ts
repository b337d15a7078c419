/**
 * A job as it came from the server.
 *
 * @module
 */

import type { QueueStream } from "./queue_stream.ts";
import type { Delivered, JobRecord } from "./message.ts";
import type { PullState } from "./subjects.ts";

/** A message that came from a consumer. */
export class Received {
  readonly queueStream: QueueStream;
  readonly state: PullState;
  /** The latest instant at which it is known not to have been sent, or kept up, on the monotonic clock. */
  at: number;
  /** It is not handed over: the server delivered it before, or it is another program's. */
  readonly returns: "lost" | "raw" | undefined;
  readonly reply: string;
  readonly seq: number;
  /** When it was stored, by the server's clock. */
  readonly time: number;
  /** How many of its state wait behind it. */
  readonly pending: number;
  readonly record: JobRecord;
  readonly payload: Uint8Array;

  constructor(
    queueStream: QueueStream,
    state: PullState,
    at: number,
    returns: "lost" | "raw" | undefined,
    reply: string,
    { seq, time, pending }: Delivered,
    record: JobRecord,
    payload: Uint8Array,
  ) {
    this.queueStream = queueStream;
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
