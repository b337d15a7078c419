/**
 * What an operator sees: counts, listings, single jobs.
 *
 * @module
 */

import type { Entry, Page, PageRequest } from "../../exchange.ts";
import type { Channel, DeadChannel, QueueInfo } from "../../job.ts";
import { checkInteger } from "../../options.ts";
import type { Bench } from "./bench.ts";
import { timeOfDeath } from "./deaths.ts";
import { FAULT, isFault } from "./errors.ts";
import { LINES, nextIn, stateOf, statesOf } from "./lines.ts";
import type { Link } from "./link.ts";
import { idToken, type Line } from "./names.ts";
import type { Place } from "./place.ts";
import { queueOf } from "./compare.ts";
import { lineSubject } from "./publish.ts";
import { each, graves, lastOf, newestGraves, scan, storedAt } from "./read.ts";
import { dueOf, ripenPages } from "./ripen.ts";
import type { Stored } from "./wire.ts";

/** Milliseconds for which delayed jobs are read before a look. */
export const READING = 3_000;

/** Counts per channel. */
export async function infoOf(bench: Bench, queue: string, until: number): Promise<QueueInfo> {
  const place = await bench.places.find(queue, until);
  if (place === undefined) return { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };
  await ripenPages(bench, place, READING, until);
  const { left } = await bench.stranded.rescue(place, until);
  const [lines, failed, timeout] = await Promise.all([
    // What is due and about to go to those that wait is counted as if it were there.
    bench.calendar.still(place, async () => {
      const states = await statesOf(bench, place, until);
      return { states, due: bench.calendar.due(place) };
    }),
    countOf(bench, place, "failed", until),
    countOf(bench, place, "timeout", until),
  ]);
  const { states: [fresh, back, delayed], due } = lines;
  if (fresh === undefined || back === undefined || delayed === undefined) {
    throw new Error("A line has no consumer");
  }
  const unmoved = delayed.num_pending + delayed.num_ack_pending;
  const ripe = Math.min(due.count, unmoved);
  const waiting = fresh.num_pending + back.num_pending + ripe;
  const counts = {
    waiting,
    delayed: unmoved - ripe,
    reserved: fresh.num_ack_pending + back.num_ack_pending + left,
    failed,
    timeout,
  };
  if (waiting === 0) return counts;
  // A server of 2.9 looks through all that waits to say that a line has nothing.
  const first = await Promise.all([
    fresh.num_pending > 0 ? nextIn(bench, place, "w", fresh, until) : undefined,
    back.num_pending > 0 ? nextIn(bench, place, "b", back, until) : undefined,
  ]);
  const times = first.flatMap((message) => message === undefined ? [] : [dueAt(message)]);
  if (ripe > 0) times.push(due.oldest);
  return times.length === 0
    ? counts
    : { ...counts, oldest: Math.max(0, bench.clock.now() - Math.min(...times)) };
}

/** When a job may run. */
export function dueAt(message: Stored): number {
  return dueOf({ record: message, time: message.time });
}

async function countOf(bench: Bench, place: Place, channel: DeadChannel, until: number): Promise<number> {
  return (await graves(bench, place, channel, undefined, until)).length;
}

/**
 * The names of all queues that hold a job, or held one. One list of all streams would be less to ask for, but a cluster
 * leaves out the streams whose leaders do not answer it in time, and waits four seconds for them, whosesoever they are.
 */
export async function queueNames({ link }: Bench, until: number): Promise<string[]> {
  const { prefix } = link.settings;
  const streams: string[] = [];
  for (let offset = 0;;) {
    const { total, streams: page } = await link.api<
      { readonly total: number; readonly streams: readonly string[] | null }
    >("STREAM.NAMES", { offset, subject: `${prefix}.>` }, until);
    for (const name of page ?? []) if (name.startsWith(`${prefix}_`)) streams.push(name);
    offset += page?.length ?? 0;
    if ((page ?? []).length === 0 || offset >= total) break;
  }
  const queues = await each(streams, (stream) => heldBy(link, stream, until));
  return queues.flatMap((queue) => queue ?? []).sort();
}

