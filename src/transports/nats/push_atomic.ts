/**
 * Atomic pushes: all jobs of a call or, when one is refused, none.
 *
 * @module
 */

import { AtomicLimitError, errorOf } from "../../errors.ts";
import type { Pushed, PushJob } from "../../jobs/exchange.ts";
import type { Context } from "./context.ts";
import { freed, messagesOf, type Target } from "./new_jobs.ts";
import { MAX_BATCH, partOf } from "./stream/batch.ts";
import { tooLarge } from "./stream/publish.ts";
import { pack } from "./stream/message.ts";
import type { Message } from "./stream/publish.ts";

/** Times that a batch is sent which is refused though no id is taken. */
const TRIES = 20;

/** Refuses jobs of several streams, before anything is sent. */
export function checkAtomic({ streams }: Context, jobs: readonly PushJob[]): void {
  const owners = new Set(jobs.map(({ queue }) => streams.of(queue).owner));
  if (owners.size > 1) throw new AtomicLimitError(MAX_BATCH, `${owners.size} queues and topics`);
}

/** Stores all jobs as one batch; an answer for each. */
export async function pushAtomic(
  context: Context,
  jobs: readonly PushJob[],
  targets: ReadonlyMap<string, Target | Error>,
  until: number,
): Promise<Pushed[]> {
  if (jobs.length === 0) return [];
  const prepared = jobs.map((job, index) => prepare(context, jobs, targets, job, index));
  let current: readonly (readonly Message[])[] = prepared.flatMap((one) => isAnswer(one) ? [] : [one]);
  if (current.length < jobs.length) return prepared.map((one) => isAnswer(one) ? one : "withheld");
  const count = current.flat().length;
  if (count > MAX_BATCH) throw new AtomicLimitError(MAX_BATCH, `${count} messages`);
  for (let tries = 1;; tries++) {
    const [first] = current.flat();
    if (first === undefined) return [];
    const receipt = await context.batches.store(first.queueStream, current.flat().map(partOf), until);
    if (receipt.state === "stored") return jobs.map(() => "stored");
    const next = await Promise.all(current.map((messages) => freed(context, messages, until)));
    const free = next.filter((messages) => messages !== undefined);
    if (free.length < next.length) return next.map((one) => one === undefined ? "duplicate" : "withheld");
    if (tries === TRIES) throw new Error("Cannot push jobs as others keep changing what has their ids");
    await context.link.elections.rest(20 * tries);
    current = free;
  }
}

function isAnswer(value: readonly Message[] | Pushed): value is Pushed {
  return value instanceof Error || typeof value === "string";
}

/** The messages of a job, or why there can be none. */
function prepare(
  context: Context,
  jobs: readonly PushJob[],
  targets: ReadonlyMap<string, Target | Error>,
  job: PushJob,
  index: number,
): readonly Message[] | Pushed {
  const { queue, id, idWindow } = job;
  try {
    const target = targets.get(queue) ?? new Error("A job has no stream");
    if (target instanceof Error) return target;
    // The server would accept both.
    const isTwin = idWindow !== undefined &&
      jobs.findIndex((one) => one.queue === queue && one.id === id) < index;
    if (isTwin) return "duplicate";
    const messages = messagesOf(context, target, job);
    for (const { queueStream, record, payload } of messages) {
      const refused = tooLarge(context.link, queueStream, pack(record), payload, 0);
      if (refused !== undefined) return refused;
    }
    return messages;
  } catch (error) {
    return errorOf(error);
  }
}
