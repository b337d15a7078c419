/**
 * The operator's reads: counts, listings, single jobs.
 *
 * @module
 */

import type { Entry, Page, PageRequest, Selection } from "../../jobs/exchange.ts";
import { type Channel, type DeadChannel, isDead, type QueueInfo } from "../../jobs/job.ts";
import { groupQueue, partsOf } from "../../names.ts";
import { pageOf, parted, placeIn } from "../../store/pages.ts";
import { idsOf, isMeant } from "../../store/selections.ts";
import { FAULT, isFault } from "./client/errors.ts";
import type { Context, QueueCall } from "./stream/context.ts";
import { readGroups } from "./topics_groups.ts";
import { queueOf } from "./stream/config_check.ts";
import { bothStates, countOf, heardOf, nextIn, statesOf } from "./stream/consumer_state.ts";
import { ANY_NOTE } from "./stream/front.ts";
import type { Stored } from "./stream/message.ts";
import {
  deadOf,
  each,
  lastOfAll,
  liveOf,
  newestBelow,
  nextOf,
  pagesOf,
  readAll,
  scan,
  storedAt,
  streamInfo,
  subjectsOf,
} from "./stream/read.ts";
import { timeOfDeath } from "./stream/server_clock.ts";
import {
  deadFilter,
  isRawSubject,
  MINUTE,
  minuteToken,
  pullFilters,
  type PullState,
  rawId,
  seqOfRawId,
  stateOfSubject,
} from "./stream/subjects.ts";

/** Minutes in which a page of delayed jobs is looked for before all are, and those that are asked for at once. */
const NEXT_MINUTES = 32;
const BLOCK = 8;
/** Dead jobs that are read by their ids before they are passed on. */
const DEAD_AT_ONCE = 64;

/** The counts of a queue that has no stream. */
export const NOTHING: QueueInfo = { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };

/** Counts per channel. */
export async function infoOf(call: QueueCall): Promise<QueueInfo> {
  await heardOf(call);
  const [{ w, b }, delayed, failed, timeout] = await Promise.all([
    statesOf(call),
    countOf(call, "delayed"),
    countOf(call, "failed"),
    countOf(call, "timeout"),
  ]);
  const waiting = w.num_pending + b.num_pending;
  const reserved = w.num_ack_pending + b.num_ack_pending;
  const counts = { waiting, delayed, reserved, failed, timeout };
  const first = await Promise.all([
    w.num_pending > 0 ? nextIn(call, "w", w) : undefined,
    b.num_pending > 0 ? nextIn(call, "b", b) : undefined,
  ]);
  const times = first.flatMap((message) => message === undefined ? [] : [dueAt(message)]);
  if (times.length === 0) return counts;
  return { ...counts, oldest: Math.max(0, call.clock.now() - Math.min(...times)) };
}

/** When a job may run. */
export function dueAt({ marks, time }: Stored): number {
  return marks.due ?? time;
}

/**
 * The names of all queues that hold a job or a schedule, or held a job. One list of all streams would take fewer
 * questions, but a cluster leaves out the streams whose leaders do not answer it in time, and waits four seconds for
 * them, whatever they are.
 */
export async function queueNames(context: Context, until: number): Promise<string[]> {
  const names = await streamNames(context, until);
  const queues = await each(names, (stream) => heldBy(context, stream, until));
  return queues.flat().sort();
}

/** The names of all streams that may be of queues. */
export async function streamNames({ link }: Pick<Context, "link">, until: number): Promise<string[]> {
  const { prefix } = link.settings;
  const names: string[] = [];
  for (let offset = 0;;) {
    const { total, streams } = await link.api<
      { readonly total: number; readonly streams: readonly string[] | null }
    >("STREAM.NAMES", { offset, subject: `${prefix}.>` }, until);
    for (const name of streams ?? []) if (name.startsWith(`${prefix}_`)) names.push(name);
    offset += streams?.length ?? 0;
    if ((streams ?? []).length === 0 || offset >= total) return names;
  }
}

/** The queues of a stream that hold a job or a schedule, or held a job. */
async function heldBy(context: Context, stream: string, until: number): Promise<string[]> {
  try {
    const { config, state } = await streamInfo(context.link, stream, until, { subjects_filter: ANY_NOTE });
    const owner = queueOf(config.description);
    if (owner === undefined) return [];
    const holds = state.messages > Object.keys(state.subjects ?? {}).length;
    const { topic } = partsOf(owner);
    // One that holds nothing, and from which nothing was ever delivered, had a schedule.
    if (topic === undefined) return holds || await hasHeld(context, owner, until) ? [owner] : [];
    const { link, streams } = context;
    const { groups, former } = await readGroups({ link, queueStream: streams.of(owner), until });
    const all = [...groups.map(({ group }) => group), ...former].map((group) => groupQueue(topic, group));
    const held = await each(all, async (queue) => await hasHeld(context, queue, until) ? [queue] : []);
    return holds || held.length > 0 ? [owner, ...held.flat()] : [];
  } catch (error) {
    // It went since it was named.
    if (isFault(error, FAULT.streamNotFound)) return [];
    throw error;
  }
}

