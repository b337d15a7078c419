/**
 * Push: jobs in.
 *
 * @module
 */

import { AtomicLimitError, errorOf, RelevoError, TransportFull } from "../../errors.ts";
import type { Pushed, PushJob } from "../../jobs/exchange.ts";
import { AnswerLost, HalfStored, isStreamGone } from "./client/errors.ts";
import type { Context, Sizes } from "./stream/context.ts";
import { isTopic } from "./topics_groups.ts";
import {
  checkRoom,
  completed,
  freed,
  type Messages,
  messagesOf,
  renamed,
  sizeOf,
  type Target,
  targetOf,
} from "./push_jobs.ts";
import { fullStill, keepRoom, REFUSED } from "./stream/front.ts";
import { createShared, MAX_BATCH, type Sent, type Shared } from "./stream/batch.ts";
import { type Part, partOf, publish, type Receipt, sendable } from "./stream/publish.ts";
import { liveOf } from "./stream/read.ts";
import { sweepTopic } from "./topics.ts";

/** Times that a job is sent which is refused though its id is free by the time that its live message is read. */
const TRIES = 10;
/** Times that a batch is sent which is refused though no id is taken. */
const BATCH_TRIES = 20;

/** Stores jobs; an answer for each. */
export async function pushJobs(
  context: Context,
  jobs: readonly PushJob[],
  atomic: boolean,
  until: number,
): Promise<Pushed[]> {
  const { link } = context;
  if (atomic) checkAtomic(context, jobs);
  if (!link.up) await link.ready(until, "push jobs");
  const targets = await targetsOf(context, jobs, until);
  if (atomic) return await pushAtomic(context, jobs, targets, until);
  const pushed = await pushEach(context, jobs, targets, until);
  await afterwards(context, targets, until);
  return pushed;
}

/** Stores jobs that share round trips, and no fate. */
async function pushEach(
  context: Context,
  jobs: readonly PushJob[],
  targets: ReadonlyMap<string, Target | Error>,
  until: number,
): Promise<Pushed[]> {
  const { inFlight, batches } = context;
  const answers: (Pushed | Promise<Pushed>)[] = [];
  const shared = createShared(batches, () => until);
  for (const job of jobs) {
    const messages = prepare(context, job, targets.get(job.queue));
    if (messages instanceof Error) {
      answers.push(messages);
      continue;
    }
    const isShared = messages.length > 1;
    const entering = inFlight.enter(job.payload.length);
    if (entering !== undefined || !isShared) shared.send();
    if (entering !== undefined) await entering;
    answers.push(storeOne(context, isShared ? shared : undefined, messages, until));
  }
  shared.send();
  return await Promise.all(answers);
}

/** Where the jobs go, or why they cannot. */
async function targetsOf(
  context: Context,
  jobs: readonly PushJob[],
  until: number,
): Promise<ReadonlyMap<string, Target | Error>> {
  const sizes = sizesOf(jobs);
  const timed = new Set(jobs.filter(isTimed).map(({ queue }) => queue));
  const queues = [...sizes.keys()];
  // Several servers take a while to agree on a stream, and as long for many as for one.
  const found = await Promise.all(queues.map(async (queue): Promise<[string, Target | Error]> => {
    try {
      const target = await targetOf(context, queue, until);
      // A process that only dispatches maintains no queue, which renews the clock of the others.
      if (timed.has(queue)) await context.clock.renew(target.queueStream, until);
      const checking = checkRoom(context, target, sizes.get(queue) ?? { all: 0, largest: 0 }, until);
      if (checking !== undefined) await checking;
      return [queue, target];
    } catch (error) {
      return [queue, errorOf(error)];
    }
  }));
  return new Map(found);
}

/** Whether an instant by the server's clock travels with a job. */
function isTimed({ delay, at, idWindow }: PushJob): boolean {
  return delay !== undefined || at !== undefined || idWindow !== undefined;
}

/** Bytes that the jobs of each queue take at a server, as far as that is known before they are written. */
function sizesOf(jobs: readonly PushJob[]): ReadonlyMap<string, Sizes> {
  const sizes = new Map<string, Sizes>();
  for (const job of jobs) {
    const { queue } = job;
    const { all, largest } = sizes.get(queue) ?? { all: 0, largest: 0 };
    const size = sizeOf(job);
    sizes.set(queue, { all: all + size, largest: Math.max(largest, size) });
  }
  return sizes;
}

/** The messages of a job, or why there can be none. */
function prepare(
  context: Context,
  job: PushJob,
  target: Target | Error | undefined,
  isPart = false,
): Messages | Error {
  try {
    if (target === undefined || target instanceof Error) return target ?? new Error("A job has no stream");
    return messagesOf(context, target, job, isPart);
  } catch (error) {
    return errorOf(error);
  }
}

/** Stores a job: as part of a batch, or by itself where there is none, or that is refused. */
async function storeOne(
  context: Context,
  shared: Shared | undefined,
  messages: Messages,
  until: number,
): Promise<Pushed> {
  try {
    const sent = shared === undefined ? "alone" : await storeShared(context, shared, messages);
    if (sent instanceof Error) return sent;
    if (sent !== "alone" && sent.state === "stored") return "stored";
    // In a store that became full since it was checked it would take the room that moves free.
    const full = messages.find(({ queueStream }) => queueStream.store.full !== undefined);
    return full === undefined ? await store(context, messages, until) : fullStill(full.queueStream);
  } catch (error) {
    return failed(context, messages, error);
  } finally {
    context.inFlight.leave(messages.at(-1)?.payload.length ?? 0);
  }
}

