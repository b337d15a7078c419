/**
 * The operator's removals.
 *
 * @module
 */

import type { Selection } from "../../jobs/exchange.ts";
import { type Channel, type DeadChannel, isDead } from "../../jobs/job.ts";
import { parted } from "../../store/pages.ts";
import { idsOf, isMeant } from "../../store/selections.ts";
import type { QueueCall } from "./stream/context.ts";
import { channelOf, deliveredTo, filtersOf, jobOf, pagesOfDead, scanState, type Seen } from "./inspect.ts";
import { secondsUntil } from "./push_jobs.ts";
import { endOf } from "./settle.ts";
import { ACK, replyOf } from "./stream/acknowledge.ts";
import type { Stored } from "./stream/message.ts";
import { isOnHold, publishSuccessor } from "./stream/moves.ts";
import { deleteMessage, each, liveOf, purge, readAll, scan } from "./stream/read.ts";
import { delayedFilter, stateOfSubject } from "./stream/subjects.ts";

/** Jobs that are removed between two questions how far each state was delivered. */
const PAGE = 64;

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
  const fits = (message: Stored): boolean =>
    channelOf(call, message, seen) === channel && !isOnHold(call.queueStream, message, call.clock.now());
  const ids = idsOf(select);
  if (ids !== undefined) return (await readAll(ids, (id) => jobOf(call, id))).filter(fits);
  const all = channel === "delayed"
    ? await scan(call, { filter: delayedFilter(call.queueStream.base) })
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
