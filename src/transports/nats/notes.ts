/**
 * Notes of hand-overs. The server counts what it delivered, and not what a worker got: what lay in the socket of a process
 * that died comes again like what a handler died of. A job's first loss is taken on trust. From then on it is noted,
 * under the number of its message, before it is handed over: so one that never ran loses no more than that one lease,
 * however many processes die beside it. The server removes a note by itself after a day.
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

/** Milliseconds that taking one away may take. */
const LATEST = 10_000;
/** Seconds for which a note is kept. */
const DAY = 86_400;

function subjectOf({ base }: QueueStream, seq: number): string {
  return `${base}h.${seq}`;
}

/** What became of notes. */
export interface Noted {
  /** The number of each note. */
  readonly notes: ReadonlyMap<Received, number>;
  /** Those of which the server said nothing in time: they are not to be handed over. */
  readonly unheard: ReadonlySet<Received>;
}

/** Notes those that lost a lease before. */
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
      // A store that is full gives out what it has: of this one a loss may go uncounted.
      return undefined;
    });
    if (note !== undefined) notes.set(received, note);
  });
  return { notes, unheard };
}

/** Takes a note away that is of no use any more. */
export function dropNote(context: Context, queueStream: QueueStream, note: number | undefined): void {
  if (note === undefined || !context.link.up) return;
  const until = context.link.settings.runtime.monotonic() + LATEST;
  hush(deleteMessage(context, queueStream, note, until));
}

/** How many leases were lost on one that the server delivered again, and its note. */
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
