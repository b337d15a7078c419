/**
 * Reloads: dead jobs back to work. The removal of the dead message decides: the server says to one call only that it was
 * there, be that a reload's or a removal's. Before it the job is stored among the delayed ones, on hold for a few
 * seconds, as else a process that dies would take it along; behind it the job is moved to the waiting ones, or forgotten
 * where another call had removed the dead message.
 *
 * Where the process dies in between, the job on hold is moved like any other that is overdue: by the next reload, or by
 * the maintenance of a process that reserves. Whether its dead message was removed by an operator meanwhile is not known
 * then, so that it runs.
 *
 * @module
 */

import { errorOf } from "../../errors.ts";
import type { Reloaded, Selection } from "../../jobs/exchange.ts";
import type { DeadChannel } from "../../jobs/job.ts";
import { pagesOfDead } from "./inspect.ts";
import type { QueueCall } from "./stream/context.ts";
import type { Stored } from "./stream/message.ts";
import { isOnHold, promote, publishWaiting, recordOf } from "./stream/moves.ts";
import { type Message, published } from "./stream/publish.ts";
import { deleteMessage, liveOf, storedAt } from "./stream/read.ts";
import { idFilter, liveSubject, stateOfSubject } from "./stream/subjects.ts";

/** Milliseconds for which a job is on hold: until then it is its reload's, and later any process's. */
const HOLD = 5_000;
/** Milliseconds between two looks at what another reload does with a job. */
const LOOK = 100;
/** The number of no message: its deletion asks for the right to delete. */
const NO_MESSAGE = 0;
/** Times that a reload is tried whose id is free by the time that its live message is read. */
const TRIES = 3;

/** What became of a dead job; "gone": another call had it. */
type End = "reloaded" | "taken" | "gone";

/** A dead job, and its message among the delayed ones. */
interface Held {
  readonly dead: Stored;
  readonly message: Message;
  readonly seq: number;
}

/** Dead to waiting, oldest first. */
export async function reloadJobs(
  call: QueueCall,
  channel: DeadChannel,
  select: Selection,
  reset: boolean,
): Promise<Reloaded> {
  const answer = { reloaded: 0, taken: 0 };
  // Without the right to delete, a job would be on hold beside its dead message, and run though the reload was refused.
  await Promise.all([call.clock.renew(call.queueStream, call.until), deleteMessage(call, NO_MESSAGE)]);
  for await (const page of pagesOfDead(call, channel, select)) {
    for (const batch of batchesOf(page)) {
      for (const end of await reviveAll(call, batch, reset)) if (end !== "gone") answer[end]++;
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

/**
 * Brings dead jobs back, in their order: each step is done for all of them before the next. One that fails keeps no other
 * from its end.
 */
async function reviveAll(call: QueueCall, batch: readonly Stored[], reset: boolean): Promise<readonly End[]> {
  const ends: (End | Error)[] = [];
  const held: Held[] = [];
  const others: Stored[] = [];
  for (const one of await Promise.all(batch.map((dead) => hold(call, dead, reset).catch(errorOf)))) {
    if (typeof one === "string" || one instanceof Error) ends.push(one);
    else if ("message" in one) held.push(one);
    else others.push(one);
  }
  const isOurs = await Promise.all(held.map(({ dead }) => deleteMessage(call, dead.seq).catch(errorOf)));
  const ours = held.map(({ message: { record, payload }, seq }, index) => {
    if (isOurs[index] !== true) return isOurs[index] === false ? "gone" : isOurs[index] ?? "gone";
    const { dead: _, due: __, ...marks } = record.marks;
    return publishWaiting(call, { seq, payload, record: { ...record, marks } });
  });
  const moved = await Promise.all(ours);
  const known = held.filter((_, index) => !(moved[index] instanceof Error));
  const freed = await Promise.all(known.map(({ seq }) => deleteMessage(call, seq).catch(errorOf)));
  for (const dead of others) ends.push(await finish(call, dead, reset).catch(errorOf));
  const failed = [...ends, ...moved, ...freed].find((end) => end instanceof Error);
  if (failed !== undefined) throw failed;
  const mine = isOurs.map((isOne): End => isOne === true ? "reloaded" : "gone");
  return [...ends.flatMap((end) => end instanceof Error ? [] : [end]), ...mine];
}

/** Stores a dead job among the delayed ones. Answers the job itself where another reload has done so. */
async function hold(call: QueueCall, dead: Stored, reset: boolean): Promise<Held | Stored | End> {
  const { link, queueStream, clock, until } = call;
  const { id, payload, marks: { until: window } } = dead;
  const due = Math.ceil(clock.latest() + HOLD);
  const marks = {
    ...window === undefined ? {} : { until: window },
    ...reset ? { reset } : {},
    due,
    dead: dead.seq,
  };
  const once = link.settings.runtime.id();
  const subject = liveSubject(queueStream.base, "d", id, due);
  const filter = idFilter(queueStream.base, id);
  let message: Message = { queueStream, subject, payload, record: { ...recordOf(dead), marks }, once };
  for (let tries = 1, seq = 0;; tries++) {
    message = { ...message, expected: { seq, filter } };
    const receipt = await published(link, message, until);
    if (receipt.state !== "refused") return { dead, message, seq: receipt.seq };
    const live = await liveOf(call, id);
    if (live?.once === once) return { dead, message, seq: live.seq };
    if (live?.marks.dead === dead.seq) return dead;
    // A window that is still open is no hindrance here.
    const isFree = live === undefined || stateOfSubject(queueStream.base, live.subject) === "i";
    if (!isFree || tries === TRIES) return await isThere(call, dead) ? "taken" : "gone";
    seq = live?.seq ?? 0;
  }
}

async function isThere(call: QueueCall, { seq }: Stored): Promise<boolean> {
  return await storedAt(call, { seq }) !== undefined;
}

/** Waits for another reload that brings a job back, and finishes it once it is late. */
async function finish(call: QueueCall, dead: Stored, reset: boolean): Promise<End> {
  const { link, queueStream, clock } = call;
  while (await isThere(call, dead)) {
    const live = await liveOf(call, dead.id);
    if (live?.marks.dead !== dead.seq) {
      const [end = "gone"] = await reviveAll(call, [dead], reset);
      return end;
    }
    if (!isOnHold(queueStream, live, clock.now())) {
      if (stateOfSubject(queueStream.base, live.subject) === "d") await promote(call, live);
      return await deleteMessage(call, dead.seq) ? "reloaded" : "gone";
    }
    await link.elections.rest(LOOK);
  }
  return "gone";
}