/** The queue that a stream is, if it holds a job or held one. */
async function heldBy(link: Link, stream: string, until: number): Promise<string | undefined> {
  try {
    const { config, state } = await link.api<
      { readonly config: { readonly description?: string }; readonly state: { readonly last_seq: number } }
    >(`STREAM.INFO.${stream}`, undefined, until);
    return state.last_seq === 0 ? undefined : queueOf(config.description);
  } catch (error) {
    // It went since it was named.
    if (isFault(error, FAULT.streamNotFound)) return undefined;
    throw error;
  }
}

/** The live job of each id, else its newest dead one. */
export async function getJobs(
  bench: Bench,
  queue: string,
  ids: readonly string[],
  until: number,
): Promise<(Entry | undefined)[]> {
  const place = await bench.places.find(queue, until);
  if (place === undefined || ids.length === 0) return ids.map(() => undefined);
  const seen = await delivered(bench, place, until);
  const unique = [...new Set(ids)];
  const found = new Map<string, Entry>();
  await each(unique, async (id) => {
    const live = await liveOf(bench, place, id, seen, until);
    if (live !== undefined) found.set(id, live);
  });
  const rest = unique.filter((id) => !found.has(id));
  const newest = await newestGraves(bench, place, rest, until);
  await each(rest, async (id) => {
    const grave = newest.get(idToken(id));
    const dead = grave === undefined ? undefined : await lastOf(bench, place, grave.subject, until);
    if (dead !== undefined) {
      found.set(id, entryOf(bench, place, dead, channelOf(bench, place, dead, seen), Infinity));
    }
  });
  return ids.map((id) => found.get(id));
}

/** How far each line was delivered: what is behind it waits. */
export type Seen = Readonly<Record<Line, number>>;

export async function delivered(bench: Bench, place: Place, until: number): Promise<Seen> {
  const [w, b, d] = await Promise.all(LINES.map((line) => stateOf(bench, place, line, until)));
  const seq = (state: typeof w): number => state?.delivered.stream_seq ?? 0;
  return { w: seq(w), b: seq(b), d: seq(d) };
}

async function liveOf(
  bench: Bench,
  place: Place,
  id: string,
  seen: Seen,
  until: number,
): Promise<Entry | undefined> {
  const raw = /^[1-9]\d{0,15}$/.test(id) ? storedAt(bench, place, { seq: Number(id) }, until) : undefined;
  const [live, foreign] = await Promise.all([
    Promise.all(LINES.map((line) => lastOf(bench, place, lineSubject(place, line, id), until))),
    raw,
  ]);
  const alive = live.find((message) => message !== undefined && message.id === id) ??
    (foreign?.id === id && foreign.meta === "" ? foreign : undefined);
  return alive === undefined || lineOf(place, alive) === undefined
    ? undefined
    : entryOf(bench, place, alive, channelOf(bench, place, alive, seen), Infinity);
}

function lineOf({ base }: Place, { subject }: Stored): Line | undefined {
  return LINES.find((line) => subject.startsWith(`${base}${line}.`));
}

/** Which channel a message is in. */
export function channelOf(bench: Bench, place: Place, message: Stored, seen: Seen): Channel {
  const line = lineOf(place, message);
  if (line === "d") return dueAt(message) > bench.clock.now() ? "delayed" : "waiting";
  if (line !== undefined) return message.seq > seen[line] ? "waiting" : "reserved";
  return message.subject.startsWith(`${place.base}f.`) ? "failed" : "timeout";
}

/** A message as an operator sees it. */
export function entryOf(
  bench: Bench,
  place: Place,
  message: Stored,
  channel: Channel,
  preview: number,
): Entry {
  const { id, name, meta, marks, payload } = message;
  const dead = channel === "failed" || channel === "timeout";
  return {
    queue: place.queue,
    channel,
    id,
    name,
    payload: payload.slice(0, Math.min(preview, payload.length)),
    size: payload.length,
    meta,
    lost: marks.lost ?? 0,
    reset: !dead && marks.reset === true,
    time: channel === "reserved" ? leaseEnd(bench, place, message) : dead ? diedAt(message) : dueAt(message),
  };
}

