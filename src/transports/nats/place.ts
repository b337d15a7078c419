/**
 * What is known of a queue's place in JetStream, and what this process holds of it.
 *
 * @module
 */

import type { Line } from "./names.ts";
import type { Order } from "./order.ts";
import type { JobRecord } from "./wire.ts";

/** A queue's place. */
export interface Place {
  readonly queue: string;
  /** The name of a job that says none: the queue's, or its topic's. */
  readonly rawName: string;
  readonly stream: string;
  /** Who takes what is stored in it, as `Leaders` name them. */
  readonly leader: string;
  /** What its subjects begin with, the last dot included. */
  readonly base: string;
  /** The durable consumer of each line. */
  readonly consumers: Readonly<Record<Line, string>>;
  /** Milliseconds after which its server hands an unsettled job to another. */
  ackWait: number;
  /** The lines whose consumers an operator made to hand a message over only so often. */
  limited: readonly Line[];
  /** Milliseconds for which the server remembers messages' ids. */
  window: number;
  /** The last number of each line that came here. */
  readonly seen: Record<Line, number>;
  /** When somebody last asked it for what is there, on the monotonic clock. */
  askedAt: number;
  /** Calls on it, in their order. */
  readonly order: Order;
  /** The push that takes ids at this moment: those behind it wait, so that jobs lie in the order of the calls. */
  turn: Promise<unknown> | undefined;
  /** What this process holds of it, by number in the stream. */
  readonly held: Map<number, Held>;
}

/** A delivery that was handed over. */
export interface Held {
  readonly token: string;
  readonly place: Place;
  readonly line: Line;
  readonly seq: number;
  /** Where its acknowledgement goes. */
  readonly reply: string;
  readonly record: JobRecord;
  readonly payload: Uint8Array;
  /** When it could first run. */
  readonly due: number;
  /** When the holder's lease ends, on the monotonic clock. */
  until: number;
  /** When the server's ends at the soonest, as far as it has answered. */
  safe: number;
  /** An answer came so late that it may have been another's in between: how it ends is looked into. */
  doubtful: boolean;
  /** The number of the note that it was handed over, if there is one. */
  readonly note: number | undefined;
  /** Where it was sent when it was settled, though the answer was lost. */
  tried: string | undefined;
  /** Held no more: settled, lost, or removed by an operator. */
  gone: boolean;
}
