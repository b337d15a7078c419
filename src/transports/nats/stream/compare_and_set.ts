/**
 * Messages that are alone on their subjects, each replaced only by a write that knows its number.
 *
 * @module
 */

import type { Link } from "../client/link.ts";
import { HEADER, MESSAGE_ID } from "./message.ts";
import { type Receipt, store } from "./publish.ts";
import type { QueueStream } from "./queue_stream.ts";

/** The message that is to be written. */
export interface Replacement {
  readonly subject: string;
  /** The text of our header line. */
  readonly text: string;
  readonly data?: Uint8Array | undefined;
  /** The number of the message that is replaced; 0 for none. */
  readonly expected: number;
  /** Seconds after which the server removes it. */
  readonly ttl?: number | undefined;
}

/** The header lines of a replacement. */
export function replacing({ text, expected, ttl }: Replacement): [string, string][] {
  const lines: [string, string][] = [
    ["Nats-Expected-Last-Subject-Sequence", `${expected}`],
    ["Nats-Rollup", "sub"],
    [HEADER, text],
  ];
  if (ttl !== undefined) lines.push(["Nats-TTL", `${ttl}s`]);
  return lines;
}

/**
 * Replaces the message with that number; answers the number of the new one, or undefined when another message is there.
 * In a cluster it bears a message id of its own, so that it is known again when it is sent again.
 */
export async function replace(
  { link }: { readonly link: Link },
  { leader }: QueueStream,
  replacement: Replacement,
  until: number,
): Promise<number | undefined> {
  const { subject, data = new Uint8Array() } = replacement;
  const lines = replacing(replacement);
  if (link.clustered) lines.push([MESSAGE_ID, link.settings.runtime.id()]);
  const message = { subject, data, lines, leader, again: true };
  const receipt = await new Promise<Receipt | Error>((told) =>
    store(link, message, `write '${subject}'`, until, told)
  );
  if (receipt instanceof Error) throw receipt;
  return receipt.state === "refused" ? undefined : receipt.seq;
}
