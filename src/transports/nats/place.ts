/**
 * What is known of a queue's place in JetStream.
 *
 * @module
 */

import type { Line } from "./names.ts";
import type { Order } from "./order.ts";

/** Messages that may be of no use any more: locks of ids, notes of what was handed over, and what follows what is gone. */
export type Patrolled = "i" | "h" | "x";

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
  /** Servers that keep a copy of its stream. One of them leads: the others may lag behind it. */
  replicas: number;
  /** Milliseconds after which its server hands an unsettled job to another. */
  ackWait: number;
  /** Bytes that a message of its stream may have at most; Infinity: as many as the server takes. */
  largest: number;
  /** The lines whose consumers an operator made to hand a message over only so often. */
  limited: readonly Line[];
  /** Milliseconds for which the server remembers messages' ids. */
  window: number;
  /** The last number of each line that came here. */
  readonly seen: Record<Line, number>;
  /** Pulls that were ended while an answer may be on its way. */
  late: number;
  /** When somebody last asked it for what is there, on the monotonic clock. */
  askedAt: number;
  /** The number up to which messages of a kind were looked through; 0: they are from the first on. */
  readonly patrolled: Record<Patrolled, number>;
  /** Calls on it, in their order. */
  readonly order: Order;
  /** The push that takes ids at this moment: those behind it wait, so that jobs lie in the order of the calls. */
  turn: Promise<unknown> | undefined;
}
