/**
 * Batches that jobs share: each job is several messages, and a batch costs the server as much as ten messages. They
 * share no fate: jobs that are refused together are to be sent one by one.
 *
 * @module
 */

import type { Batches, Part } from "./batch.ts";
import { isRefused, type Receipt } from "./publish.ts";
import type { QueueStream } from "./queue_stream.ts";

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
