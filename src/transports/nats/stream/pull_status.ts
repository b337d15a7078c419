/**
 * The words with which a server ends a pull, and what they say of the jobs that it sent before.
 *
 * @module
 */

import type { NatsHeaders, NatsMessage } from "../client/connection.ts";
import { NoResponders, StreamGone } from "../client/errors.ts";
import { deliveredOf } from "./message.ts";
import type { QueueStream } from "./queue_stream.ts";

/** The server's words for a pull that found nothing, and for one whose time is over. */
const NOTHING = 404;
const OVER = 408;
const CONFLICT = 409;
/** No server heard of it. */
export const UNANSWERED = 503;
/** A pull that waits is known still. */
export const HEARTBEAT = 100;
/** The size of a message of which the consumer hands over the headers only. */
const SIZE = "Nats-Msg-Size";
const LEFT = "Nats-Pending-Messages";
const BYTES_LEFT = "Nats-Pending-Bytes";

/**
 * How many of the jobs that a pull asked for it did not get; undefined where the server does not say so. A pull for one
 * byte gets none, and says nothing of the one before it.
 */
export function leftOf(headers: NatsHeaders | undefined): number | undefined {
  const left = headers?.get(LEFT) ?? "";
  return left === "" || headers?.get(BYTES_LEFT) === "1" ? undefined : Number(left);
}

/** Whether a pull ended because its consumer has another leader: that says nothing of the jobs that are there. */
export function isMoved(headers: NatsHeaders | undefined): boolean {
  return headers?.code === CONFLICT && /leadership/i.test(headers.description);
}

/** Whether a pull ended because the next message would have been more than it asked for. */
export function isTooMuch(headers: NatsHeaders | undefined): boolean {
  return headers?.code === CONFLICT && /max ?bytes/i.test(headers.description);
}

/** Whether a pull ended as all was sent that it asked for; of several servers one may say so before that comes. */
export function isComplete(headers: NatsHeaders | undefined): boolean {
  return headers?.code === CONFLICT && /batch completed/i.test(headers.description);
}

/** The error of a pull that ends otherwise than by time, by size, empty, or because its consumer moved. */
export function statusError({ stream }: QueueStream, headers: NatsHeaders | undefined): Error | undefined {
  const { code = 0, description = "" } = headers ?? {};
  const what = `take jobs from stream '${stream}'`;
  if (code === UNANSWERED) return new NoResponders(what);
  const isSound = code === NOTHING || code === OVER || isMoved(headers) || isTooMuch(headers);
  return isSound ? undefined : new StreamGone(what, `the server says '${description}'`);
}

/**
 * The error of a message that came without its payload, as its consumer was changed: it is to be handed to no worker. An
 * empty one whose publisher wrote such a header comes again, and is taken when the consumer was found fit in between.
 */
export function bareError(queueStream: QueueStream, message: NatsMessage, now: number): Error | undefined {
  const { data, headers, reply = "" } = message;
  if (data.length > 0 || headers === undefined || headers.get(SIZE) === "") return undefined;
  if (deliveredOf(reply).count > 1 && queueStream.checkedAt > queueStream.bareAt) return undefined;
  queueStream.bareAt = now;
  return new StreamGone(
    `take jobs from stream '${queueStream.stream}'`,
    "its consumer hands over headers only",
  );
}
