/**
 * The withdrawal of half batches: the server forgets a batch of which it stored a part.
 *
 * @module
 */

import { type ApiFault, FAULT } from "../client/errors.ts";
import type { Link } from "../client/link.ts";
import { line } from "./message.ts";
import type { QueueStream } from "./queue_stream.ts";

const EMPTY = new Uint8Array();
const decoder = new TextDecoder();

/**
 * Withdraws half batches: one more message of a batch, out of turn, makes the server drop it. A server that is full
 * accepts none: then it is sent once more when there is room.
 */
export async function withdrawHalves(
  link: Link,
  { store: { halves }, leader }: QueueStream,
  until: number,
): Promise<void> {
  await Promise.all([...halves].map(async ([id, subject]) => {
    const lines = line("Nats-Batch-Id", id) + line("Nats-Batch-Sequence", 2);
    const answer = await link.request({ subject, data: EMPTY, lines, leader }, until).catch(() => undefined);
    if (answer !== undefined && answerOf(answer.data).error?.err_code === FAULT.incompleteBatch) {
      halves.delete(id);
    }
  }));
}

/** Reads the server's answer to a message that was to be stored. */
export function answerOf(data: Uint8Array): {
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly error?: ApiFault;
} {
  return JSON.parse(decoder.decode(data));
}
