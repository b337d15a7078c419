/**
 * Whether the server knows a message by its message id, however long it is gone.
 *
 * @module
 */

import { FAULT } from "../client/errors.ts";
import type { Link } from "../client/link.ts";
import { line, MESSAGE_ID } from "./message.ts";
import type { QueueStream } from "./queue_stream.ts";
import { answerOf } from "./withdrawal.ts";

const EMPTY = new Uint8Array();

/** A message that bears an id. */
interface Identified {
  readonly subject: string;
  readonly once?: string | undefined;
}

/** The number under which a message was stored; 0 where it was not. It is asked by a message that is never stored. */
export async function numberOf(
  link: Link,
  { stream, leader }: QueueStream,
  { subject, once = "" }: Identified,
  until: number,
): Promise<number> {
  const lines = line(MESSAGE_ID, once) + line("Nats-Expected-Last-Msg-Id", `not ${once}`);
  const answer = await link.request({ subject, data: EMPTY, lines, leader, again: true }, until);
  const { seq = 0, duplicate, error } = answerOf(answer.data);
  if (duplicate === true) return seq;
  if (error?.err_code === FAULT.wrongLastId) return 0;
  throw new Error(`Stream '${stream}' does not say whether it has a message: ${error?.description ?? ""}`);
}

/** Whether a message with this part's id was stored. */
export async function isKnown(
  link: Link,
  queueStream: QueueStream,
  part: Identified,
  until: number,
): Promise<boolean> {
  return await numberOf(link, queueStream, part, until) > 0;
}
