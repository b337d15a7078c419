/**
 * Notes of hand-overs. The server counts its own deliveries, and not the hand-overs to workers: a job that lay in the
 * socket of a process that died comes again like one whose handler ended the process. A job's first loss is counted
 * without proof. From then on each hand-over gets a note, under the number of the job's message, before it is made: so
 * a job that never ran loses no more than that one lease, however many processes die beside it. The server removes a
 * note by itself after a day.
 *
 * @module
 */

import { DeadlineExceeded } from "../../errors.ts";
import { hush } from "../../promises.ts";
import type { Context } from "./context.ts";
import { replace, single } from "./stream/compare_and_set.ts";
import { isFrail } from "./stream/message.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { deleteMessage, each } from "./stream/read.ts";
import type { Received } from "./stream/received.ts";

/** Milliseconds that the removal of a note may take. */
const LATEST = 10_000;
/** Seconds for which a note is kept. */
const DAY = 86_400;

function subjectOf({ base }: QueueStream, seq: number): string {
  return `${base}h.${seq}`;
}

/** The notes that were written, and the jobs without an answer about theirs. */
export interface Noted {
  /** The number of each note. */
  readonly notes: ReadonlyMap<Received, number>;
  /** Jobs of whose notes the server said nothing in time: they are not to be handed over. */
  readonly unheard: ReadonlySet<Received>;
}

/** Writes the notes of the jobs that lost a lease before. */
export async function noteFrail(
  context: Context,
  all: readonly Received[],
  until: number,
): Promise<Noted> {
  const notes = new Map<Received, number>();
  const unheard = new Set<Received>();
  await each(all.filter(({ record }) => isFrail(record)), async (received) => {
    const { queueStream, seq } = received;
    const wanted = { subject: subjectOf(queueStream, seq), text: "", expected: 0, ttl: DAY };
    const note = await replace(context, queueStream, wanted, until).catch((error) => {
      if (!context.link.up) throw error;
      if (error instanceof DeadlineExceeded) unheard.add(received);
      // A store that is full still gives out its jobs: a loss of this one may go uncounted.
      return undefined;
    });
    if (note !== undefined) notes.set(received, note);
  });
  return { notes, unheard };
}

/** Removes a note that is of no use any more. */
export function dropNote(context: Context, queueStream: QueueStream, note: number | undefined): void {
  if (note === undefined || !context.link.up) return;
  const until = context.link.settings.runtime.monotonic() + LATEST;
  hush(deleteMessage(context, queueStream, note, until));
}

/** How many leases a job lost that the server delivered again, and its note. */
export async function lossOf(
  context: Context,
  { queueStream, seq, record }: Received,
  until: number,
): Promise<{ readonly lost: number; readonly note: number | undefined }> {
  const { marks: { lost = 0 } } = record;
  if (!isFrail(record)) return { lost: lost + 1, note: undefined };
  const note = await single(context, queueStream, subjectOf(queueStream, seq), until);
  return { lost: note === undefined ? lost : lost + 1, note: note?.seq };
}
