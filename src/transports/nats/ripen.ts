/**
 * Delayed jobs. They lie in a line of their own; who reads one before it is due parks it at the server for the rest of
 * its time, and who reads one that is due moves it to those that wait.
 *
 * @module
 */

import type { Bench } from "./bench.ts";
import { type Move, moveAll } from "./moves.ts";
import type { Line } from "./names.ts";
import type { Place } from "./place.ts";
import { dropNote, lossOf } from "./notes.ts";
import { lineSubject } from "./publish.ts";
import { each } from "./read.ts";
import { isTopic } from "./registry.ts";
import type { Arrival } from "./pulls.ts";
import type { JobRecord } from "./wire.ts";

const NANOS = 1_000_000;
/** Delayed jobs that are looked at in one go. */
export const RIPEN_PAGE = 256;

/** When a job may run. */
export function dueOf({ record: { marks }, time }: Pick<Arrival, "record" | "time">): number {
  return marks.due ?? time + (marks.delay ?? 0);
}

/** Moves those that are due, in the order of their due times, and parks the others. */
export async function ripen(bench: Bench, arrivals: readonly Arrival[], until: number): Promise<void> {
  const { link, clock } = bench;
  const now = clock.now();
  const ripe: Arrival[] = [];
  for (const arrival of arrivals) {
    const rest = dueOf(arrival) - now;
    if (rest <= 0) ripe.push(arrival);
    else link.send({ subject: arrival.reply, data: `-NAK {"delay":${Math.ceil(rest * NANOS)}}` });
  }
  ripe.sort((a, b) => dueOf(a) - dueOf(b) || a.seq - b.seq);
  const moves = ripe.map((arrival) => moveTo(arrival, "w", { due: dueOf(arrival), delay: undefined }));
  if (moves.length > 0) await moveAll(link, moves, until);
}

/** Looks at the delayed jobs of a queue that nobody has looked at, page after page. */
export async function ripenPages(bench: Bench, place: Place, pages: number, until: number): Promise<void> {
  // What lies in a topic goes to its groups as it is.
  if (isTopic(place)) return;
  for (let page = 0; page < pages; page++) {
    const arrivals = await bench.pulls.take(place, "d", RIPEN_PAGE, until);
    if (arrivals.length > 0) await ripen(bench, arrivals, until);
    if (arrivals.length < RIPEN_PAGE) return;
  }
}

/**
 * Jobs whose leases ran out, as the server delivered them once more: each goes to the line of those that came back, one
 * loss more in its record if somebody had it, and so nobody who held it before can move it any more.
 */
export async function takeBack(bench: Bench, arrivals: readonly Arrival[], until: number): Promise<void> {
  for (const { place, seq } of arrivals) bench.holding.lose(place, seq);
  const losses = await each(arrivals, (arrival) => lossOf(bench, arrival, until));
  const moves = arrivals.map((arrival, index) =>
    moveTo(arrival, "b", { due: dueOf(arrival), lost: losses[index]?.lost })
  );
  const moved = await moveAll(bench.link, moves, until);
  for (const [index, { place }] of arrivals.entries()) {
    if (!(moved[index] instanceof Error)) dropNote(bench, place, losses[index]?.note);
  }
}

/** Gives jobs back as they were: others may have them at once. */
export async function giveBack(bench: Bench, arrivals: readonly Arrival[], until: number): Promise<void> {
  await moveAll(bench.link, arrivals.map((arrival) => moveTo(arrival, "b", { due: dueOf(arrival) })), until);
}

/** A job as it goes from its line to another. */
function moveTo(
  { place, line, record, payload, seq, reply }: Arrival,
  target: Line,
  changed: JobRecord["marks"],
): Move {
  const marks = { ...record.marks, ...changed };
  const subject = lineSubject(place, target, record.id);
  return { place, line, subject, payload, record: { ...record, marks }, seq, reply };
}
