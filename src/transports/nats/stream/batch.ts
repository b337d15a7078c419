/**
 * Atomic batches: messages of one stream that are stored together or not at all.
 *
 * @module
 */

import type { Link } from "../client/link.ts";
import { linesOf, type Message, type Receipt, receiptOf, store } from "./publish.ts";
import type { QueueStream } from "./queue_stream.ts";

/** Messages that the server accepts in one batch. */
export const MAX_BATCH = 1_000;
/** Batches of one stream that are under way at a time: the server accepts 50 of all clients. */
const AT_ONCE = 8;

/** A message of a batch. */
export interface Part {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly lines: readonly (readonly [string, string])[];
}

/** Stores batches. */
export interface Batches {
  /** Stores all parts or none; a batch that the server refuses for another reason than its conditions rejects. */
  store(queueStream: QueueStream, parts: readonly Part[], until: number): Promise<Receipt>;
}

/** A message as a part of a batch. */
export function partOf(message: Message): Part {
  return { subject: message.subject, data: message.payload, lines: linesOf(message) };
}

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
  return new Promise((resolve, reject) => {
    const told = (receipt: Receipt | Error): void => {
      if (receipt instanceof Error) reject(receipt);
      else resolve(receipt);
    };
    if (parts.length === 1) {
      const { subject, data, lines } = last;
      return store(link, { subject, data, lines, leader }, what, until, told);
    }
    parts.slice(0, -1).forEach(({ subject, data, lines }, index) =>
      link.send({
        subject,
        data,
        lines: [...lines, ["Nats-Batch-Id", id], ["Nats-Batch-Sequence", `${index + 1}`]],
      })
    );
    const lines: (readonly [string, string])[] = [
      ...last.lines,
      ["Nats-Batch-Id", id],
      ["Nats-Batch-Sequence", `${parts.length}`],
      ["Nats-Batch-Commit", "1"],
    ];
    // A batch that is undecided was not stored: its caller sends it anew.
    link.ask({ subject: last.subject, data: last.data, lines }, until, (answer, error) => {
      const receipt = receiptOf(what, answer, error, false);
      told(receipt === "undecided" ? { state: "refused", seq: UNDECIDED, twin: false } : receipt);
    });
  });
}

/** The number that a batch is refused with which is to be sent anew. */
export const UNDECIDED = -1;