/** Whether a queue holds anything, or held a job that was delivered. */
async function hasHeld({ link, streams }: Context, queue: string, until: number): Promise<boolean> {
  const queueStream = await streams.find(queue, until);
  if (queueStream === undefined) return false;
  const { base } = queueStream;
  const call = { link, queueStream, until };
  for (let seq = 1;;) {
    const next = await nextOf(call, `${base}>`, seq);
    if (next === undefined) break;
    if (!next.subject.startsWith(`${base}o.`)) return true;
    seq = next.seq + 1;
  }
  const { w, b } = await statesOf(call);
  return w.delivered.stream_seq > 0 || b.delivered.stream_seq > 0;
}

/** The live job of each id, else its newest dead one. */
export async function getJobs(call: QueueCall, ids: readonly string[]): Promise<(Entry | undefined)[]> {
  if (ids.length === 0) return [];
  const seen = await deliveredTo(call);
  const found = new Map<string, Entry>();
  await readAll([...new Set(ids)], async (id) => {
    const message = await jobOf(call, id) ?? await deadOf(call, id);
    if (message !== undefined) {
      found.set(id, entryOf(call, message, channelOf(call, message, seen), Infinity));
    }
    return message;
  });
  return ids.map((id) => found.get(id));
}

/** How far the consumer of each state has delivered: the messages behind that wait. */
export type Seen = Readonly<Record<PullState, number>>;

export async function deliveredTo(call: QueueCall): Promise<Seen> {
  const { w, b } = await bothStates(call);
  return { w: w.delivered.stream_seq, b: b.delivered.stream_seq };
}

/** The live job of an id. */
export async function jobOf(call: QueueCall, id: string): Promise<Stored | undefined> {
  const { base } = call.queueStream;
  const seq = seqOfRawId(id);
  const [live, raw] = await Promise.all([
    liveOf(call, id),
    seq === undefined ? undefined : storedAt(call, { seq }),
  ]);
  if (live !== undefined && stateOfSubject(base, live.subject) !== "i") return live;
  return raw !== undefined && isRawSubject(base, raw.subject) ? { ...raw, id } : undefined;
}

/** Which channel a message is in. */
export function channelOf({ queueStream: { base } }: QueueCall, message: Stored, seen: Seen): Channel {
  const state = stateOfSubject(base, message.subject);
  if (state === "d") return "delayed";
  if (state === "w" || state === "b") return message.seq > seen[state] ? "waiting" : "reserved";
  return message.subject.startsWith(deadFilter(base, "failed").slice(0, -1)) ? "failed" : "timeout";
}

/** A message as an operator sees it. */
function entryOf(call: QueueCall, message: Stored, channel: Channel, preview: number): Entry {
  const { queueStream } = call;
  const { name, meta, marks, payload, subject, seq } = message;
  const dead = isDead(channel);
  return {
    queue: queueStream.queue,
    channel,
    id: isRawSubject(queueStream.base, subject) ? rawId(seq) : message.id,
    name,
    payload: payload.slice(0, Math.min(preview, payload.length)),
    size: payload.length,
    meta,
    lost: marks.lost ?? 0,
    reset: !dead && marks.reset === true,
    time: channel === "reserved" ? leaseEnd(call, message) : dead ? diedAt(message) : dueAt(message),
  };
}

/** Of a delivery of this process when its lease ends; of another's when it would if it began now. */
function leaseEnd({ clock, link, deliveries, queueStream }: QueueCall, { seq }: Stored): number {
  const held = deliveries.of(queueStream, seq);
  const now = link.settings.runtime.monotonic();
  const rest = held === undefined ? queueStream.ackWait : held.safe - now;
  return clock.now() + Math.max(0, rest);
}

/** When a dead job died; another program's when it was stored. */
export function diedAt({ subject, marks, time }: Stored): number {
  return marks.died ?? (timeOfDeath(subject.slice(subject.lastIndexOf(".") + 1)) || time);
}

/** The dead jobs that are meant, oldest first, page by page. */
export async function* pagesOfDead(
  call: QueueCall,
  channel: DeadChannel,
  select: Selection,
): AsyncGenerator<readonly Stored[]> {
  const filters = filtersOf(call, channel, select);
  if (idsOf(select) === undefined) {
    for (const filter of filters) {
      for await (const page of pagesOf(call, filter)) {
        yield page.filter((dead) => isMeant(select, dead.name, dead.marks.reason, diedAt(dead)));
      }
    }
    return;
  }
  const stampOf = (subject: string): string => subject.slice(subject.lastIndexOf(".") + 1);
  const subjects = (await each(filters, (filter) => subjectsOf(call, filter))).flat()
    .sort((a, b) => stampOf(a) < stampOf(b) ? -1 : 1);
  for (const page of parted(subjects, DEAD_AT_ONCE)) yield await lastOfAll(call, page);
}

