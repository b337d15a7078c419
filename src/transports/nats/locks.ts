/**
 * Messages that stand alone on their subject and are replaced only by who knows the last one.
 *
 * @module
 */

import type { Bench } from "./bench.ts";
import { FAULT, isFault } from "./errors.ts";
import type { Place } from "./place.ts";
import { type Receipt, refusalOf, store } from "./publish.ts";
import { lastOf } from "./read.ts";
import { EXPECTED_SEQUENCE, HEADER, MESSAGE_ID } from "./wire.ts";

/** Such a message. */
export interface Single {
  readonly seq: number;
  /** When it was written. */
  readonly time: number;
  /** What our header line says. */
  readonly text: string;
}

/** The last message of a subject. */
export async function lastMessage(
  bench: Bench,
  place: Place,
  subject: string,
  until: number,
): Promise<Single | undefined> {
  const stored = await lastOf(bench, place, subject, until);
  if (stored === undefined) return undefined;
  return { seq: stored.seq, time: stored.time, text: stored.header };
}

/**
 * Puts a message in the place of the one with that number, 0 for none; undefined when another stands there. In a cluster
 * it bears a message id of its own, so that it is known again when it is sent again.
 */
export async function replace(
  { link }: Bench,
  place: Place,
  subject: string,
  text: string,
  expected: number,
  until: number,
  data: Uint8Array | string = "",
): Promise<number | undefined> {
  const lines: [string, string][] = [
    [EXPECTED_SEQUENCE, `${expected}`],
    ["Nats-Rollup", "sub"],
    [HEADER, text],
  ];
  if (link.clustered) lines.push([MESSAGE_ID, link.settings.runtime.id()]);
  const message = { subject, data, lines, leader: place.leader, again: true };
  const receipt = await new Promise<Receipt | Error>((told) =>
    store(link, message, `write '${subject}'`, until, told)
  );
  if (!(receipt instanceof Error)) return receipt.seq;
  const fault = refusalOf(receipt);
  if (isFault(fault, FAULT.wrongLastSequence) || isFault(fault, FAULT.otherLastSequence)) return undefined;
  throw receipt;
}
