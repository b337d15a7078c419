/**
 * Delayed jobs that the server has not moved though they were due. A server whose store was full at that instant does
 * not try again until it is restarted. The subject of a delayed job names the minute in which it is due: so one
 * question for each minute that is over finds them, however many are delayed, and each is given to the server anew,
 * under its own subject and on the condition that it is the last of its id.
 *
 * @module
 */

import { errorOf, TransportFull } from "../../errors.ts";
import type { Context } from "./stream/context.ts";
import { replace } from "./stream/compare_and_set.ts";
import { whenFull } from "./stream/front.ts";
import { keepRoom } from "./stream/full_store.ts";
import { type Stored } from "./stream/message.ts";
import { successorOf } from "./stream/moves.ts";
import { published } from "./stream/publish.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { each, lastOf, scan } from "./stream/read.ts";
import { idFilter, minuteToken } from "./stream/subjects.ts";

const MINUTE = 60_000;
/** Milliseconds for which the server is left to move due jobs itself; and behind a time of a full store. */
const PATIENCE = 10_000;
const PATIENCE_FULL = 3_000;
/** Milliseconds behind the last refusal for which jobs may be found that a full store refused at their instant. */
const BEHIND = 60_000;
/** Minutes, or jobs of one that is not over, that are checked in one go. */
const PAGE = 256;
/** Minutes after which it is written down how far they were checked. */
const NOTED = 30;
/** Milliseconds in which the server moves jobs that it was given anew: in a full store it needs room for it. */
const MOVING = 2_000;
/** Jobs that are given to the server anew in one go. */
const JOBS = 1_000;

function subjectOf({ base }: QueueStream): string {
  return `${base}o.checked`;
}

/** Gives overdue jobs to the server anew; whether there were any. */
export async function moveOverdue(
  context: Context,
  queueStream: QueueStream,
  until: number,
): Promise<boolean> {
  const over = context.clock.now() - patienceOf(context, queueStream);
  const last = Math.floor(over / MINUTE) - 1;
  const noted = queueStream.checked ?? await notedIn(context, queueStream, until);
  queueStream.checked ??= noted;
  let overdue = false;
  for (let from = queueStream.checked + 1; from <= last; from += PAGE) {
    const minutes = Array.from({ length: Math.min(PAGE, last - from + 1) }, (_, n) => from + n);
    const found = await Promise.all(
      minutes.map((minute) => overdueIn(context, queueStream, minute, JOBS, until)),
    );
    await anewAll(context, queueStream, found.flat(), until);
    // A minute in which jobs were found is checked once more: the store may be full still.
    const unmoved = found.findIndex((jobs) => jobs.length > 0);
    overdue ||= unmoved >= 0;
    queueStream.checked = unmoved < 0 ? from + minutes.length - 1 : from + unmoved - 1;
    if (unmoved >= 0) break;
  }
  // Of the minute that is not over yet the first jobs are checked.
  const begun = await overdueIn(
    context,
    queueStream,
    last + 1,
    queueStream.full === undefined ? PAGE : JOBS,
    until,
  );
  const late = begun.filter(({ marks: { due = over } }) => due < over);
  await anewAll(context, queueStream, late, until);
  overdue ||= late.length > 0;
  if (queueStream.checked >= noted + NOTED) await note(context, queueStream, until);
  return overdue;
}

function patienceOf({ link }: Context, { full, fullAt }: QueueStream): number {
  const wasFull = full !== undefined || link.settings.runtime.monotonic() < fullAt + BEHIND;
  return wasFull ? PATIENCE_FULL : PATIENCE;
}

/** Writes down up to which minute was checked. */
async function note(context: Context, queueStream: QueueStream, until: number): Promise<void> {
  const message = await lastOf(context, queueStream, subjectOf(queueStream), until);
  const wanted = {
    subject: subjectOf(queueStream),
    text: `${queueStream.checked}`,
    expected: message?.seq ?? 0,
  };
  await replace(context, queueStream, wanted, until);
}

/** The minute up to which another process has checked, or that before the stream was made. */
async function notedIn(context: Context, queueStream: QueueStream, until: number): Promise<number> {
  const message = await lastOf(context, queueStream, subjectOf(queueStream), until);
  const noted = Number(message?.header);
  return Number.isSafeInteger(noted) && noted > 0 ? noted : Math.floor(queueStream.created / MINUTE) - 1;
}

function overdueIn(
  context: Context,
  queueStream: QueueStream,
  minute: number,
  limit: number,
  until: number,
): Promise<readonly Stored[]> {
  const filter = `${queueStream.base}j.d.${minuteToken(minute * MINUTE)}.>`;
  return scan(context, queueStream, { filter, limit }, until);
}

/** Gives jobs to the server anew; those for which a full store has no room together, one after another. */
async function anewAll(
  context: Context,
  queueStream: QueueStream,
  jobs: readonly Stored[],
  until: number,
): Promise<void> {
  const step = (job: Stored): Promise<Error | undefined> =>
    anew(context, queueStream, job, until).then(() => undefined, errorOf);
  const again = async (index: number): Promise<Error | undefined> => {
    const job = jobs[index];
    return job === undefined ? undefined : await step(job);
  };
  const [first, ...rest] = jobs;
  if (first === undefined) return;
  // A store that has no room for the first is not sent all of them.
  const begun = await step(first);
  const results = [begun, ...begun instanceof TransportFull ? rest.map(() => begun) : await each(rest, step)];
  await whenFull(context.link, results, () => ({ queueStream, frees: true }), again, until);
  if (queueStream.full !== undefined) keepRoom(context.link, queueStream, MOVING);
  const failed = results.find((result) => result instanceof Error && !(result instanceof TransportFull));
  if (failed !== undefined) throw failed;
}

/** The same message again, on its own subject: whichever of the two the server moves, there is one job. */
async function anew(context: Context, queueStream: QueueStream, job: Stored, until: number): Promise<void> {
  const { id, name, meta, marks, payload, seq, subject } = job;
  const expected = { seq, filter: idFilter(queueStream.base, id) };
  const due = Math.floor(context.clock.now());
  await published(context.link, {
    queueStream,
    subject,
    payload,
    record: { id, name, meta, marks },
    due,
    replaces: true,
    once: successorOf(seq),
    expected,
  }, until);
}
