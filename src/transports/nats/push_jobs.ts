/**
 * Jobs on their way in: checked, and written as messages on the conditions under which the server stores them.
 *
 * @module
 */

import type { PushJob } from "../../jobs/exchange.ts";
import { groupQueue, partsOf } from "../../names.ts";
import type { Context, Sizes } from "./stream/context.ts";
import { isTopic, readGroups } from "./topics_groups.ts";
import type { JobRecord, Marks } from "./stream/message.ts";
import type { Message } from "./stream/publish.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { liveOf } from "./stream/read.ts";
import { idFilter, liveSubject } from "./stream/subjects.ts";

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
 * refused while it is live or kept in any of their queues; the window of one that goes to groups is the topic's.
 */
export function messagesOf(context: Context, { queueStream, groups }: Target, job: PushJob): Messages {
  const { id, name, payload, meta, idWindow } = job;
  const { clock, link } = context;
  const due = whenOf(context, job);
  const once = idWindow !== undefined && link.clustered ? link.settings.runtime.id() : undefined;
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
  const until = idWindow === undefined ? undefined : clock.now() + Math.ceil(idWindow);
  const [copy, ...copies] = groups.map((group) => place(group, when));
  if (copy === undefined) return [place(queueStream, until === undefined ? when : { ...when, until })];
  if (until === undefined) return [copy, ...copies];
  const window = windowOf(queueStream, { id, name }, until, clock.now());
  return [{ ...window, ...onceFor(queueStream, id, true, once) }, copy, ...copies];
}

/** The conditions under which a job with an id of its caller's is stored. */
function onceFor(
  target: QueueStream,
  id: string,
  isChosen: boolean,
  once: string | undefined,
): Pick<Message, "expected" | "once"> {
  if (!isChosen) return {};
  const expected = { seq: 0, filter: idFilter(target.base, id) };
  return once === undefined ? { expected } : { expected, once: `${once}${target.suffix}` };
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
