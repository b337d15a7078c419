/**
 * The operator's writes: dead jobs back to work, and jobs out for good.
 *
 * @module
 */

import type { Reloaded, Selection } from "../../jobs/exchange.ts";
import type { Channel, DeadChannel } from "../../jobs/job.ts";
import type { Context } from "./stream/context.ts";
import { channelOf, deliveredTo, diedAt, jobOf, type Seen } from "./inspect.ts";
import { scanState } from "./inspect_list.ts";
import { secondsUntil } from "./push_jobs.ts";
import { endOf } from "./settle.ts";
import { ACK, replyOf } from "./stream/acknowledge.ts";
import type { Stored } from "./stream/message.ts";
import { publishSuccessor, successorOf } from "./stream/moves.ts";
import { type Message, published } from "./stream/publish.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import {
  deleteMessage,
  each,
  lastOfAll,
  liveOf,
  pagesOf,
  purge,
  readAll,
  scan,
  subjectsOf,
} from "./stream/read.ts";
import { DEAD_TOKEN, idFilter, idToken, liveSubject, stateOfSubject } from "./stream/subjects.ts";

/** Jobs that are removed between two questions how far each state was delivered. */
const PAGE = 64;
/** Times that a reload is tried whose id is free by the time that its live message is read. */
const TRIES = 3;

/** Dead to waiting, oldest first. */
export async function reloadJobs(
  context: Context,
  queue: string,
  channel: DeadChannel,
  select: Selection,
  reset: boolean,
  until: number,
): Promise<Reloaded> {
  const queueStream = await context.streams.find(queue, until);
  const answer = { reloaded: 0, taken: 0 };
  if (queueStream === undefined) return answer;
  await context.clock.renew(queueStream, until);
  for await (const page of deadOf(context, queueStream, channel, select, until)) {
    for (const batch of batchesOf(page)) {
      const ends = await Promise.allSettled(
        batch.map((dead) => revive(context, queueStream, dead, reset, until)),
      );
      for (const end of ends) {
        if (end.status === "rejected") throw end.reason;
        if (end.value !== "gone") answer[end.value]++;
      }
    }
  }
  return answer;
}

/** Dead jobs in their order, none of which has the id of another: of two of one id the older comes back. */
function* batchesOf(page: readonly Stored[]): Generator<readonly Stored[]> {
  let batch = new Map<string, Stored>();
  for (const dead of page) {
    if (batch.has(dead.id)) {
      yield [...batch.values()];
      batch = new Map();
    }
    batch.set(dead.id, dead);
  }
  if (batch.size > 0) yield [...batch.values()];
}

/** The dead jobs that are meant, oldest first, page by page. */
async function* deadOf(
  context: Context,
  queueStream: QueueStream,
  channel: DeadChannel,
  select: Selection,
  until: number,
): AsyncGenerator<readonly Stored[]> {
  const filters = filtersOf(queueStream, channel, select);
  if (select === "all" || !("ids" in select)) {
    for (const filter of filters) {
      for await (const page of pagesOf(context, queueStream, filter, { from: 1 }, until)) {
        yield page.filter((message) => isMeant(message, select));
      }
    }
    return;
  }
  const stampOf = (subject: string): string => subject.slice(subject.lastIndexOf(".") + 1);
  const subjects = (await each(filters, (filter) => subjectsOf(context, queueStream, filter, until))).flat()
    .sort((a, b) => stampOf(a) < stampOf(b) ? -1 : 1);
  for (let start = 0; start < subjects.length; start += PAGE) {
    yield await lastOfAll(context, queueStream, subjects.slice(start, start + PAGE), until);
  }
}

/** Where the dead jobs are that are meant. */
function filtersOf({ base }: QueueStream, channel: DeadChannel, select: Selection): readonly string[] {
  const start = `${base}x.${DEAD_TOKEN[channel]}.`;
  if (select === "all" || !("ids" in select)) return [`${start}>`];
  return [...new Set(select.ids)].map((id) => `${start}${idToken(id)}.>`);
}

function isMeant(message: Stored, select: Selection): boolean {
  if (select === "all" || "ids" in select) return true;
  const { name = message.name, reason, before = Infinity } = select;
  return message.name === name && (reason === undefined || message.marks.reason === reason) &&
    diedAt(message) < before;
}

/** Brings a dead job back: the waiting job is stored first, then the dead one is removed. */
async function revive(
  context: Context,
  queueStream: QueueStream,
  dead: Stored,
  reset: boolean,
  until: number,
): Promise<"reloaded" | "taken" | "gone"> {
  const { id, name, meta, payload, seq, marks: { until: window } } = dead;
  const marks = { ...window === undefined ? {} : { until: window }, ...reset ? { reset } : {} };
  const subject = liveSubject(queueStream.base, "w", id);
  const filter = idFilter(queueStream.base, id);
  let message: Message = {
    queueStream,
    subject,
    payload,
    record: { id, name, meta, marks },
    once: successorOf(seq),
  };
  message = { ...message, expected: { seq: 0, filter } };
  for (let tries = 1;; tries++) {
    const receipt = await published(context.link, message, until);
    const live = receipt.state === "stored" ? undefined : await liveOf(context, queueStream, id, until);
    const isMine = live !== undefined && live.once === successorOf(seq);
    if (receipt.state !== "refused" || isMine) {
      await deleteMessage(context, queueStream, seq, until);
      return receipt.state === "stored" || receipt.twin ? "reloaded" : "gone";
    }
    // A window that is still open is no hindrance here.
    const isWindow = live === undefined || stateOfSubject(queueStream.base, live.subject) === "i";
    if (!isWindow || tries === TRIES) return "taken";
    message = { ...message, expected: { seq: live?.seq ?? 0, filter } };
  }
}

