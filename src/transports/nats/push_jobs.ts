/**
 * Jobs on their way in: checked, and written as messages on the conditions under which the server stores them.
 *
 * @module
 */

import type { PushJob } from "../../jobs/exchange.ts";
import { HalfStored } from "./client/errors.ts";
import { groupQueue, partsOf } from "../../names.ts";
import type { Context, Sizes } from "./stream/context.ts";
import { isTopic, readGroups } from "./topics_groups.ts";
import { isKnown } from "./stream/known.ts";
import type { JobRecord, Marks, Stored } from "./stream/message.ts";
import { type Message, published } from "./stream/publish.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { liveOf } from "./stream/read.ts";
import { idFilter, idToken, liveSubject } from "./stream/subjects.ts";

/** Bytes of a message beside its payload and its metadata, about. */
const MESSAGE = 300;

/** The messages that store one job together. */
export type Messages = readonly [Message, ...Message[]];

/** Where jobs of one queue go. */
export interface Target {
  readonly queueStream: QueueStream;
  /** The queues of a topic's groups; none for a plain queue, and for a topic to which no group is bound. */
  readonly groups: readonly QueueStream[];
}

/** Seconds until an instant, for which a server is to keep a message; 0 when it is over. */
export function secondsUntil(instant: number | undefined, now: number): number {
  return instant === undefined || instant <= now ? 0 : Math.ceil((instant - now) / 1_000);
}

/** The instant before which a job may not run, or undefined for at once. */
export function whenOf({ clock }: Context, { delay, at }: Pick<PushJob, "delay" | "at">): number | undefined {
  if (at !== undefined) return Math.ceil(at) > clock.now() ? Math.ceil(at) : undefined;
  return delay === undefined || delay === 0 ? undefined : Math.ceil(clock.latest() + delay);
}

/** Where the jobs of a queue go, its stream made when missing. */
export async function targetOf(context: Context, queue: string, until: number): Promise<Target> {
  const { streams } = context;
  const queueStream = streams.known(queue) ?? await streams.make(queue, until);
  if (!isTopic(queueStream)) return { queueStream, groups: [] };
  const { topic = "" } = partsOf(queue);
  const { groups } = await readGroups({ link: context.link, queueStream, until });
  const names = groups.map(({ group }) => groupQueue(topic, group));
  const all = names.map((name) => streams.known(name) ?? streams.make(name, until));
  return { queueStream, groups: await Promise.all(all) };
}

/** Bytes that a job takes at a server, as far as that is known before it is written. */
export function sizeOf({ payload, meta }: PushJob): number {
  return payload.length + meta.length + MESSAGE;
}

/** Undefined where there is room for jobs of so many bytes, else a promise that rejects where there is none. */
export function checkRoom(
  { room }: Context,
  { queueStream, groups }: Target,
  { all, largest }: Sizes,
  until: number,
): Promise<void> | undefined {
  return room.check(queueStream, { all: Math.max(1, groups.length) * all, largest }, until);
}

/**
 * The messages that store a job together: one, or a copy for each group of its topic. An id that its caller chose is
 * refused while it is live or kept in any of their queues; the window of one that goes to groups is the topic's. That
 * is the last message: a server that runs out of room in the middle of a batch leaves it out. `isPart`: the job is one
 * of a batch.
 */
export function messagesOf(
  context: Context,
  { queueStream, groups }: Target,
  job: PushJob,
  isPart = false,
): Messages {
  const { id, name, payload, meta, idWindow } = job;
  const now = context.clock.now();
  const due = whenOf(context, job);
  const once = onceOf(context, queueStream, job, { isMany: groups.length > 0, isPart, now });
  const when: Marks = due === undefined ? {} : { due };
  const place = (target: QueueStream, marks: Marks): Message => ({
    queueStream: target,
    subject: liveSubject(target.base, due === undefined ? "w" : "d", id, due),
    payload,
    record: { id, name, meta, marks },
    due,
    isNew: true,
    ...onceFor(target, id, idWindow !== undefined, once),
  });
  const until = idWindow === undefined ? undefined : now + Math.ceil(idWindow);
  const isWhole = queueStream.replicas > 1;
  const [copy, ...copies] = groups.map((group) => place(group, isWhole ? when : { ...when, window: until }));
  if (copy === undefined) return [place(queueStream, until === undefined ? when : { ...when, until })];
  if (until === undefined) return [copy, ...copies];
  const window = windowOf(queueStream, { id, name }, until, now);
  return [copy, ...copies, { ...window, ...onceFor(queueStream, id, true, once) }];
}

/**
 * The beginning of the message ids of a job's messages, by which they are known when they are sent again; undefined
 * where none is needed. That of a topic's job comes of its id, and of the turn of its window where it has one: so the
 * server tells of one that was stored in part which groups have had it, whatever process asks.
 */
function onceOf(
  { link }: Context,
  { replicas }: QueueStream,
  { id, idWindow }: PushJob,
  { isMany, isPart, now }: { readonly isMany: boolean; readonly isPart: boolean; readonly now: number },
): string | undefined {
  const { runtime } = link.settings;
  const mayBeHalf = replicas === 1 && (isMany || isPart);
  if (!mayBeHalf) return idWindow !== undefined && link.clustered ? runtime.id() : undefined;
  if (!isMany) return runtime.id();
  if (idWindow === undefined) return ownId(id);
  return idWindow >= 1 ? turnId(idToken(id), idWindow, Math.floor(now / idWindow)) : runtime.id();
}

/** Of a job whose id is no caller's. */
function ownId(id: string): string {
  return `g${idToken(id)}.`;
}

function turnId(token: string, window: number, turn: number): string {
  return `i${token}.${window}.${turn}.`;
}