/** Of a delivery of this process when its lease ends; of another's when it would if it began now. */
function leaseEnd({ clock, link, holding }: Bench, place: Place, { seq }: Stored): number {
  const held = holding.of(place, seq);
  const rest = held === undefined ? place.ackWait : held.safe - link.settings.runtime.monotonic();
  return clock.now() + Math.max(0, rest);
}

/** When a dead job died. */
export function diedAt({ subject, marks }: Stored): number {
  return marks.died ?? timeOfDeath(subject.slice(subject.lastIndexOf(".") + 1));
}

/** A page of a channel. */
export async function listJobs(
  bench: Bench,
  queue: string,
  channel: Channel,
  page: PageRequest,
  until: number,
): Promise<Page> {
  checkInteger("list jobs", "limit", page.limit, 1, Number.MAX_SAFE_INTEGER);
  checkInteger("list jobs", "preview", page.preview, 0, Number.MAX_SAFE_INTEGER);
  const place = await bench.places.find(queue, until);
  if (place === undefined) return { entries: [] };
  if (channel === "failed" || channel === "timeout") {
    return await listDead(bench, place, channel, page, until);
  }
  await ripenPages(bench, place, READING, until);
  await bench.stranded.rescue(place, until);
  if (channel === "delayed") return await listDelayed(bench, place, page, until);
  return await listLines(bench, place, channel, page, until);
}

async function listDead(
  bench: Bench,
  place: Place,
  channel: DeadChannel,
  { limit, cursor, preview }: PageRequest,
  until: number,
): Promise<Page> {
  const all = (await graves(bench, place, channel, undefined, until)).reverse();
  const rest = cursor === undefined ? all : all.filter(({ stamp }) => stamp < cursor);
  const shown = rest.slice(0, limit);
  const messages = await each(shown, ({ subject }) => lastOf(bench, place, subject, until));
  const entries = messages.flatMap((message) =>
    message === undefined ? [] : [entryOf(bench, place, message, channel, preview)]
  );
  const last = shown.at(-1);
  return rest.length > shown.length && last !== undefined ? { entries, cursor: last.stamp } : { entries };
}

async function listDelayed(
  bench: Bench,
  place: Place,
  { limit, cursor, preview }: PageRequest,
  until: number,
): Promise<Page> {
  const all = await scan(bench, place, "d", 1, Infinity, () => true, Infinity, until);
  all.sort((a, b) => dueAt(a) - dueAt(b) || a.seq - b.seq);
  const [due = -Infinity, seq = 0] = cursor === undefined ? [] : cursor.split(":").map(Number);
  const rest = all.filter((one) => dueAt(one) > due || (dueAt(one) === due && one.seq > seq));
  const shown = rest.slice(0, limit);
  const entries = shown.map((message) => entryOf(bench, place, message, "delayed", preview));
  const last = shown.at(-1);
  return rest.length > shown.length && last !== undefined
    ? { entries, cursor: `${dueAt(last)}:${last.seq}` }
    : { entries };
}

/** What came back first, then what is fresh, each in its order. */
async function listLines(
  bench: Bench,
  place: Place,
  channel: "waiting" | "reserved",
  { limit, cursor, preview }: PageRequest,
  until: number,
): Promise<Page> {
  const [from, after] = cursor === undefined ? ["b", 0] : [cursor.slice(0, 1), Number(cursor.slice(2))];
  const seen = await delivered(bench, place, until);
  const found: { readonly line: Line; readonly message: Stored }[] = [];
  for (const line of ["b", "w"] as const) {
    if (from === "w" && line === "b") continue;
    const start = Math.max(line === from ? after + 1 : 1, channel === "waiting" ? seen[line] + 1 : 1);
    const end = channel === "waiting" ? Infinity : seen[line];
    const messages = await scan(bench, place, line, start, end, () => true, limit + 1 - found.length, until);
    for (const message of messages) found.push({ line, message });
    if (found.length > limit) break;
  }
  const shown = found.slice(0, limit);
  const entries = shown.map(({ message }) => entryOf(bench, place, message, channel, preview));
  const last = shown.at(-1);
  return found.length > limit && last !== undefined
    ? { entries, cursor: `${last.line}:${last.message.seq}` }
    : { entries };
}
