/**
 * Acknowledgements: the client's words to the server about messages that were handed over.
 *
 * @module
 */

import { DeadlineExceeded, errorOf } from "../../../errors.ts";
import { AnswerLost, NoResponders } from "../client/errors.ts";
import { consumerLeader, type Link } from "../client/link.ts";
import { deliveredOf, isSameTime } from "./message.ts";
import type { QueueStream } from "./queue_stream.ts";
import { deleteMessage, each, storedAt } from "./read.ts";
import type { PullState } from "./subjects.ts";

/** Removes a message from the stream. Encoded once, as it is sent for each job. */
export const ACK: Uint8Array = new TextEncoder().encode("+ACK");
/** Tells the server that a message is still worked on. */
export const WORKING: Uint8Array = new TextEncoder().encode("+WPI");

/** Has the server hand a message over again at once. */
const AGAIN = "-NAK";
/** Messages at most of which a process knows that it let them go where they lie. */
const LET_GO = 10_000;

/** Milliseconds after which the cause of an acknowledgement without an answer is sought. */
const PATIENCE = 1_000;
/** Milliseconds between two checks whether a message has left its stream, at first and at most, and for how long. */
const PAUSE_MIN = 2;
const PAUSE_MAX = 50;
const LEAVING = 1_000;

/** A message as its consumer knows it. */
export interface Handed {
  readonly reply: string;
  readonly queueStream: QueueStream;
  readonly state: PullState;
  readonly seq: number;
}

/** Where the acknowledgement goes of a message that another client holds, or none. */
export function replyOf({ stream, consumers }: QueueStream, state: PullState, seq: number, time = 0): string {
  return `$JS.ACK.${stream}.${consumers[state]}.1.${seq}.1.${time}.0`;
}

/**
 * Sends an acknowledgement of messages; answers an error for each of which it is not known that the server has heard
 * it. In a cluster it is not sent again after the instant `last`, when it could be taken for another delivery's.
 */
export async function tellAll(
  link: Link,
  messages: readonly Handed[],
  word: Uint8Array,
  until: number,
  last: number = until,
): Promise<(Error | undefined)[]> {
  const failed = new Map<Handed, Error>();
  await Promise.all(
    byConsumer(messages).map(async (mine) => {
      const highest = mine.reduce((a, b) => b.seq > a.seq ? b : a);
      try {
        await tell(link, mine, highest, word, { until, last });
      } catch (error) {
        for (const message of mine) failed.set(message, errorOf(error));
        return;
      }
      if (word === ACK && highest.queueStream.replicas > 1) await hasLeft(link, highest, until);
    }),
  );
  return failed.size === 0 ? [] : messages.map((message) => failed.get(message));
}

function byConsumer(messages: readonly Handed[]): Handed[][] {
  const known = new Map<QueueStream, { [state in PullState]?: Handed[] }>();
  for (const message of messages) {
    const { queueStream, state } = message;
    let states = known.get(queueStream);
    if (states === undefined) known.set(queueStream, states = {});
    (states[state] ??= []).push(message);
  }
  return [...known.values()].flatMap((states) => Object.values(states));
}

/**
 * Acknowledgements of one consumer's messages are answered by the last, which has the highest number: a server that
 * knows of that delivery knows of the others. A server that was killed may have forgotten the messages that it handed
 * over in its last moment, and does not answer their acknowledgements; a leader that died has heard nothing. So after a
 * while the consumer's leader must show that there is one, and is told once more. In a cluster that goes on until there
 * is an answer, as a leader may know less than the one before it, and catches up. A single server will not know more: a
 * message that has ended is removed from the stream then, as it would be handed over again, and one that is still
 * worked on is not held.
 */
async function tell(
  link: Link,
  messages: readonly Handed[],
  highest: Handed,
  word: Uint8Array,
  { until, last }: { readonly until: number; readonly last: number },
): Promise<void> {
  const { runtime } = link.settings;
  const { queueStream: { stream, consumers }, state, reply: subject } = highest;
  const leader = consumerLeader(stream, consumers[state]);
  const over = link.clustered ? Math.min(until, last) : until;
  for (let silent = 0;;) {
    try {
      for (const message of messages) {
        if (message !== highest) link.send({ subject: message.reply, data: word });
      }
      await link.request({ subject, data: word }, Math.min(until, runtime.monotonic() + PATIENCE));
      return;
    } catch (error) {
      if (runtime.monotonic() >= over) throw error;
      if (error instanceof NoResponders) await link.elections.elected(leader, over);
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

/**
 * Lets go of a message where it lies, as a full store has no room to move it. It is said once, and without an answer: a
 * second word could be taken for one about another worker's lease; where it is lost, the lease runs out. This process
 * knows the message again, and that no worker had it in between.
 */
export function letGo(link: Link, { queueStream: { letGo: known }, reply, seq }: Handed): void {
  const [oldest] = known.size < LET_GO ? [] : known.keys();
  if (oldest !== undefined) known.delete(oldest);
  known.set(seq, deliveredOf(reply).count);
  link.send({ subject: reply, data: AGAIN });
}

/** Whether this process let a message go where it lies, and no worker had it since. */
export function wasLetGo({ letGo }: QueueStream, seq: number, count: number): boolean {
  const before = letGo.get(seq);
  letGo.delete(seq);
  return before === count - 1;
}

/** Removes a message from its stream, unless another has its number by now, as the stream was made anew. */
async function takeOut(link: Link, { queueStream, seq, reply }: Handed, until: number): Promise<void> {
  const stored = await storedAt({ link, queueStream, until }, { seq });
  const { time } = deliveredOf(reply);
  if (stored === undefined || (time > 0 && !isSameTime(stored.time, time))) return;
  await deleteMessage({ link, queueStream, until }, seq);
}

/**
 * Resolves when the acknowledged messages of a consumer have left their stream, or when they have been waited for long
 * enough.
 *
 * The server answers once most servers know of the acknowledgement; the stream's leader hears of it a moment later, and
 * has most of them remove the message then. Until that is so an id seems taken whose job is done, and a job seems
 * reserved that waits for its next run. The message with the highest number is checked, as it was acknowledged last,
 * and they leave in that order.
 */
async function hasLeft(link: Link, { queueStream, seq }: Handed, until: number): Promise<void> {
  const { runtime } = link.settings;
  const late = Math.min(until, runtime.monotonic() + LEAVING);
  try {
    for (let pause = PAUSE_MIN; runtime.monotonic() < late; pause = Math.min(PAUSE_MAX, 2 * pause)) {
      if (await storedAt({ link, queueStream, until: late }, { seq }) === undefined) return;
      await link.elections.rest(pause);
    }
  } catch {
    // The server has heard the acknowledgement, whatever became of this question.
  }
}