/** The message id of the same message in the turn before. */
function onceBefore(once: string): string | undefined {
  const [, token, window, turn, suffix] = /^i([^.]+)\.(.+)\.(\d+)\.([^.]*)$/.exec(once) ?? [];
  return token === undefined ? undefined : turnId(token, Number(window), Number(turn) - 1) + suffix;
}

/** The conditions under which a job with an id of its caller's is stored. */
function onceFor(
  target: QueueStream,
  id: string,
  isChosen: boolean,
  once: string | undefined,
): Pick<Message, "expected" | "once"> {
  const known = once === undefined ? {} : { once: once + target.suffix };
  return isChosen ? { ...known, expected: { seq: 0, filter: idFilter(target.base, id) } } : known;
}

/** The message that keeps an id taken, whatever becomes of its job. */
export function windowOf(
  queueStream: QueueStream,
  { id, name }: Pick<JobRecord, "id" | "name">,
  until: number | undefined,
  now: number,
): Message {
  return {
    queueStream,
    subject: liveSubject(queueStream.base, "i", id),
    payload: new Uint8Array(),
    record: { id, name, meta: "", marks: until === undefined ? {} : { until } },
    ttl: Math.max(1, secondsUntil(until, now)),
  };
}

/**
 * Refused messages on the conditions of this moment; undefined where an id is taken. The server removes the message
 * that keeps an id taken in whole seconds: until then one whose window is over bars no other message.
 */
export async function freed(
  context: Context,
  messages: Messages,
  until: number,
): Promise<Messages | undefined> {
  const now = context.clock.now();
  const all = await Promise.all(messages.map(async (message): Promise<Message | undefined> => {
    const { queueStream, record: { id }, expected } = message;
    if (expected === undefined) return message;
    const live = await liveOf({ link: context.link, queueStream, until }, id);
    const isOver = live === undefined ||
      (live.subject === liveSubject(queueStream.base, "i", id) && (live.marks.until ?? 0) <= now);
    return isOver ? { ...message, expected: { ...expected, seq: live?.seq ?? 0 } } : undefined;
  }));
  const [first, ...more] = all.filter((message) => message !== undefined);
  return first === undefined || more.length + 1 < messages.length ? undefined : [first, ...more];
}

/**
 * Stores what lacks of a topic's job that the server stored in part, as it ran out of room in the middle of the batch:
 * copies are there, or were, and the batch's last message, which keeps the id taken, is not. "duplicate" where that
 * message is there; undefined where there are neither copies nor that message.
 */
export async function completed(
  context: Context,
  messages: Messages,
  until: number,
): Promise<"stored" | "duplicate" | undefined> {
  const { link } = context;
  const window = messages.at(-1);
  if (window?.ttl === undefined) return undefined;
  if ((await keptOf(context, window, until)).isTaken) return "duplicate";
  if (window.queueStream.replicas > 1) return undefined;
  const copies = messages.slice(0, -1);
  const found = await Promise.all(copies.map((copy) => foundOf(context, copy, until)));
  // The job had no id of a caller's then, and was stored whole.
  if (found.every(({ known }) => known === "own")) return "duplicate";
  const isHalf = found.some(({ live, known }) =>
    known === "now" || known === "own" || isMarked(context, live)
  );
  // Read behind the copies: a batch that was stored between the two would look like a part of one.
  const { isTaken, seq } = await keptOf(context, window, until);
  if (!isHalf || isTaken) return undefined;
  let isStored = false;
  try {
    for (const [index, copy] of copies.entries()) {
      const { live, known } = found[index] ?? {};
      if (live !== undefined || known !== undefined) continue;
      if ((await published(link, copy, until)).state === "stored") isStored = true;
    }
    const expected = window.expected && { ...window.expected, seq };
    if ((await published(link, { ...window, expected }, until)).state === "stored") isStored = true;
  } catch (error) {
    throw new HalfStored(error);
  }
  return isStored ? "stored" : "duplicate";
}

/** The number of what has an id in its topic, and whether it keeps the id taken and its time is not over. */
async function keptOf(
  { link, clock }: Context,
  { queueStream, subject, record: { id } }: Message,
  until: number,
): Promise<{ readonly isTaken: boolean; readonly seq: number }> {
  const live = await liveOf({ link, queueStream, until }, id);
  const isTaken = live?.subject === subject && (live.marks.until ?? 0) > clock.now();
  return { isTaken, seq: live?.subject === subject ? live.seq : 0 };
}

function isMarked({ clock }: Context, live: Stored | undefined): boolean {
  return (live?.marks.window ?? 0) > clock.now();
}

/** A copy of a topic's job. */
interface Copy {
  readonly live: Stored | undefined;
  /** How the server knows that it was stored: in this turn of its window, in the one before, or without a window. */
  readonly known: "now" | "before" | "own" | undefined;
}

async function foundOf(
  { link }: Context,
  { queueStream, subject, once, record: { id } }: Message,
  until: number,
): Promise<Copy> {
  const knows = async (one: string | undefined): Promise<boolean> =>
    one !== undefined && await isKnown(link, queueStream, { subject, once: one }, until);
  const [live, now, before, own] = await Promise.all([
    liveOf({ link, queueStream, until }, id),
    knows(once),
    knows(once === undefined ? once : onceBefore(once)),
    knows(ownId(id) + queueStream.suffix),
  ]);
  return { live, known: now ? "now" : before ? "before" : own ? "own" : undefined };
}

/** Messages under ids that no others bear: a caller may push the same job without a window as often as it likes. */
export function renamed({ link: { settings: { runtime } } }: Context, messages: Messages): Messages {
  const once = runtime.id();
  const [first, ...more] = messages;
  const rename = (message: Message): Message => ({ ...message, once: once + message.queueStream.suffix });
  return [rename(first), ...more.map(rename)];
}
