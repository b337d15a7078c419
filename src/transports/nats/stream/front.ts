/**
 * The first message of a stream, which holds nothing and stays, for two reasons. Where the next message of a consumer is
 * the first of its stream the server goes through all subjects of the stream before it hands the message over (2.15.1):
 * beside 1,000,000 that wait that takes 100 to 300 ms for each, and 0.2 ms where another message lies before them. And
 * it takes room that can be given up: a store that is full of jobs can free none otherwise, as a job that came back or
 * is overdue is stored anew before the old message goes. While a store is full, as this process knows of it, what room
 * there is is left to moves, which free as much as they take.
 *
 * @module
 */

import { TransportFull } from "../../../errors.ts";
import type { Link, Outgoing } from "../client/link.ts";
import { line } from "./message.ts";
import { stored } from "./publish.ts";
import type { FullStore, QueueStream, StreamInfo } from "./queue_stream.ts";
import { purge } from "./read.ts";
import { withdrawHalves } from "./withdrawal.ts";

/** The subjects of messages about a stream itself, that one among them, in the streams of all queues. */
export const ANY_NOTE = "*.*.o.*";
const EXPECTED = "Nats-Expected-Last-Sequence";
/** Bytes of that message: enough for a job of such a size to be stored anew. */
const BYTES = 64 * 1024;
/** Bytes of a message beside its body. */
const OVERHEAD = 512;

/** Milliseconds from the first refusal until room is given up: what was sent before is answered by then. */
const CALM = 300;
/** Milliseconds without a refusal after which a full store is told once more. */
const AGAIN = 60_000;

function subjectOf({ root }: QueueStream): string {
  return `${root}o.first`;
}

/** Whether a message is the first one of its stream that stays. */
export function isFront(queueStream: QueueStream, subject: string): boolean {
  return subject === subjectOf(queueStream);
}

/**
 * Stores the message in a stream that is empty. No call waits for it: the server reads it before all that is sent later.
 * Where it is lost, or another process stored something before, the queue works as well, and slower.
 */
export function storeFront(
  link: Link,
  queueStream: QueueStream,
  { messages, last_seq }: StreamInfo["state"],
): void {
  if (messages === 0) link.send(front(link, queueStream, line(EXPECTED, last_seq)));
}

/** Stores the message anew behind a time in which the store was full; where it has room for it that time is over. */
export async function restoreFront(link: Link, queueStream: QueueStream, until: number): Promise<void> {
  const { leader, stream, store: state } = queueStream;
  const { full } = state;
  if (full === undefined || full.moving > 0 || link.settings.runtime.monotonic() < full.kept) return;
  const message = { ...front(link, queueStream, line("Nats-Rollup", "sub")), leader, again: true };
  try {
    await stored(link, message, `store a message in stream '${stream}'`, until);
    await withdrawHalves(link, queueStream, until);
    if (state.full === full) state.full = undefined;
  } catch {
    // Whatever kept it out, the room is left to moves for another while.
    keepRoom(link, queueStream, REFUSED);
  }
}

function front(link: Link, queueStream: QueueStream, lines: string): Outgoing {
  const most = Math.min(link.info?.max_payload ?? BYTES, queueStream.largest) - OVERHEAD;
  const data = new Uint8Array(Math.max(0, Math.min(BYTES, most)));
  return { subject: subjectOf(queueStream), data, lines };
}

/** A step that is done again, and whether the first message of its stream may be given up for it. */
export interface Step {
  readonly queueStream: QueueStream;
  /** Whether what is stored is no larger than what goes: else the room would be taken for good. */
  readonly frees: boolean;
}

/**
 * Does steps again that a full store refused, one after another, as each frees the room that the next one needs; the
 * first message of the stream is given up for them. Those that take more room than they free wait until there is some.
 * Ends at the first that is refused once more. That is told once.
 */
export async function whenFull<Item, T>(
  link: Link,
  items: readonly Item[],
  results: (T | Error)[],
  stepOf: (item: Item) => Step,
  again: (item: Item) => Promise<T | Error>,
  until: number,
): Promise<void> {
  const left = new Set<FullStore>();
  try {
    for (const [index, item] of items.entries()) {
      const result = results[index];
      if (!(result instanceof TransportFull)) continue;
      const { queueStream, frees } = stepOf(item);
      // It was not even sent: that the store was full says nothing of now, or that would be so for as long as jobs fail.
      if (!frees && queueStream.store.full !== undefined) continue;
      tell(link, queueStream, result);
      leaveRoom(keepRoom(link, queueStream, REFUSED), left);
      if (!frees) continue;
      let next = await again(item);
      if (next instanceof TransportFull && await giveUp(link, queueStream, until)) next = await again(item);
      results[index] = next;
      if (next instanceof TransportFull) return;
    }
  } finally {
    for (const full of left) full.moving--;
  }
}

/** Leaves the room to this call for as long as it takes: on a slow machine longer than any time that were named. */
function leaveRoom(full: FullStore, left: Set<FullStore>): void {
  if (left.has(full)) return;
  left.add(full);
  full.moving++;
}

/** Whether the message was there, and is no more. */
async function giveUp(link: Link, queueStream: QueueStream, until: number): Promise<boolean> {
  // A message that is under way, and takes more room than it frees, would get the room that is given up.
  const { since } = queueStream.store.full ?? { since: 0 };
  const calm = since + CALM - link.settings.runtime.monotonic();
  if (calm > 0) await link.elections.rest(calm);
  return await purge({ link, queueStream, until }, subjectOf(queueStream)) > 0;
}

/** The refusal of a move that would take room which others need to free some. */
export function noRoom({ queue }: QueueStream): TransportFull {
  return new TransportFull(`Cannot store a job of queue '${queue}' anew as the store was full a moment ago`);
}

/** Tells it once for each time in which the store is full, however often it is nearly over. */
function tell(link: Link, queueStream: QueueStream, fault: TransportFull): void {
  const now = link.settings.runtime.monotonic();
  const { store: state } = queueStream;
  if (state.full === undefined && now >= state.fullAt + AGAIN) link.settings.warn(stuck(queueStream, fault));
  state.fullAt = now;
}

function stuck({ queue }: QueueStream, { message }: TransportFull): string {
  return `Jobs of queue '${queue}' cannot be moved as the store is full: they stay where they are until there is room. ` +
    message;
}

/** Milliseconds for which room is kept for moves behind a refusal. */
export const REFUSED = 500;

/** Keeps the room of a full store for moves, for some milliseconds: dispatches would take it for good. */
export function keepRoom(link: Link, queueStream: QueueStream, ms: number): FullStore {
  const now = link.settings.runtime.monotonic();
  const full = queueStream.store.full ??= { since: now, moving: 0, kept: now };
  full.kept = Math.max(full.kept, now + ms);
  return full;
}

/** The refusal of a dispatch while what room there is belongs to moves. */
export function fullStill({ queue }: QueueStream): TransportFull {
  return new TransportFull(
    `Cannot push jobs to queue '${queue}' as the store is full: what room it has is left to jobs that are moved`,
  );
}
