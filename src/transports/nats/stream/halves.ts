/**
 * Half batches. A stream without copies checks the messages of a batch together, then stores them one by one, and stops
 * at the first for which there is no room (2.15.1): those before it stay. Where that was the last message the server says
 * that the store is full, as it does of a batch that is refused whole; else it says nothing. It counts the batch as under
 * way from then on, of which it accepts 50, and may store the rest when it is restarted.
 *
 * So each message bears a message id, by which the server is asked whether it has it, however fast its job was done. The
 * batch is withdrawn from the server, and what lacks is stored message by message.
 *
 * @module
 */

import { errorOf, TransportFull } from "../../../errors.ts";
import { HalfStored } from "../client/errors.ts";
import { type Link, PAUSE_MIN, pauseAfter } from "../client/link.ts";
import type { Half } from "./context.ts";
import { numberOf } from "./known.ts";
import { type Part, type Receipt, stored } from "./publish.ts";
import type { QueueStream } from "./queue_stream.ts";
import { withdrawHalves } from "./withdrawal.ts";

/** Milliseconds without an answer after which the server is asked whether it is done with a batch. */
const SILENCE = 1_000;
/** Milliseconds in which an answer is read that came before another one. */
const MOMENT = 50;
/** Milliseconds for which the rest of a batch waits for room. */
const PATIENCE = 3_000;

/** A batch that was sent. */
export interface SentBatch {
  readonly id: string;
  readonly parts: readonly [Part, ...Part[]];
  /** The server's answer to its last message. */
  readonly answer: Promise<Receipt>;
}

/** Whether a server may store a part of a batch, and can be asked what it has. */
export function mayBeHalf({ replicas }: QueueStream, parts: readonly Part[]): boolean {
  return replicas === 1 && parts.length > 1 && parts.every(({ once }) => once !== undefined);
}

/** The receipt of a batch, once it is known whether it was stored whole; else what was stored of it. */
export async function wholeOrHalf(
  link: Link,
  queueStream: QueueStream,
  { id, parts, answer }: SentBatch,
  until: number,
): Promise<Receipt | Half> {
  const told = answer.catch(errorOf);
  let end = await heard(link, told, SILENCE);
  if (end === undefined) {
    const { epoch } = link;
    // The server does in its order what is sent on one connection: once it answers this it is done with the batch.
    await numberOf(link, queueStream, parts[0], until).catch(() => told);
    end = link.epoch === epoch ? await heard(link, told, MOMENT) : await told;
  }
  if (end !== undefined && !(end instanceof Error)) return end;
  if (end !== undefined && !(end instanceof TransportFull)) throw end;
  const seqs = await Promise.all(parts.map((part) => numberOf(link, queueStream, part, until)))
    .catch((error) => Promise.reject(new HalfStored(error)));
  const seq = seqs.at(-1) ?? 0;
  if (seq > 0 && !seqs.includes(0)) return { state: "stored", seq, twin: false };
  if (end !== undefined && seqs.every((one) => one === 0)) throw end;
  queueStream.store.halves.set(id, parts[0].subject);
  await withdrawHalves(link, queueStream, until);
  return { state: "half", seqs, isOver: !queueStream.store.halves.has(id) };
}

/** The answer, or undefined when none has come in so many milliseconds. */
function heard<T>(link: Link, told: Promise<T>, ms: number): Promise<T | undefined> {
  return new Promise((resolve) => {
    const alarm = link.alarms.set(ms, () => resolve(undefined));
    void told.then((end) => {
      alarm.cancel();
      resolve(end);
    });
  });
}

/** Stores what lacks of a batch, in its order. Its receipt is that of the last message, or of one that is refused. */
export async function storeRest(
  link: Link,
  queueStream: QueueStream,
  parts: readonly Part[],
  { seqs, isOver }: Pick<Half, "seqs" | "isOver">,
  until: number,
): Promise<Receipt> {
  let refused: Receipt | undefined;
  let last: Receipt = { state: "duplicate", seq: 0, twin: false };
  let isHalf = !isOver || seqs.some((seq) => seq > 0);
  const latest = Math.min(until, link.settings.runtime.monotonic() + PATIENCE);
  for (const [index, part] of parts.entries()) {
    const seq = seqs[index] ?? 0;
    if (seq > 0) {
      last = { state: "stored", seq, twin: false };
      continue;
    }
    try {
      last = await storeOne(link, queueStream, part, until, isHalf ? latest : 0);
      if (last.state === "refused") refused ??= last;
      else isHalf = true;
    } catch (error) {
      throw isHalf ? new HalfStored(error) : error;
    }
  }
  return refused ?? last;
}

/** Stores one message, tried again until a time while there is no room for it. */
async function storeOne(
  link: Link,
  { stream, leader }: QueueStream,
  part: Part,
  until: number,
  latest: number,
): Promise<Receipt> {
  const outgoing = { ...part, leader, again: true };
  for (let pause = PAUSE_MIN;; pause = pauseAfter(pause)) {
    try {
      return await stored(link, outgoing, `store a job in stream '${stream}'`, until);
    } catch (error) {
      if (!(error instanceof TransportFull) || link.settings.runtime.monotonic() + pause >= latest) {
        throw error;
      }
      await link.elections.rest(pause);
    }
  }
}
