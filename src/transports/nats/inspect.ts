/**
 * The operator's reads: counts, listings, single jobs.
 *
 * @module
 */

import type { Entry } from "../../jobs/exchange.ts";
import type { Channel, QueueInfo } from "../../jobs/job.ts";
import { groupQueue, partsOf } from "../../names.ts";
import { FAULT, isFault } from "./client/errors.ts";
import type { Context } from "./stream/context.ts";
import { readGroups } from "./topics_groups.ts";
import { queueOf } from "./stream/config_check.ts";
import { countOf, nextIn, stateOf, statesOf } from "./stream/consumer_state.ts";
import { timeOfDeath } from "./stream/deaths.ts";
import { ANY_FRONT, isFront } from "./stream/front.ts";
import type { Stored } from "./stream/message.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { each, lastOf, liveOf, nextOf, readAll, storedAt } from "./stream/read.ts";
import {
  DEAD_TOKEN,
  idToken,
  isRawSubject,
  type PullState,
  rawId,
  seqOfRawId,
  stateOfSubject,
} from "./stream/subjects.ts";

const NOTHING: QueueInfo = { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };

/** Counts per channel. */
export async function infoOf(context: Context, queue: string, until: number): Promise<QueueInfo> {
  const queueStream = await context.streams.find(queue, until);
  if (queueStream === undefined) return NOTHING;
  const [{ w, b }, delayed, failed, timeout] = await Promise.all([
    statesOf(context, queueStream, until),
    countOf(context, queueStream, "d", until),
    countOf(context, queueStream, "f", until),
    countOf(context, queueStream, "t", until),
  ]);
  const waiting = w.num_pending + b.num_pending;
  const reserved = w.num_ack_pending + b.num_ack_pending;
  const counts = { waiting, delayed, reserved, failed, timeout };
  if (waiting === 0) return counts;
  const first = await Promise.all([
    w.num_pending > 0 ? nextIn(context, queueStream, "w", w, until) : undefined,
    b.num_pending > 0 ? nextIn(context, queueStream, "b", b, until) : undefined,
  ]);
  const times = first.flatMap((message) => message === undefined ? [] : [dueAt(message)]);
  if (times.length === 0) return counts;
  return { ...counts, oldest: Math.max(0, context.clock.now() - Math.min(...times)) };
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
    const { config, state } = await context.link.api<
      {
        readonly config: { readonly description?: string };
        readonly state: { readonly messages: number; readonly subjects?: Readonly<Record<string, number>> };
      }
    >(`STREAM.INFO.${stream}`, { subjects_filter: ANY_FRONT }, until);
    const owner = queueOf(config.description);
    if (owner === undefined) return [];
    const holds = state.messages > Object.keys(state.subjects ?? {}).length;
    const { topic } = partsOf(owner);
    // One that holds nothing, and from which nothing was ever delivered, had a schedule.
    if (topic === undefined) return holds || await hasHeld(context, owner, until) ? [owner] : [];
    const own = context.streams.of(owner);
    const { groups, former } = await readGroups(context, own, until);
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
async function hasHeld(context: Context, queue: string, until: number): Promise<boolean> {
  const queueStream = await context.streams.find(queue, until);
  if (queueStream === undefined) return false;
  const first = await nextOf(context, queueStream, `${queueStream.base}>`, 1, until);
  if (first !== undefined && !isFront(queueStream, first.subject)) return true;
  const { w, b } = await statesOf(context, queueStream, until);
  return w.delivered.stream_seq > 0 || b.delivered.stream_seq > 0;
}

/** The live job of each id, else its newest dead one. */
export async function getJobs(
  context: Context,
  queue: string,
  ids: readonly string[],
  until: number,
): Promise<(Entry | undefined)[]> {
  const queueStream = await context.streams.find(queue, until);
  if (queueStream === undefined || ids.length === 0) return ids.map(() => undefined);
  const seen = await deliveredTo(context, queueStream, until);
  const found = new Map<string, Entry>();
  await readAll([...new Set(ids)], async (id) => {
    const message = await jobOf(context, queueStream, id, until) ??
      await lastOf(context, queueStream, `${queueStream.base}x.*.${idToken(id)}.>`, until);
    if (message === undefined) return undefined;
    found.set(id, entryOf(context, queueStream, message, channelOf(queueStream, message, seen), Infinity));
    return message;
  });
  return ids.map((id) => found.get(id));
}

/** How far the consumer of each state has delivered: the messages behind that wait. */
export type Seen = Readonly<Record<PullState, number>>;

export async function deliveredTo(context: Context, queueStream: QueueStream, until: number): Promise<Seen> {
  const [w, b] = await Promise.all([
    stateOf(context, queueStream, "w", until),
    stateOf(context, queueStream, "b", until),
  ]);
  return { w: w.delivered.stream_seq, b: b.delivered.stream_seq };
}

/** The live job of an id. */
export async function jobOf(
  context: Context,
  queueStream: QueueStream,
  id: string,
  until: number,
): Promise<Stored | undefined> {
  const { base } = queueStream;
  const seq = seqOfRawId(id);
  const [live, raw] = await Promise.all([
    liveOf(context, queueStream, id, until),
    seq === undefined ? undefined : storedAt(context, queueStream, { seq }, until),
  ]);
  if (live !== undefined && stateOfSubject(base, live.subject) !== "i") return live;
  return raw !== undefined && isRawSubject(base, raw.subject) ? { ...raw, id } : undefined;
}

/** Which channel a message is in. */
export function channelOf({ base }: QueueStream, message: Stored, seen: Seen): Channel {
  const state = stateOfSubject(base, message.subject);
  if (state === "d") return "delayed";
  if (state === "w" || state === "b") return message.seq > seen[state] ? "waiting" : "reserved";
  return message.subject.startsWith(`${base}x.${DEAD_TOKEN.failed}.`) ? "failed" : "timeout";
}

/** A message as an operator sees it. */
export function entryOf(
  context: Context,
  queueStream: QueueStream,
  message: Stored,
  channel: Channel,
  preview: number,
): Entry {
  const { name, meta, marks, payload, subject, seq } = message;
  const dead = channel === "failed" || channel === "timeout";
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
    time: channel === "reserved"
      ? leaseEnd(context, queueStream, message)
      : dead
      ? diedAt(message)
      : dueAt(message),
  };
}

/** Of a delivery of this process when its lease ends; of another's when it would if it began now. */
function leaseEnd({ clock, link, deliveries }: Context, queueStream: QueueStream, { seq }: Stored): number {
  const held = deliveries.of(queueStream, seq);
  const now = link.settings.runtime.monotonic();
  const rest = held === undefined ? queueStream.ackWait : held.safe - now;
  return clock.now() + Math.max(0, rest);
}

/** When a dead job died. */
export function diedAt({ subject, marks }: Stored): number {
  return marks.died ?? timeOfDeath(subject.slice(subject.lastIndexOf(".") + 1));
}
