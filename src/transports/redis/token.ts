/**
 * Tokens: what the scripts need to tell a delivery from all others, in one text.
 *
 * @module
 */

/** A delivery, as its token says. */
export interface Held {
  /** Its entry in the waiting stream. */
  readonly entry: string;
  /** The count of its entry's deliveries, this one included. */
  readonly count: number;
  /** The consumer that it was handed to: an instance, a dot, a lease in milliseconds. */
  readonly consumer: string;
  /** Milliseconds of that lease. */
  readonly lease: number;
  readonly id: string;
}

const ENTRY = /^\d{1,15}-\d{1,15}$/;
const CONSUMER = /^[^ ]+\.(\d{1,15})$/;

/** Writes a token; neither entries nor consumers have spaces in them, and a queue's name has no line end. */
export function tokenOf(entry: string, count: number, consumer: string, queue: string, id: string): string {
  return `${entry} ${count} ${consumer} ${queue}\n${id}`;
}

/** Reads a token; undefined for a text that is none, or that is another queue's. */
export function heldIn(token: string, queue: string): Held | undefined {
  const first = token.indexOf(" ");
  const second = token.indexOf(" ", first + 1);
  const third = token.indexOf(" ", second + 1);
  const end = third + 1 + queue.length;
  if (first < 0 || second < 0 || third < 0) return undefined;
  if (!token.startsWith(queue, third + 1) || token[end] !== "\n") return undefined;
  const entry = token.slice(0, first);
  const count = Number(token.slice(first + 1, second));
  const consumer = token.slice(second + 1, third);
  const lease = Number(CONSUMER.exec(consumer)?.[1] ?? NaN);
  if (!ENTRY.test(entry) || !Number.isSafeInteger(count) || !Number.isSafeInteger(lease)) return undefined;
  return { entry, count, consumer, lease, id: token.slice(end + 1) };
}
