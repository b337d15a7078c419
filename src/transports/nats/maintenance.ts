/**
 * Maintenance beside the work, done now and then by the processes that reserve: streams are checked and the server's
 * clock is read anew, delayed jobs that are overdue are moved, and jobs that wait in a topic are sent to its groups.
 *
 * A server whose store was full at the instant of a delayed job does not try again to move it until it is restarted, and
 * one whose clock went back and forth may sleep for as long as it had gone back. The subject of a delayed job names the
 * minute in which it is due: so one question for each minute that is over finds them, however many are delayed, and each
 * is moved on the condition that it is the last of its id.
 *
 * @module
 */

import { errorOf, TransportFull } from "../../errors.ts";
import { partsOf, topicQueue } from "../../names.ts";
import { hush } from "../../promises.ts";
import type { Context, QueueCall } from "./stream/context.ts";
import { restoreFront, whenFull } from "./stream/front.ts";
import type { Stored } from "./stream/message.ts";
import { promote } from "./stream/moves.ts";
import { replace } from "./stream/publish.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { each, lastOf, scan } from "./stream/read.ts";
import { MINUTE, minuteToken } from "./stream/subjects.ts";
import { sweepTopic } from "./topics.ts";

/**
 * Milliseconds between two rounds of one queue's maintenance, half of which are left to chance, and those that a round
 * may take.
 */
const PAUSE = 40_000;
/** Milliseconds until the next round where jobs are overdue, or the store is full: it may have room by then. */
const SOON = 5_000;
/** Milliseconds until the next round after a time of a full store: jobs that were due last in it are overdue by then. */
const AFTER = 5_000;
const LATEST = 60_000;
/** Milliseconds between two checks of a stream, which another process may have made anew. */
const CHECK = 120_000;

/** Milliseconds for which the server is left to move due jobs itself; and behind a time of a full store. */
const PATIENCE = 10_000;
const PATIENCE_FULL = 3_000;
/** Milliseconds behind the last refusal for which jobs may be found that a full store refused at their instant. */
const BEHIND = 60_000;
/** Minutes, or jobs of one that is not over, that are checked in one go. */
const PAGE = 256;
/** Minutes after which it is written down how far they were checked. */
const NOTED = 30;
/** Jobs that are moved in one go. */
const JOBS = 1_000;

/** Makes the maintenance of the queues that are reserved from. */
export function createMaintenance(context: () => Context): (queueStreams: readonly QueueStream[]) => void {
  /** When the last round of each queue began or ended, and the pause behind it. */
  const rounds = new Map<QueueStream, { readonly at: number; readonly pause: number }>();
  return (queueStreams) => {
    const { runtime } = context().link.settings;
    const now = runtime.monotonic();
    for (const queueStream of queueStreams) {
      const last = rounds.get(queueStream);
      if (last !== undefined && now < last.at + (queueStream.store.full === undefined ? last.pause : SOON)) {
        continue;
      }
      rounds.set(queueStream, { at: now, pause: PAUSE * (0.5 + runtime.random() / 2) });
      // A step that fails is done by the next round.
      hush(
        tend({ ...context(), queueStream, until: now + LATEST }).then((pause) => {
          if (pause !== undefined) rounds.set(queueStream, { at: runtime.monotonic(), pause });
        }),
      );
    }
  };
}

/** One round; the pause until the next one where that is to be soon, as jobs were overdue or the store full. */
async function tend(call: QueueCall): Promise<number | undefined> {
  const { link, clock, streams, queueStream, until } = call;
  if (link.settings.runtime.monotonic() > queueStream.checkedAt + CHECK) {
    await streams.refresh(queueStream, until);
  }
  await clock.renew(queueStream, until);
  const { topic } = partsOf(queueStream.queue);
  if (topic !== undefined) {
    const own = await streams.find(topicQueue(topic), until);
    if (own !== undefined) await sweepTopic({ ...call, queueStream: own });
  }
  const isLate = await moveOverdue(call);
  const wasFull = queueStream.store.full !== undefined;
  await restoreFront(link, queueStream, until);
  if (isLate || queueStream.store.full !== undefined) return SOON;
  return wasFull ? AFTER : undefined;
}

