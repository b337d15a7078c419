/**
 * Jobs on their way to those that wait: delayed ones, which lie in a line of their own and are held by who reads them
 * until they are due, lost ones, and those that are given back.
 *
 * @module
 */

import { TooLargeError } from "../../errors.ts";
import type { Bench } from "./bench.ts";
import { ANYWHERE, arrivedOf, memoryOf, type Whither } from "./followed.ts";
import { ACK, type Move, moveAll, successorOf, tellAll } from "./moves.ts";
import type { Line } from "./names.ts";
import type { Place } from "./place.ts";
import { dropNote, lossOf } from "./notes.ts";
import { lineSubject } from "./publish.ts";
import { each } from "./read.ts";
import { isTopic } from "./registry.ts";
import type { Arrival } from "./arrival.ts";
import type { JobRecord } from "./wire.ts";

/** Delayed jobs that are read in one go. */
const PAGE = 1_000;

/** When a job may run. */
export function dueOf({ record: { marks }, time }: Pick<Arrival, "record" | "time">): number {
  return marks.due ?? time + (marks.delay ?? 0);
}

/**
 * Reads the delayed jobs of a queue that nobody has read, page after page until there are no more or the time for it is
 * over, and moves a page of those that are due.
 */
export async function ripenPages(bench: Bench, place: Place, ms: number, until: number): Promise<void> {
  // What lies in a topic goes to its groups as it is.
  if (isTopic(place)) return;
  const { runtime } = bench.link.settings;
  const begun = runtime.monotonic();
  const end = begun + Math.min(ms, (until - begun) / 2);
  for (;;) {
    const arrivals = await bench.pulls.take(place, "d", PAGE, until);
    bench.calendar.take(arrivals);
    if (arrivals.length < PAGE || runtime.monotonic() >= end) break;
  }
  await bench.calendar.flush(place, until);
}

/**
 * Jobs whose leases ran out, as the server delivered them once more: each goes to the line of those that came back, one
 * loss more in its record if somebody had it, and so nobody who held it before can move it any more.
 */
export async function takeBack(bench: Bench, arrivals: readonly Arrival[], until: number): Promise<void> {
  for (const { place, seq } of arrivals) bench.holding.lose(place, seq);
  const now = bench.clock.now();
  const rest = await endMoved(
    bench,
    arrivals.filter((arrival) => isFresh(bench, arrival)),
    ({ place, time }) => now > time + memoryOf(place),
    ANYWHERE,
    until,
  );
  const losses = await each(rest, (arrival) => lossOf(bench, arrival, until));
  const moves = rest.map((arrival, index) =>
    moveTo(arrival, "b", { due: dueOf(arrival), lost: losses[index]?.lost })
  );
  const moved = await moveAll(bench.link, moves, until);
  for (const [index, { place, seq }] of rest.entries()) {
    const end = moved[index];
    if (!(end instanceof Error)) dropNote(bench, place, losses[index]?.note);
    else if (end instanceof TooLargeError) bench.link.settings.warn(stuck(place, seq, end));
  }
}

/** What is told of a message of another program's that leaves no room for what is written of a job. */
function stuck({ stream }: Place, seq: number, { size, limit }: TooLargeError): string {
  return `Message ${seq} of stream '${stream}' was not settled in time and stays reserved until it is removed, as it cannot be ` +
    `stored anew: that would take ${size} bytes of ${limit}`;
}

/** Gives jobs back as they were: others may have them at once. */
export async function giveBack(bench: Bench, arrivals: readonly Arrival[], until: number): Promise<void> {
  const fresh = arrivals.filter((arrival) => isFresh(bench, arrival));
  await moveAll(bench.link, fresh.map((arrival) => moveTo(arrival, "b", { due: dueOf(arrival) })), until);
}

/** Whether the server knows still who moved a job since it was handed over. If not, it comes again, or is gone. */
function isFresh({ link }: Bench, { place, at }: Arrival): boolean {
  return link.settings.runtime.monotonic() < at + memoryOf(place);
}

/** Ends those of an old half move, of which the server may not know any more; the others. */
export async function endMoved(
  bench: Bench,
  arrivals: readonly Arrival[],
  isOld: (arrival: Arrival) => boolean,
  whither: Whither,
  until: number,
): Promise<readonly Arrival[]> {
  const olds = arrivals.filter(isOld).map((arrival) => ({
    arrival,
    id: arrival.record.id,
    once: successorOf(arrival.seq),
  }));
  const ended = new Set<Arrival>();
  for (const place of new Set(olds.map(({ arrival }) => arrival.place))) {
    const here = olds.filter(({ arrival }) => arrival.place === place);
    for (const { arrival } of await arrivedOf(bench, place, here, whither, until)) ended.add(arrival);
  }
  if (ended.size === 0) return arrivals;
  await tellAll(bench.link, [...ended], ACK, until);
  return arrivals.filter((arrival) => !ended.has(arrival));
}

/** A job as it goes from its line to another. */
export function moveTo(
  { place, line, record, payload, seq, reply }: Arrival,
  target: Line,
  changed: JobRecord["marks"],
): Move {
  const marks = { ...record.marks, ...changed };
  const subject = lineSubject(place, target, record.id);
  return { place, line, subject, payload, record: { ...record, marks }, seq, reply };
}
