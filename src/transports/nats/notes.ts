/**
 * Notes of what was handed over. The server counts what it delivered, and not what a worker got: what lay in the socket of
 * a process that died comes again like what a handler died of. A job's first loss is taken on trust. From then on it is
 * noted, under the number of its message, before it is handed over: so one that nobody ran loses no more than that one
 * lease, however many processes die beside it.
 *
 * @module
 */

import { DeadlineExceeded } from "../../errors.ts";
import { hush } from "../../promises.ts";
import type { Bench } from "./bench.ts";
import { lastMessage, replace } from "./locks.ts";
import type { Place } from "./place.ts";
import type { Arrival } from "./arrival.ts";
import { patrol } from "./patrol.ts";
import { deleteMessage, each, storedAt } from "./read.ts";
import { isFrail, type Stored } from "./wire.ts";

/** Milliseconds that taking one away may take. */
const LATEST = 10_000;

function subjectOf({ base }: Place, seq: number): string {
  return `${base}h.${seq}`;
}

/** What became of notes. */
export interface Noted {
  /** The number of each note. */
  readonly notes: ReadonlyMap<Arrival, number>;
  /** Those of which the server said nothing in time: they are not to be handed over. */
  readonly unheard: ReadonlySet<Arrival>;
}

/** Notes those that lost a lease before. */
export async function noteFrail(bench: Bench, arrivals: readonly Arrival[], until: number): Promise<Noted> {
  const notes = new Map<Arrival, number>();
  const unheard = new Set<Arrival>();
  await each(arrivals.filter(({ record }) => isFrail(record)), async (arrival) => {
    const { place, seq } = arrival;
    const note = await replace(bench, place, subjectOf(place, seq), "", 0, until).catch((error) => {
      if (!bench.link.up) throw error;
      if (error instanceof DeadlineExceeded) unheard.add(arrival);
      // A store that is full gives out what it has: of this one a loss may go uncounted.
      return undefined;
    });
    if (note !== undefined) notes.set(arrival, note);
  });
  return { notes, unheard };
}

/** Takes a note away that is of no use any more. What is left behind is found by who tends the queue. */
export function dropNote(bench: Bench, place: Place, note: number | undefined): void {
  if (note === undefined || !bench.link.up) return;
  hush(deleteMessage(bench, place, note, bench.link.settings.runtime.monotonic() + LATEST));
}

/** How many leases were lost on one that the server delivered again, and its note. */
export async function lossOf(
  bench: Bench,
  { place, seq, record }: Pick<Arrival, "place" | "seq" | "record">,
  until: number,
): Promise<{ readonly lost: number; readonly note: number | undefined }> {
  const { marks: { lost = 0 } } = record;
  if (!isFrail(record)) return { lost: lost + 1, note: undefined };
  const note = await lastMessage(bench, place, subjectOf(place, seq), until);
  return { lost: note === undefined ? lost : lost + 1, note: note?.seq };
}

/** Takes away the notes of jobs that are gone, and what ended some that were settled late. */
export async function sweepNotes(bench: Bench, place: Place, until: number): Promise<void> {
  const sweep = async ({ subject, seq }: Stored): Promise<void> => {
    const job = Number(subject.slice(subject.lastIndexOf(".") + 1));
    if (await storedAt(bench, place, { seq: job }, until) === undefined) {
      await deleteMessage(bench, place, seq, until);
    }
  };
  await patrol(bench, place, "h", sweep, until);
  await patrol(bench, place, "x", async (end) => {
    if (isForgotten(bench, place, end.time)) await sweep(end);
  }, until);
}

/** Whether the server knows no more who followed whom. */
function isForgotten({ clock }: Bench, { window }: Place, time: number): boolean {
  return time + window < clock.now();
}
