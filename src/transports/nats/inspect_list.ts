/**
 * Listings of a queue's channels, page by page.
 *
 * @module
 */

import type { Entry, Page, PageRequest } from "../../jobs/exchange.ts";
import type { Channel, DeadChannel } from "../../jobs/job.ts";
import { pageOf, placeIn } from "../../store/pages.ts";
import { deliveredTo, dueAt, entryOf } from "./inspect.ts";
import type { Context } from "./stream/context.ts";
import type { Stored } from "./stream/message.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { each, lastOfAll, newestBelow, scan, subjectsOf } from "./stream/read.ts";
import { DEAD_TOKEN, MINUTE, minuteToken, type PullState } from "./stream/subjects.ts";

/** Minutes in which a page of delayed jobs is looked for before all are, and those that are asked for at once. */
const NEXT_MINUTES = 32;
const BLOCK = 8;

/** A page of a channel. */
export async function listJobs(
  context: Context,
  queue: string,
  channel: Channel,
  page: PageRequest,
  until: number,
): Promise<Page> {
  const queueStream = await context.streams.find(queue, until);
  if (queueStream === undefined) return { entries: [] };
  if (channel === "failed" || channel === "timeout") {
    return await listDead(context, queueStream, channel, page, until);
  }
  if (channel === "delayed") return await listDelayed(context, queueStream, page, until);
  return await listLive(context, queueStream, channel, page, until);
}

/** Dead jobs, the last that was stored first: a page begins below the number with which the one before it ended. */
async function listDead(
  context: Context,
  queueStream: QueueStream,
  channel: DeadChannel,
  { limit, cursor, preview }: PageRequest,
  until: number,
): Promise<Page> {
  const [before] = placeIn(cursor, /^(\d{1,16})$/);
  const filter = `${queueStream.base}x.${DEAD_TOKEN[channel]}.>`;
  const below = before === undefined ? Infinity : Number(before);
  const found = await newestBelow(context, queueStream, filter, { below, limit: limit + 1 }, until);
  const entry = (message: Stored): Entry => entryOf(context, queueStream, message, channel, preview);
  return pageOf(found, limit, entry, ({ seq }) => `${seq}`);
}

/** Delayed jobs by their due times: the subject of each names its minute. */
async function listDelayed(
  context: Context,
  queueStream: QueueStream,
  { limit, cursor, preview }: PageRequest,
  until: number,
): Promise<Page> {
  const [after = -Infinity, seq = 0] = placeIn(cursor, /^(-?\d{1,16}(?:\.\d+)?):(\d{1,16})$/).map(Number);
  const from = Math.floor(after / MINUTE);
  const subjects = (await delayedSubjects(context, queueStream, from, limit, until))
    .filter(({ minute }) => minute >= from)
    .sort((a, b) => a.minute - b.minute);
  const found: Stored[] = [];
  for (let index = 0; index < subjects.length;) {
    const { minute } = subjects[index] ?? { minute: 0 };
    let end = index;
    while (subjects[end]?.minute === minute) end++;
    const page = subjects.slice(index, end).map(({ subject }) => subject);
    const all = await lastOfAll(context, queueStream, page, until);
    found.push(...all.filter((one) => dueAt(one) > after || (dueAt(one) === after && one.seq > seq)));
    index = end;
    if (found.length > limit) break;
  }
  found.sort((a, b) => dueAt(a) - dueAt(b) || a.seq - b.seq);
  const entry = (message: Stored): Entry => entryOf(context, queueStream, message, "delayed", preview);
  return pageOf(found, limit, entry, (last) => `${dueAt(last)}:${last.seq}`);
}

/** A delayed job's subject, and the minute in it. */
interface Delayed {
  readonly subject: string;
  readonly minute: number;
}

/** The subjects of delayed jobs from a minute on: those of the next minutes where they fill a page, else all. */
async function delayedSubjects(
  context: Context,
  queueStream: QueueStream,
  from: number,
  limit: number,
  until: number,
): Promise<readonly Delayed[]> {
  const start = `${queueStream.base}j.d.`;
  const read = async (filter: string): Promise<readonly Delayed[]> => {
    const subjects = await subjectsOf(context, queueStream, filter, until);
    return subjects.map((subject) => {
      const token = subject.slice(start.length, subject.indexOf(".", start.length));
      return { subject, minute: Number.parseInt(token, 36) };
    });
  };
  const next: Delayed[] = [];
  for (let n = 0; Number.isFinite(from) && n < NEXT_MINUTES; n += BLOCK) {
    const minutes = Array.from({ length: BLOCK }, (_, k) => minuteToken((from + n + k) * MINUTE));
    next.push(...(await each(minutes, (minute) => read(`${start}${minute}.>`))).flat());
    // Those of the first minute may have been shown before.
    if (next.filter(({ minute }) => minute > from).length > limit) return next;
  }
  return await read(`${start}>`);
}

/** The messages of a state from one number to another, foreign entries among them, in their order. */
export async function scanState(
  context: Context,
  queueStream: QueueStream,
  state: PullState,
  range: { readonly from: number; readonly to?: number; readonly limit?: number },
  until: number,
): Promise<Stored[]> {
  const { base } = queueStream;
  const filters = state === "w" ? [`${base}j.w.>`, `${base}in.>`] : [`${base}j.b.>`];
  const all = await Promise.all(
    filters.map((filter) => scan(context, queueStream, { ...range, filter }, until)),
  );
  return all.flat().sort((a, b) => a.seq - b.seq).slice(0, range.limit);
}

/** Returned jobs first, then fresh ones, each in their order. */
async function listLive(
  context: Context,
  queueStream: QueueStream,
  channel: "waiting" | "reserved",
  { limit, cursor, preview }: PageRequest,
  until: number,
): Promise<Page> {
  const [first = "b", last = 0] = placeIn(cursor, /^([bw]):(\d{1,16})$/);
  const after = Number(last);
  const seen = await deliveredTo(context, queueStream, until);
  const found: { readonly state: PullState; readonly message: Stored }[] = [];
  for (const state of ["b", "w"] as const) {
    if (first === "w" && state === "b") continue;
    const from = Math.max(state === first ? after + 1 : 1, channel === "waiting" ? seen[state] + 1 : 1);
    const to = channel === "waiting" ? Infinity : seen[state];
    const range = { from, to, limit: limit + 1 - found.length };
    for (const message of await scanState(context, queueStream, state, range, until)) {
      found.push({ state, message });
    }
    if (found.length > limit) break;
  }
  type Found = (typeof found)[number];
  const entry = ({ message }: Found): Entry => entryOf(context, queueStream, message, channel, preview);
  return pageOf(found, limit, entry, ({ state, message }) => `${state}:${message.seq}`);
}
