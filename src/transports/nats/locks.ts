/**
 * Messages that stand alone on their subject and are replaced only by who knows the last one.
 *
 * @module
 */

import type { Bench } from "./bench.ts";
import { FAULT, isFault } from "./errors.ts";
import type { Place } from "./place.ts";
import { type Receipt, receipted } from "./publish.ts";
import { EXPECTED_SEQUENCE, HEADER, storedOf } from "./wire.ts";

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
  { link }: Bench,
  place: Place,
  subject: string,
  until: number,
): Promise<Single | undefined> {
  const data = JSON.stringify({ last_by_subj: subject });
  const answer = await link.request({ subject: `$JS.API.DIRECT.GET.${place.stream}`, data }, until);
  const stored = storedOf(answer, place.rawName);
  if (stored === undefined) return undefined;
  return { seq: stored.seq, time: stored.time, text: stored.header };
}

/** Puts a message in the place of the one with that number, 0 for none; undefined when another stands there. */
export async function replace(
  { link }: Bench,
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
  const what = `write '${subject}'`;
  try {
    const receipt = await new Promise<Receipt>((resolve, reject) =>
      link.ask(
        { subject, data, lines },
        until,
        receipted(what, (answer, error) => answer === undefined ? reject(error) : resolve(answer)),
      )
    );
    return receipt.seq;
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    if (isFault(cause, FAULT.wrongLastSequence) || isFault(cause, FAULT.otherLastSequence)) return undefined;
    throw error;
  }
}