/** Removes jobs of one channel; how many. */
export async function removeJobs(
  context: Context,
  queue: string,
  channel: Channel,
  select: Selection,
  until: number,
): Promise<number> {
  const queueStream = await context.streams.find(queue, until);
  if (queueStream === undefined) return 0;
  if (channel === "failed" || channel === "timeout") {
    return await removeDead(context, queueStream, channel, select, until);
  }
  // Live jobs have neither a reason nor a time of death.
  const isOfTheDead = select !== "all" && !("ids" in select) &&
    (select.reason !== undefined || select.before !== undefined);
  if (isOfTheDead) return 0;
  const seen = await deliveredTo(context, queueStream, until);
  const live = await meant(context, queueStream, channel, select, seen, until);
  let removed = 0;
  for (let start = 0; start < live.length; start += PAGE) {
    // A job that has been handed over since is of another channel, and is not removed here.
    const now = await deliveredTo(context, queueStream, until);
    const page = live.slice(start, start + PAGE)
      .filter((message) => channelOf(queueStream, message, now) === channel);
    const gone = await each(page, (message) => removeOne(context, queueStream, message, channel, until));
    removed += gone.filter(Boolean).length;
  }
  return removed;
}

async function removeDead(
  context: Context,
  queueStream: QueueStream,
  channel: DeadChannel,
  select: Selection,
  until: number,
): Promise<number> {
  const filters = filtersOf(queueStream, channel, select);
  if (select === "all" || "ids" in select) {
    const counts = await each(filters, (filter) => purge(context, queueStream, filter, until));
    return counts.reduce((sum, count) => sum + count, 0);
  }
  let removed = 0;
  for await (const page of deadOf(context, queueStream, channel, select, until)) {
    const gone = await each(page, ({ seq }) => deleteMessage(context, queueStream, seq, until));
    removed += gone.filter(Boolean).length;
  }
  return removed;
}

/** The live jobs that are meant. */
async function meant(
  context: Context,
  queueStream: QueueStream,
  channel: Channel,
  select: Selection,
  seen: Seen,
  until: number,
): Promise<Stored[]> {
  const fits = (message: Stored): boolean => channelOf(queueStream, message, seen) === channel;
  if (select !== "all" && "ids" in select) {
    const found = await readAll([...new Set(select.ids)], (id) => jobOf(context, queueStream, id, until));
    return found.filter(fits);
  }
  const name = select === "all" ? undefined : select.name;
  const all = channel === "delayed"
    ? await scan(context, queueStream, { filter: `${queueStream.base}j.d.>` }, until)
    : (await Promise.all(
      (["b", "w"] as const).map((state) => scanState(context, queueStream, state, { from: 1 }, until)),
    ))
      .flat();
  return all.filter((message) => (name === undefined || message.name === name) && fits(message));
}

/**
 * Removes a live job. A message that keeps its id for its window follows it, so that no worker can move the job any
 * more; such a message follows a reserved job, too, whose acknowledgement this call sends in its holder's stead.
 */
async function removeOne(
  context: Context,
  queueStream: QueueStream,
  message: Stored,
  channel: Channel,
  until: number,
): Promise<boolean> {
  const { link, deliveries, clock } = context;
  const { seq, id, name, meta, marks, subject } = message;
  const state = stateOfSubject(queueStream.base, subject) === "b" ? "b" : "w";
  const reply = replyOf(queueStream, state, seq);
  const hasWindow = secondsUntil(marks.until, clock.now()) > 0;
  const follows = hasWindow || (channel === "reserved" && !subject.startsWith(`${queueStream.base}in.`));
  const end = endOf({ queueStream, state, seq, reply, record: { id, name, meta, marks } }, clock.now());
  const moved = follows ? await publishSuccessor(link, end, until) : "moved";
  if (moved instanceof Error) throw moved;
  if (channel === "reserved") {
    deliveries.lose(queueStream, seq);
    link.send({ subject: reply, data: ACK });
  }
  const isGone = await deleteMessage(context, queueStream, seq, until) || channel === "reserved";
  if (follows && !hasWindow && moved === "moved") {
    const live = await liveOf(context, queueStream, id, until);
    if (live?.subject === end.subject) await deleteMessage(context, queueStream, live.seq, until);
  }
  return moved === "moved" && isGone;
}
