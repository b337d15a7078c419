/**
 * Atomic batches: messages of one stream that are stored together or not at all. Jobs of several messages share one, as
 * it costs the server as much as ten messages. They share no fate: jobs that are refused together are sent one by one.
 *
 * @module
 */

import type { Link } from "../client/link.ts";
import type { Batches } from "./context.ts";
import { line } from "./message.ts";
import { isRefused, type Part, type Receipt, receiptOf, receiptOrError, store } from "./publish.ts";
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

  return {
    async store(queueStream, parts, until) {
      const lane = laneOf(queueStream.stream);
      if (lane.under >= AT_ONCE) await new Promise<void>((resolve) => lane.waiting.push(resolve));
      else lane.under++;
      try {
        return await send(link, queueStream, parts, until);
      } finally {
        const next = lane.waiting.shift();
        if (next === undefined) lane.under--;
        else next();
      }
    },
  };
}

function send(
  link: Link,
  { leader, stream }: QueueStream,
  parts: readonly Part[],
  until: number,
): Promise<Receipt> {
  const what = `store a batch in stream '${stream}'`;
  const id = link.settings.runtime.id();
  const last = parts.at(-1);
  if (last === undefined) throw new Error("A batch has no messages");
  return receiptOrError((told) => {
    if (parts.length === 1) return store(link, { ...last, leader }, what, until, told);
    const batch = line("Nats-Batch-Id", id);
    parts.slice(0, -1).forEach((part, index) =>
      link.send({ ...part, lines: part.lines + batch + line("Nats-Batch-Sequence", index + 1) })
    );
    const lines = last.lines + batch + line("Nats-Batch-Sequence", parts.length) +
      line("Nats-Batch-Commit", 1);
    // A batch that is undecided was not stored: its caller sends it anew.
    link.ask({ ...last, lines }, until, (answer, error) => {
      const receipt = receiptOf(what, answer, error, false);
      told(receipt === "undecided" ? { state: "refused", seq: UNDECIDED, twin: false } : receipt);
    });
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
  const all = entries.flatMap(({ parts }) => parts);
  batches.store(first.queueStream, all, until).then((receipt) => {
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
