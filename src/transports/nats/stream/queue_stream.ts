/**
 * A queue's stream, as far as it is known.
 *
 * @module
 */

import type { CallOrder } from "./call_order.ts";
import type { PullState, QueueNames } from "./subjects.ts";

/** Jobs that a consumer counts which is never pulled: delayed ones, and the dead of each channel. */
export type Counted = "d" | "f" | "t";

/** A time in which a store is full, on the monotonic clock. */
export interface FullStore {
  readonly since: number;
  /** Calls that move jobs in what room there is, and free it again: meanwhile it is left to them. */
  moving: number;
  /** Until then the room that there is belongs to moves, which free it again. */
  kept: number;
}

/** A queue's stream; that of its topic for a group's. */
export interface QueueStream extends QueueNames {
  readonly queue: string;
  /** The name of a job that says none: the queue's, or its topic's. */
  readonly rawName: string;
  /** The stream's leader, as `Elections` name it. */
  readonly leader: string;
  /** The durable consumer of each state. */
  readonly consumers: Readonly<Record<PullState, string>>;
  /** Servers that keep a copy. One of them leads: the others may lag behind it. */
  replicas: number;
  /** Milliseconds after which its server hands an unsettled job to another worker. */
  ackWait: number;
  /** Bytes that a message may have at most; Infinity: as many as the server accepts. */
  largest: number;
  /** Milliseconds for which the server remembers messages' ids. */
  window: number;
  /** When it was made, in milliseconds since the epoch. */
  created: number;
  /** The last number of each state that this process received. */
  readonly seen: Record<PullState, number>;
  /** Pulls that were ended while an answer may be on its way. */
  late: number;
  /** When it was last asked for the jobs that are there, on the monotonic clock. */
  askedAt: number;
  /** The minute up to which no delayed job is overdue; undefined until it is known. */
  checked: number | undefined;
  /** A job of it could not be moved as the store was full, and since then there was no room for its first message. */
  full: FullStore | undefined;
  /** When a move was last refused as the store was full, on the monotonic clock. */
  fullAt: number;
  /**
   * Messages that this process let go where they lie, and how often each had been delivered by then. One that comes
   * with the next delivery was no worker's in between.
   */
  readonly letGo: Map<number, number>;
  /** It is to be made, or was to be and could not. */
  refused: boolean;
  /** Calls on it, in their order. */
  readonly order: CallOrder;
}
