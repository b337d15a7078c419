/**
 * Atomic batches: messages of one stream that are stored together or not at all. Jobs of several messages share one, as
 * it costs the server as much as ten messages. They share no fate: jobs that are refused together are sent one by one.
 *
 * @module
 */

import type { Link } from "../client/link.ts";
import { FAULT, isFault } from "../client/errors.ts";
import type { Batches, Half } from "./context.ts";
import { keepRoom, REFUSED } from "./front.ts";
import { mayBeHalf, storeRest, wholeOrHalf } from "./halves.ts";
import { line } from "./message.ts";
import {
  isRefused,
  type Part,
  type Receipt,
  receiptOf,
  receiptOrError,
  refusalOf,
  stored,
} from "./publish.ts";
import type { QueueStream } from "./queue_stream.ts";

/** Messages that the server accepts in one batch. */
export const MAX_BATCH = 1_000;
/** Batches of one stream that are under way at a time: the server accepts 50 of all clients. */
const AT_ONCE = 8;

/** The batches of one stream: how many are under way, and those that wait, in their order. */
interface Lane {
  under: number;
  readonly waiting: (() => void)[];
}

/** Makes the store of a link's batches. */
export function createBatches(link: Link): Batches {
  const lanes = new Map<string, Lane>();

  function laneOf(stream: string): Lane {
    const lane = lanes.get(stream) ?? { under: 0, waiting: [] };
    lanes.set(stream, lane);
    return lane;
  }

  async function inLane<T>({ stream }: QueueStream, work: () => Promise<T>): Promise<T> {
    const lane = laneOf(stream);
    if (lane.under >= AT_ONCE) await new Promise<void>((resolve) => lane.waiting.push(resolve));
    else lane.under++;
    try {
      return await work();
    } finally {
      const next = lane.waiting.shift();
      if (next === undefined) lane.under--;
      else next();
    }
  }

  const batches: Batches = {
    async store(queueStream, parts, until) {
      const sent = await batches.send(queueStream, parts, until);
      return sent.state === "half" ? await batches.finish(queueStream, parts, sent, until) : sent;
    },
    async send(queueStream, parts, until) {
      try {
        return await inLane(queueStream, () => send(link, queueStream, parts, until));
      } finally {
        queueStream.store.wroteAt = link.settings.runtime.monotonic();
      }
    },
    finish: (queueStream, parts, half, until) => storeRest(link, queueStream, parts, half, until),
  };
  return batches;
}

async function send(
  link: Link,
  queueStream: QueueStream,
  parts: readonly Part[],
  until: number,
): Promise<Receipt | Half> {
  const { leader, stream } = queueStream;
  const what = `store a batch in stream '${stream}'`;
  const [first, ...more] = parts;
  if (first === undefined) throw new Error("A batch has no messages");
  if (more.length === 0) return await stored(link, { ...first, leader }, what, until);
  const [all, id] = [[first, ...more] as const, link.settings.runtime.id()];
  const answer = commit(link, { id, parts: all, until }, what).catch((error) => {
    if (!isFault(refusalOf(error), FAULT.incompleteBatch)) throw error;
    // A message before the last was refused, which the server says only where it is asked.
    return commit(link, { id, parts: all, until }, what, true);
  });
  if (!mayBeHalf(queueStream, parts)) return await answer;
  const sent = await wholeOrHalf(link, queueStream, { id, parts: all, answer }, until);
  // Dispatches that follow would take the room that the rest, and moves, need.
  if (sent.state === "half") keepRoom(link, queueStream, REFUSED);
  return sent;
}

