/**
 * Moves: a job goes from one message to the next in two writes. First the successor is published under a message id
 * made of the number of the message it follows, then that one is acknowledged. So a message has one successor at most,
 * whoever moves it and how often; and whoever finds half a move finishes it.
 *
 * @module
 */

import { DeadlineExceeded } from "../../errors.ts";
import type { Link } from "./link.ts";
import type { Line } from "./names.ts";
import type { Place } from "./place.ts";
import { type Letter, published } from "./publish.ts";

/** Takes a message out of the stream. */
export const ACK = "+ACK";
/** Milliseconds after which an acknowledgement that is not answered is looked into. */
const ACK_PATIENCE = 1_000;

/** The id under which the one successor of a message is stored. */
export function successorOf(seq: number): string {
  return `m${seq}`;
}

/** What is to be moved, and where to. */
export interface Move extends Omit<Letter, "once"> {
  /** The line that it comes from. */
  readonly line: Line;
  /** The number of the message that is followed. */
  readonly seq: number;
  /** Where its acknowledgement goes. */
  readonly reply: string;
}

/**
 * Moves messages, in their order. True for what was moved now; false for what had been moved before, which is finished.
 * An error for what was not stored, or may or may not have been.
 */
export async function moveAll(
  link: Link,
  moves: readonly Move[],
  until: number,
): Promise<(boolean | Error)[]> {
  const results = await Promise.all(
    moves.map(async ({ seq, reply: _, line: __, ...letter }): Promise<boolean | Error> => {
      try {
        return !(await published(link, { ...letter, once: successorOf(seq) }, until)).duplicate;
      } catch (error) {
        return error instanceof Error ? error : new Error("Cannot move a job", { cause: error });
      }
    }),
  );
  const done = moves.filter((_, index) => !(results[index] instanceof Error));
  await acknowledge(link, done, until).catch(() => undefined);
  return results;
}

/** Acknowledges messages; resolves when the server has. Those of one consumer are answered by the last. */
export async function acknowledge(
  link: Link,
  messages: readonly { readonly reply: string; readonly place: Place; readonly line: Line }[],
  until: number,
): Promise<void> {
  const last = new Map<string, string>();
  for (const { reply, place, line } of messages) last.set(place.consumers[line] + place.stream, reply);
  const answers: Promise<unknown>[] = [];
  for (const { reply, place, line } of messages) {
    if (last.get(place.consumers[line] + place.stream) !== reply) link.send({ subject: reply, data: ACK });
    else answers.push(confirmed(link, reply, ACK, until));
  }
  for (const answer of await Promise.allSettled(answers)) {
    if (answer.status === "rejected") throw answer.reason;
  }
}

/**
 * Sends a word about a delivery, and resolves when the server has heard it. Newer servers say nothing where the delivery
 * is not the current one any more; so after a while whether the server answers at all decides.
 */
export async function confirmed(link: Link, reply: string, word: string, until: number): Promise<void> {
  const { runtime } = link.settings;
  try {
    await link.request({ subject: reply, data: word }, Math.min(until, runtime.monotonic() + ACK_PATIENCE));
  } catch (error) {
    if (!(error instanceof DeadlineExceeded) || runtime.monotonic() >= until) throw error;
    await link.api(`INFO`, undefined, until);
  }
}
