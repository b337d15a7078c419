/**
 * Moves: a job goes from one message to the next in two writes. First the successor is published under a message id
 * made of the number of the message it follows, then that one is acknowledged. So a message has one successor at most,
 * whoever moves it and how often; and whoever finds half a move finishes it.
 *
 * @module
 */

import { DeadlineExceeded, errorOf } from "../../errors.ts";
import { AnswerLost, NoResponders, untold } from "./errors.ts";
import { consumerLeader } from "./leaders.ts";
import { haveLeft } from "./leaving.ts";
import type { Link } from "./link.ts";
import type { Line } from "./names.ts";
import type { Place } from "./place.ts";
import { type Letter, published } from "./publish.ts";
import { deleteMessage, each, storedAt } from "./read.ts";
import { deliveredOf, isSameTime, type Stored } from "./wire.ts";

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
 * An error for what was not stored, or may or may not have been, or where nobody can know who moved it.
 */
export async function moveAll(
  link: Link,
  moves: readonly Move[],
  until: number,
): Promise<(boolean | Error)[]> {
  const followed = new Set<Move>();
  const results = await Promise.all(
    moves.map(async (move): Promise<boolean | Error> => {
      const { seq, reply: _, line: __, ...letter } = move;
      try {
        const { duplicate, twin, seq: at } = await published(
          link,
          { ...letter, once: successorOf(seq) },
          until,
        );
        followed.add(move);
        if (!twin) return !duplicate;
        // Another may have moved it before this was sent again.
        const found = await storedAt({ link }, move.place, { seq: at }, until);
        return found === undefined ? untold() : isOurs(found, move);
      } catch (error) {
        return error instanceof Error ? error : new Error("Cannot move a job", { cause: error });
      }
    }),
  );
  const done = moves.filter((move) => followed.has(move));
  const failed = await tellAll(link, done, ACK, until);
  await haveLeft(link, done.filter((_, index) => failed[index] === undefined), until);
  return results;
}

/** Whether a message is what a move has stored. */
export function isOurs({ id, subject, marks }: Stored, move: Move): boolean {
  return id === move.record.id && subject === move.subject &&
    (marks.lost ?? 0) === (move.record.marks.lost ?? 0);
}

/** A message as its consumer knows it. */
export interface Told {
  readonly reply: string;
  readonly place: Place;
  readonly line: Line;
  readonly seq: number;
}

/** Acknowledges a message in the stead of whoever holds it, or of nobody. */
export function endInStead(link: Link, { stream, consumers }: Place, line: Line, seq: number): void {
  link.send({ subject: `$JS.ACK.${stream}.${consumers[line]}.1.${seq}.1.0.0`, data: ACK });
}

/**
 * Sends a word about messages; in the place of each an error where it is not known that the server has heard it. In a cluster it is
 * not said again after the instant `last`, when it could be taken for another's.
 */
export async function tellAll(
  link: Link,
  messages: readonly Told[],
  word: Uint8Array,
  until: number,
  last: number = until,
): Promise<(Error | undefined)[]> {
  const groups: Told[][] = [];
  const places = new Map<Place, Map<Line, Told[]>>();
  for (const message of messages) {
    const { place, line } = message;
    let lines = places.get(place);
    if (lines === undefined) places.set(place, lines = new Map());
    let mine = lines.get(line);
    if (mine === undefined) {
      lines.set(line, mine = []);
      groups.push(mine);
    }
    mine.push(message);
  }
  const failed = new Map<Told, Error>();
  await Promise.all(groups.map(async (mine) => {
    const { place: { stream, consumers }, line } = mine[0] as Told;
    const leader = consumerLeader(stream, consumers[line]);
    try {
      await tell(link, leader, mine, word, { until, last });
    } catch (error) {
      for (const message of mine) failed.set(message, errorOf(error));
    }
  }));
  return failed.size === 0 ? [] : messages.map((message) => failed.get(message));
}

/**
 * Those of one consumer are answered by the last, which has the highest number: a server that knows of that delivery
 * knows of the others. One that was killed may have forgotten what it handed over in its last moment, and newer ones say
 * nothing to whoever speaks of that; a leader that died has heard nothing. So after a while the consumer's leader must
 * show that there is one, and is told once more. In a cluster that goes on until there is an answer, as a leader may know
 * less than the one before it, and catches up. One server will not know more: what has ended is taken out of the stream
 * then, as it would be handed over again, and what is still worked on is not held.
 */
async function tell(
  link: Link,
  leader: string,
  messages: readonly Told[],
  word: Uint8Array,
  { until, last }: { readonly until: number; readonly last: number },
): Promise<void> {
  const { runtime } = link.settings;
  const over = link.clustered ? Math.min(until, last) : until;
  const highest = messages.reduce<Told | undefined>(
    (a, b) => a === undefined || b.seq > a.seq ? b : a,
    undefined,
  );
  for (let silent = 0;;) {
    try {
      for (const message of messages) {
        if (message !== highest) link.send({ subject: message.reply, data: word });
      }
      const subject = highest?.reply ?? "";
      await link.request({ subject, data: word }, Math.min(until, runtime.monotonic() + ACK_PATIENCE));
      return;
    } catch (error) {
      if (runtime.monotonic() >= over) throw error;
      if (error instanceof NoResponders) await link.leaders.elected(leader, over);
      else if (error instanceof AnswerLost && link.clustered) {
        await link.ready(over, "tell the server of jobs");
      } else if (!(error instanceof DeadlineExceeded)) throw error;
      else if (++silent > 1 && !link.clustered) {
        if (word !== ACK) throw error;
        await each(messages, (message) => takeOut(link, message, over));
        return;
      } else await link.api(leader, undefined, over);
    }
  }
}

/** Takes a message out of its stream, unless another has its number by now, as the stream was made anew. */
async function takeOut(link: Link, { place, seq, reply }: Told, until: number): Promise<void> {
  const stored = await storedAt({ link }, place, { seq }, until);
  if (stored === undefined || !isSameTime(stored.time, deliveredOf(reply).time)) return;
  await deleteMessage({ link }, place, seq, until);
}