function subjectOf({ base }: QueueStream): string {
  return `${base}o.checked`;
}

/** Moves overdue jobs; whether there were any. */
async function moveOverdue(call: QueueCall): Promise<boolean> {
  const { queueStream } = call;
  const over = call.clock.now() - patienceOf(call);
  const last = Math.floor(over / MINUTE) - 1;
  const noted = queueStream.checked ?? await notedIn(call);
  // Where the server's clock went back jobs are due once more in minutes that were checked.
  queueStream.checked = Math.min(noted, Math.max(last, firstMinute(queueStream)));
  let overdue = false;
  for (let from = queueStream.checked + 1; from <= last; from += PAGE) {
    const minutes = Array.from({ length: Math.min(PAGE, last - from + 1) }, (_, n) => from + n);
    const found = await Promise.all(minutes.map((minute) => overdueIn(call, minute, JOBS)));
    await moveAll(call, found.flat());
    // A minute in which jobs were found is checked once more: the store may be full still.
    const unmoved = found.findIndex((jobs) => jobs.length > 0);
    overdue ||= unmoved >= 0;
    queueStream.checked = unmoved < 0 ? from + minutes.length - 1 : from + unmoved - 1;
    if (unmoved >= 0) break;
  }
  // Of the minute that is not over yet the first jobs are checked.
  const begun = await overdueIn(call, last + 1, queueStream.store.full === undefined ? PAGE : JOBS);
  const late = begun.filter(({ marks: { due = over } }) => due < over);
  await moveAll(call, late);
  overdue ||= late.length > 0;
  if (queueStream.checked < noted || queueStream.checked >= noted + NOTED) await note(call);
  return overdue;
}

function patienceOf({ link, queueStream: { store: { full, fullAt } } }: QueueCall): number {
  const wasFull = full !== undefined || link.settings.runtime.monotonic() < fullAt + BEHIND;
  return wasFull ? PATIENCE_FULL : PATIENCE;
}

/** Writes down up to which minute was checked. */
async function note(call: QueueCall): Promise<void> {
  const subject = subjectOf(call.queueStream);
  const expected = (await lastOf(call, subject))?.seq ?? 0;
  await replace(call, { subject, text: `${call.queueStream.checked}`, expected });
}

/** The minute up to which another process has checked, or that before the stream was made. */
async function notedIn(call: QueueCall): Promise<number> {
  const { queueStream } = call;
  const noted = Number((await lastOf(call, subjectOf(queueStream)))?.header);
  return Number.isSafeInteger(noted) && noted > 0 ? noted : firstMinute(queueStream);
}

/** The minute before that in which a stream was made. */
function firstMinute({ created }: QueueStream): number {
  return Math.floor(created / MINUTE) - 1;
}

function overdueIn(call: QueueCall, minute: number, limit: number): Promise<readonly Stored[]> {
  return scan(call, { filter: `${call.queueStream.base}j.d.${minuteToken(minute * MINUTE)}.>`, limit });
}

/** Moves jobs; those for which a full store has no room together, one after another. */
async function moveAll(call: QueueCall, jobs: readonly Stored[]): Promise<void> {
  const { link, queueStream, until } = call;
  const step = (job: Stored): Promise<Error | undefined> => promote(call, job).then(() => undefined, errorOf);
  const [first, ...rest] = jobs;
  if (first === undefined) return;
  // A store that has no room for the first is not sent all of them.
  const begun = await step(first);
  const results = [begun, ...begun instanceof TransportFull ? rest.map(() => begun) : await each(rest, step)];
  await whenFull(link, jobs, results, () => ({ queueStream, frees: true }), step, until);
  const failed = results.find((result) => result instanceof Error && !(result instanceof TransportFull));
  if (failed !== undefined) throw failed;
}
