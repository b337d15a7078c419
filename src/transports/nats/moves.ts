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

/** Takes a message out of the stream. Encoded once, as it is sent for each job. */
export const ACK: Uint8Array = new TextEncoder().encode("+ACK");
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

/** A message as its consumer knows it. */
export interface Told {
  readonly reply: string;
  readonly place: Place;
  readonly line: Line;
}

/** Acknowledges messages; resolves when the server has. */
export async function acknowledge(link: Link, messages: readonly Told[], until: number): Promise<void> {
  await tellAll(link, messages, ACK, until);
}

/** Sends a word about messages, and resolves when the server has heard it of all. */
export async function tellAll(
  link: Link,
  messages: readonly Told[],
  word: Uint8Array,
  until: number,
): Promise<void> {
  const consumers = new Map<string, Told[]>();
  for (const message of messages) {
    const { stream, consumers: names } = message.place;
    const consumer = `${stream}.${names[message.line]}`;
    const mine = consumers.get(consumer);
    if (mine === undefined) consumers.set(consumer, [message]);
    else mine.push(message);
  }
  const answers = [...consumers].map(([consumer, mine]) => tell(link, consumer, mine, word, until));
  for (const answer of await Promise.allSettled(answers)) {
    if (answer.status === "rejected") throw answer.reason;
  }
}

/**
 * Those of one consumer are answered by the last. Newer servers say nothing where the delivery is not the current one any
 * more, and a leader that died has heard nothing: so after a while the consumer's leader must show that there is one,
 * and is told once more.
 */
async function tell(
  link: Link,
  consumer: string,
  messages: readonly Told[],
  word: Uint8Array,
  until: number,
): Promise<void> {
  const { runtime } = link.settings;
  const said = async (): Promise<void> => {
    for (const { reply } of messages.slice(0, -1)) link.send({ subject: reply, data: word });
    const subject = messages.at(-1)?.reply ?? "";
    await link.request({ subject, data: word }, Math.min(until, runtime.monotonic() + ACK_PATIENCE));
  };
  const isSilence = (error: unknown): boolean =>
    error instanceof DeadlineExceeded && runtime.monotonic() < until;
  try {
    await said();
  } catch (error) {
    if (!isSilence(error)) throw error;
    await link.api(`CONSUMER.INFO.${consumer}`, undefined, until);
    await said().catch((late) => {
      if (!isSilence(late)) throw late;
    });
  }
}