/** Sends the messages of a batch; `asks` for the answer to each of them, too. */
function commit(
  link: Link,
  { id, parts, until }: { readonly id: string; readonly parts: readonly Part[]; readonly until: number },
  what: string,
  asks = false,
): Promise<Receipt> {
  let fault: Error | undefined;
  return receiptOrError((told) => {
    const batch = line("Nats-Batch-Id", id);
    for (const [index, part] of parts.entries()) {
      const lines = part.lines + batch + line("Nats-Batch-Sequence", index + 1);
      if (index === parts.length - 1) {
        const last = { ...part, lines: lines + line("Nats-Batch-Commit", 1) };
        // A batch that is undecided was not stored: its caller sends it anew.
        link.ask(last, until, (answer, error) => {
          const receipt = receiptOf(what, answer, error, false);
          if (receipt === "undecided") told({ state: "refused", seq: UNDECIDED, twin: false });
          else told(receipt instanceof Error && isRefused(receipt) ? fault ?? receipt : receipt);
        });
      } else if (asks) {
        link.ask({ ...part, lines }, until, (answer) => {
          // One that is accepted is answered without a text.
          if (answer === undefined || answer.data.length === 0) return;
          const receipt = receiptOf(what, answer, undefined, false);
          if (receipt instanceof Error) fault ??= receipt;
        });
      } else {
        link.send({ ...part, lines });
      }
    }
  });
}

/** The number that a batch is refused with which is to be sent anew. */
export const UNDECIDED = -1;

/** The receipt for a job's messages; `alone`: none, they are to be sent by themselves. */
export type Sent = Receipt | "alone";

/** Collects the messages of jobs. */
export interface Shared {
  /** Takes in the messages of one job. Its receipt has the number of its last message. */
  add(queueStream: QueueStream, parts: readonly Part[]): Promise<Sent>;
  /** Sends the messages that were taken in. */
  send(): void;
}

/** The messages of one job. */
interface Entry {
  readonly queueStream: QueueStream;
  readonly parts: readonly Part[];
  readonly told: (sent: Sent) => void;
  readonly failed: (error: unknown) => void;
}

/** Messages, and bytes of payloads, that travel together. */
const MOST = 256;
const MOST_BYTES = 512 * 1024;

/** Makes an empty collection; `until` is the end of the time of the batch that is sent. */
export function createShared(batches: Batches, until: () => number): Shared {
  let entries: Entry[] = [];
  /** The subjects of all: the server would accept two messages of one subject, whatever their conditions. */
  let subjects = new Set<string>();
  let bytes = 0;
  const shared: Shared = {
    add(queueStream, parts) {
      const size = parts.reduce((sum, { data }) => sum + data.length, 0);
      const isApart = entries[0] !== undefined && entries[0].queueStream.stream !== queueStream.stream;
      const isTwin = parts.some(({ subject }) => subjects.has(subject));
      if (isApart || isTwin || subjects.size + parts.length > MOST || bytes + size > MOST_BYTES) {
        shared.send();
      }
      for (const { subject } of parts) subjects.add(subject);
      bytes += size;
      return new Promise((told, failed) => entries.push({ queueStream, parts, told, failed }));
    },
    send() {
      const sent = entries;
      entries = [];
      subjects = new Set();
      bytes = 0;
      if (sent.length > 0) sendAll(batches, sent, until());
    },
  };
  return shared;
}

function sendAll(batches: Batches, entries: readonly Entry[], until: number): void {
  const [first] = entries;
  if (first === undefined) return;
  const { queueStream } = first;
  const all = entries.flatMap(({ parts }) => parts);
  batches.send(queueStream, all, until).then((receipt) => {
    if (receipt.state === "half") return void finishAll(batches, entries, receipt, until);
    if (entries.length === 1) return first.told(receipt);
    let seq = receipt.seq - all.length;
    for (const { parts, told } of entries) {
      seq += parts.length;
      told(receipt.state === "stored" ? { ...receipt, seq } : "alone");
    }
  }, (error) => {
    const isSure = entries.length > 1 && isRefused(error);
    for (const { told, failed } of entries) isSure ? told("alone") : failed(error);
  });
}

/** Tells jobs of a batch that was stored in part: what lacks of the one that was begun is stored first. */
async function finishAll(
  batches: Batches,
  entries: readonly Entry[],
  { seqs, isOver }: Half,
  until: number,
): Promise<void> {
  let start = 0;
  let last: unknown;
  for (const { queueStream, parts, told, failed } of entries) {
    const own = seqs.slice(start, start += parts.length);
    try {
      // Of one that was not begun nothing is stored, unless the server does so later.
      if (isOver && own.every((seq) => seq === 0)) told("alone");
      else if (last !== undefined) failed(last);
      else told(await batches.finish(queueStream, parts, { seqs: own, isOver }, until));
    } catch (error) {
      // The others would wait in vain for room as long.
      failed(last = error);
    }
  }
}