/** Where the dead jobs are that are meant. */
export function filtersOf(
  { queueStream: { base } }: QueueCall,
  channel: DeadChannel,
  select: Selection,
): string[] {
  return idsOf(select)?.map((id) => deadFilter(base, channel, id)) ?? [deadFilter(base, channel)];
}

/** A page of a channel. */
export function listJobs(call: QueueCall, channel: Channel, page: PageRequest): Promise<Page> {
  if (isDead(channel)) return listDead(call, channel, page);
  return channel === "delayed" ? listDelayed(call, page) : listLive(call, channel, page);
}

/** Dead jobs, the last that was stored first: a page begins below the number with which the one before it ended. */
async function listDead(
  call: QueueCall,
  channel: DeadChannel,
  { limit, cursor, preview }: PageRequest,
): Promise<Page> {
  const [before] = placeIn(cursor, /^(\d{1,16})$/);
  const below = before === undefined ? Infinity : Number(before);
  const filter = deadFilter(call.queueStream.base, channel);
  const found = await newestBelow(call, filter, { below, limit: limit + 1 });
  const entry = (message: Stored): Entry => entryOf(call, message, channel, preview);
  return pageOf(found, limit, entry, ({ seq }) => `${seq}`);
}

/** Delayed jobs by their due times: the subject of each names its minute. */
async function listDelayed(call: QueueCall, { limit, cursor, preview }: PageRequest): Promise<Page> {
  const [after = -Infinity, seq = 0] = placeIn(cursor, /^(-?\d{1,16}(?:\.\d+)?):(\d{1,16})$/).map(Number);
  const from = Math.floor(after / MINUTE);
  const subjects = (await delayedSubjects(call, from, limit))
    .filter(({ minute }) => minute >= from)
    .sort((a, b) => a.minute - b.minute);
  const found: Stored[] = [];
  for (let index = 0; index < subjects.length;) {
    const { minute } = subjects[index] ?? { minute: 0 };
    let end = index;
    while (subjects[end]?.minute === minute) end++;
    const all = await lastOfAll(call, subjects.slice(index, end).map(({ subject }) => subject));
    found.push(...all.filter((one) => dueAt(one) > after || (dueAt(one) === after && one.seq > seq)));
    index = end;
    if (found.length > limit) break;
  }
  found.sort((a, b) => dueAt(a) - dueAt(b) || a.seq - b.seq);
  const entry = (message: Stored): Entry => entryOf(call, message, "delayed", preview);
  return pageOf(found, limit, entry, (last) => `${dueAt(last)}:${last.seq}`);
}

/** A delayed job's subject, and the minute in it. */
interface Delayed {
  readonly subject: string;
  readonly minute: number;
}

/** The subjects of delayed jobs from a minute on: those of the next minutes where they fill a page, else all. */
async function delayedSubjects(call: QueueCall, from: number, limit: number): Promise<readonly Delayed[]> {
  const start = `${call.queueStream.base}j.d.`;
  const read = async (filter: string): Promise<readonly Delayed[]> =>
    (await subjectsOf(call, filter)).map((subject) => {
      const token = subject.slice(start.length, subject.indexOf(".", start.length));
      return { subject, minute: Number.parseInt(token, 36) };
    });
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
  call: QueueCall,
  state: PullState,
  range: { readonly from?: number; readonly to?: number; readonly limit?: number } = {},
): Promise<Stored[]> {
  const filters = pullFilters(call.queueStream.base, state);
  const all = await Promise.all(filters.map((filter) => scan(call, { ...range, filter })));
  return all.flat().sort((a, b) => a.seq - b.seq).slice(0, range.limit);
}

/** Returned jobs first, then fresh ones, each in their order. */
async function listLive(
  call: QueueCall,
  channel: "waiting" | "reserved",
  { limit, cursor, preview }: PageRequest,
): Promise<Page> {
  const [first = "b", last = 0] = placeIn(cursor, /^([bw]):(\d{1,16})$/);
  const after = Number(last);
  const seen = await deliveredTo(call);
  const found: { readonly state: PullState; readonly message: Stored }[] = [];
  for (const state of ["b", "w"] as const) {
    if (first === "w" && state === "b") continue;
    const from = Math.max(state === first ? after + 1 : 1, channel === "waiting" ? seen[state] + 1 : 1);
    const to = channel === "waiting" ? Infinity : seen[state];
    const range = { from, to, limit: limit + 1 - found.length };
    for (const message of await scanState(call, state, range)) {
      found.push({ state, message });
    }
    if (found.length > limit) break;
  }
  type Found = (typeof found)[number];
  const entry = ({ message }: Found): Entry => entryOf(call, message, channel, preview);
  return pageOf(found, limit, entry, ({ state, message }) => `${state}:${message.seq}`);
}