/** Stores a job's messages as part of a batch. */
function storeShared(
  { link }: Context,
  shared: Shared,
  messages: Messages,
): Promise<Sent> | Error {
  const parts: Part[] = [];
  for (const message of messages) {
    const part = sendable(link, message);
    if (part instanceof Error) return part;
    parts.push(part);
  }
  return shared.add(messages[0].queueStream, parts);
}

/** Stores the messages of one job. */
async function store(context: Context, messages: Messages, until: number): Promise<Pushed> {
  let current = messages;
  for (let tries = 1;; tries++) {
    const receipt = await send(context, current, until);
    if (receipt instanceof Error) return failed(context, messages, receipt);
    if (receipt.state === "stored") return "stored";
    if (current.length > 1) {
      const whole = await completed(context, current, until);
      if (whole !== undefined) return whole;
      if (receipt.state === "duplicate") current = renamed(context, current);
    } else if (receipt.state === "duplicate") return receipt.twin ? "stored" : "duplicate";
    else if (receipt.twin && await isThere(context, current, until)) return "stored";
    const next = await freed(context, current, until);
    if (next === undefined || tries === TRIES) return "duplicate";
    current = next;
  }
}

function send(context: Context, messages: Messages, until: number): Promise<Receipt | Error> {
  const [first] = messages;
  if (messages.length > 1) return context.batches.store(first.queueStream, messages.map(partOf), until);
  return new Promise((resolve) => publish(context.link, first, until, resolve));
}

/** Whether a refused message is there, as it was sent twice. */
async function isThere({ link }: Context, [first]: Messages, until: number): Promise<boolean> {
  if (first.once === undefined) return false;
  const live = await liveOf({ link, queueStream: first.queueStream, until }, first.record.id);
  return live?.once === first.once;
}

function failed({ streams, link }: Context, [first]: Messages, error: unknown): Error {
  if (isStreamGone(error)) streams.forget(first.queueStream);
  // Dispatches that follow would take the room that moves free.
  if (error instanceof TransportFull) keepRoom(link, first.queueStream, REFUSED);
  return errorOf(error);
}

/**
 * A topic's first group may have been bound while a job was on its way to the topic itself. It is stored by now, so
 * that a failure here is none of the push: the workers of the group find the jobs that are left.
 */
async function afterwards(
  context: Context,
  targets: ReadonlyMap<string, Target | Error>,
  until: number,
): Promise<void> {
  for (const target of targets.values()) {
    if (target instanceof Error || !isTopic(target.queueStream) || target.groups.length > 0) continue;
    try {
      await sweepTopic({ ...context, queueStream: target.queueStream, until });
    } catch (error) {
      if (![RelevoError, AnswerLost, HalfStored].some((kind) => error instanceof kind)) throw error;
    }
  }
}

/** Refuses jobs of several streams, before anything is sent. */
function checkAtomic({ streams }: Context, jobs: readonly PushJob[]): void {
  const owners = new Set(jobs.map(({ queue }) => streams.of(queue).owner));
  if (owners.size > 1) throw new AtomicLimitError(MAX_BATCH, `${owners.size} queues and topics`);
}

/** Stores all jobs as one batch; an answer for each. */
async function pushAtomic(
  context: Context,
  jobs: readonly PushJob[],
  targets: ReadonlyMap<string, Target | Error>,
  until: number,
): Promise<Pushed[]> {
  if (jobs.length === 0) return [];
  const ids = new Set<string>();
  const prepared = jobs.map((job) => preparedOnce(context, job, targets.get(job.queue), ids));
  let current: readonly Messages[] = prepared.flatMap((one) => isAnswer(one) ? [] : [one]);
  if (current.length < jobs.length) return prepared.map((one) => isAnswer(one) ? one : "withheld");
  const count = current.flat().length;
  if (count > MAX_BATCH) throw new AtomicLimitError(MAX_BATCH, `${count} messages`);
  for (let tries = 1;; tries++) {
    const [first] = current.flat();
    if (first === undefined) return [];
    const receipt = await context.batches.store(first.queueStream, current.flat().map(partOf), until)
      .catch((error) => Promise.reject(lost(failed(context, [first], error))));
    if (receipt.state === "stored") return jobs.map(() => "stored");
    const next = await Promise.all(
      current.map(async (messages) =>
        await completed(context, messages, until) === undefined
          ? await freed(context, messages, until)
          : undefined
      ),
    );
    const free = next.filter((messages) => messages !== undefined);
    if (free.length < next.length) return next.map((one) => one === undefined ? "duplicate" : "withheld");
    if (tries === BATCH_TRIES) throw new Error("Cannot push jobs as others keep changing what has their ids");
    await context.link.elections.rest(20 * tries);
    current = receipt.state === "duplicate" ? free.map((messages) => renamed(context, messages)) : free;
  }
}

/** A bulk whose answer was lost may be stored: the cause alone would say that it is not. */
function lost(error: Error): Error {
  return error instanceof AnswerLost ? new HalfStored(error.cause) : error;
}

function isAnswer(value: Messages | Pushed): value is Pushed {
  return value instanceof Error || typeof value === "string";
}

/** The messages of a job of a batch, or why there can be none; `ids` are those of the jobs before it. */
function preparedOnce(
  context: Context,
  job: PushJob,
  target: Target | Error | undefined,
  ids: Set<string>,
): Messages | Pushed {
  const key = JSON.stringify([job.queue, job.id]);
  // The server would accept both.
  if (job.idWindow !== undefined && ids.has(key)) return "duplicate";
  ids.add(key);
  const messages = prepare(context, job, target, true);
  if (messages instanceof Error) return messages;
  return messages.map((message) => sendable(context.link, message)).find((part) => part instanceof Error) ??
    messages;
}
