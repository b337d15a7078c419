/**
 * The operator's writes: dead jobs back to work, and jobs out for good.
 *
 * @module
 */

import type { Reloaded, Selection } from "../../jobs/exchange.ts";
import { type Channel, type DeadChannel, isDead } from "../../jobs/job.ts";
import { parted } from "../../store/pages.ts";
import { idsOf, isMeant } from "../../store/selections.ts";
import type { QueueCall } from "./stream/context.ts";
import { channelOf, deliveredTo, diedAt, jobOf, scanState, type Seen } from "./inspect.ts";
import { secondsUntil } from "./push_jobs.ts";
import { endOf } from "./settle.ts";
import { ACK, replyOf } from "./stream/acknowledge.ts";
import type { Stored } from "./stream/message.ts";
import { publishSuccessor, successorOf } from "./stream/moves.ts";
import { type Message, published } from "./stream/publish.ts";
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
import { deadFilter, idFilter, liveSubject, stateOfSubject } from "./stream/subjects.ts";

/** Jobs that are removed between two questions how far each state was delivered. */
const PAGE = 64;
/** Times that a reload is tried whose id is free by the time that its live message is read. */
const TRIES = 3;

/** Dead to waiting, oldest first. */
export async function reloadJobs(
  call: QueueCall,
  channel: DeadChannel,
  select: Selection,
  reset: boolean,
): Promise<Reloaded> {
  const answer = { reloaded: 0, taken: 0 };
  await call.clock.renew(call.queueStream, call.until);
  for await (const page of pagesOfDead(call, channel, select)) {
    for (const batch of batchesOf(page)) {
      const ends = await Promise.allSettled(batch.map((dead) => revive(call, dead, reset)));
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
async function* pagesOfDead(
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
  for (const page of parted(subjects, PAGE)) yield await lastOfAll(call, page);
}

/** Where the dead jobs are that are meant. */
function filtersOf({ queueStream: { base } }: QueueCall, channel: DeadChannel, select: Selection): string[] {
  return idsOf(select)?.map((id) => deadFilter(base, channel, id)) ?? [deadFilter(base, channel)];
}

/** Brings a dead job back: the waiting job is stored first, then the dead one is removed. */
async function revive(
  call: QueueCall,
  dead: Stored,
  reset: boolean,
): Promise<"reloaded" | "taken" | "gone"> {
  const { link, queueStream, until } = call;
  const { id, name, meta, payload, seq, marks: { until: window } } = dead;
  const marks = { ...window === undefined ? {} : { until: window }, ...reset ? { reset } : {} };
  const subject = liveSubject(queueStream.base, "w", id);
  const filter = idFilter(queueStream.base, id);
  const record = { id, name, meta, marks };
  const once = successorOf(seq);
  let message: Message = { queueStream, subject, payload, record, once, expected: { seq: 0, filter } };
  for (let tries = 1;; tries++) {
    const receipt = await published(link, message, until);
    const live = receipt.state === "stored" ? undefined : await liveOf(call, id);
    const isMine = live !== undefined && live.once === once;
    if (receipt.state !== "refused" || isMine) {
      await deleteMessage(call, seq);
      return receipt.state === "stored" || receipt.twin ? "reloaded" : "gone";
    }
    // A window that is still open is no hindrance here.
    const isWindow = live === undefined || stateOfSubject(queueStream.base, live.subject) === "i";
    if (!isWindow || tries === TRIES) return "taken";
    message = { ...message, expected: { seq: live?.seq ?? 0, filter } };
  }
}

/** Removes jobs of one channel; how many. */
export async function removeJobs(call: QueueCall, channel: Channel, select: Selection): Promise<number> {
  if (isDead(channel)) return await removeDead(call, channel, select);
  const live = await meant(call, channel, select, await deliveredTo(call));
  let removed = 0;
  for (const page of parted(live, PAGE)) {
    // A job that has been handed over since is of another channel, and is not removed here.
    const now = await deliveredTo(call);
    const still = page.filter((message) => channelOf(call, message, now) === channel);
    const gone = await each(still, (message) => removeOne(call, message, channel));
    removed += gone.filter(Boolean).length;
  }
  return removed;
}

async function removeDead(call: QueueCall, channel: DeadChannel, select: Selection): Promise<number> {
  if (select === "all" || "ids" in select) {
    const counts = await each(filtersOf(call, channel, select), (filter) => purge(call, filter));
    return counts.reduce((sum, count) => sum + count, 0);
  }
  let removed = 0;
  for await (const page of pagesOfDead(call, channel, select)) {
    const gone = await each(page, ({ seq }) => deleteMessage(call, seq));
    removed += gone.filter(Boolean).length;
  }
  return removed;
}

/** The live jobs that are meant. */
async function meant(
  call: QueueCall,
  channel: Channel,
  select: Selection,
  seen: Seen,
): Promise<readonly Stored[]> {
  const fits = (message: Stored): boolean => channelOf(call, message, seen) === channel;
  const ids = idsOf(select);
  if (ids !== undefined) return (await readAll(ids, (id) => jobOf(call, id))).filter(fits);
  const all = channel === "delayed"
    ? await scan(call, { filter: `${call.queueStream.base}j.d.>` })
    : (await Promise.all([scanState(call, "b"), scanState(call, "w")])).flat();
  return all.filter((message) => isMeant(select, message.name) && fits(message));
}

/**
 * Removes a live job. A message that keeps its id for its window follows it, so that no worker can move the job any
 * more; such a message follows a reserved job, too, whose acknowledgement this call sends in its holder's stead.
 */
async function removeOne(call: QueueCall, message: Stored, channel: Channel): Promise<boolean> {
  const { link, deliveries, clock, queueStream, until } = call;
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
  const isGone = await deleteMessage(call, seq) || channel === "reserved";
  if (follows && !hasWindow && moved === "moved") {
    const live = await liveOf(call, id);
    if (live?.subject === end.subject) await deleteMessage(call, live.seq);
  }
  return moved === "moved" && isGone;
}
