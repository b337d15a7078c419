/**
 * A job as it came from the server.
 *
 * @module
 */

import type { Line } from "./names.ts";
import type { Place } from "./place.ts";
import type { Delivered, JobRecord } from "./wire.ts";

/** A message that came from a line. */
export class Arrival {
  readonly place: Place;
  readonly line: Line;
  /** When the server cannot have handed it over later than, on the monotonic clock. */
  readonly at: number;
  /** The server delivered it before: it goes to the line of those that came back, and to nobody from here. */
  readonly again: boolean;
  readonly reply: string;
  readonly seq: number;
  /** When it was stored, by the server's clock. */
  readonly time: number;
  /** How many of its line wait behind it. */
  readonly pending: number;
  readonly record: JobRecord;
  readonly payload: Uint8Array;

  constructor(
    place: Place,
    line: Line,
    at: number,
    again: boolean,
    reply: string,
    { seq, time, pending }: Delivered,
    record: JobRecord,
    payload: Uint8Array,
  ) {
    this.place = place;
    this.line = line;
    this.at = at;
    this.again = again;
    this.reply = reply;
    this.seq = seq;
    this.time = time;
    this.pending = pending;
    this.record = record;
    this.payload = payload;
  }
}
