/**
 * Reserve: jobs out, returned ones first, then waiting ones, of the first queue named first.
 *
 * @module
 */

import type { Alarm } from "../../flow/alarms.ts";
import { briefly, unlessLate } from "../../flow/deadline.ts";
import { DeadlineExceeded, RelevoError } from "../../errors.ts";
import type { Delivery, ReserveOptions } from "../../jobs/exchange.ts";
import { hush } from "../../promises.ts";
import { isStreamGone } from "./client/errors.ts";
import type { Context, Waiter } from "./stream/context.ts";
import { isPressing, look, round } from "./reserve_poll.ts";
import { dropNote, giveBack, type Noted, noteFrail } from "./reserve_returned.ts";
import { tellAll, WORKING } from "./stream/acknowledge.ts";
import { inOrder } from "./stream/queue_stream.ts";
import { isFrail } from "./stream/message.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { inTurn, marginOf, type Received, worthUntil } from "./stream/received.ts";

/** Milliseconds for which the poll before a wait is waited for in a cluster. */
const FIRST = 500;
/** Milliseconds for which a poll is waited for that was interrupted: the jobs that it still brings are given back. */
const LAST_LOOK = 1_000;
const NONE: Noted = { notes: new Map(), unheard: new Set() };
/** Milliseconds in which jobs are given back for which no call waits any more. */
const GIVE_BACK = 5_000;

/** The parts of one reserve call. */
interface Reserve {
  readonly context: Context;
  readonly queues: readonly string[];
  readonly options: ReserveOptions;
  /** When its wait is over, and when the call is, on the monotonic clock. */
  readonly over: number;
  readonly until: number;
  /** The reason for which it was ended from outside, once it was. */
  readonly ended: unknown[];
  /** Told when it is ended from outside. */
  readonly ends: ((error: unknown) => void)[];
  /** Rejects when it is ended from outside. */
  readonly interrupted: Promise<never>;
  /** The streams of its queues, once they are known. */
  readonly streams: QueueStream[];
  /** What it has left under way. */
  readonly left: Promise<unknown>[];
  /** Resolves when it is over, and nothing of it is under way. */
  readonly whole: Promise<void>;
}

/** Reserves the jobs that are there, or waits for one. `onEnd` listens for the end of the wait from outside. */
export async function reserveJobs(
  context: Context,
  queues: readonly string[],
  options: ReserveOptions,
  onEnd: (end: (error: unknown) => void) => () => void,
): Promise<readonly Delivery[]> {
  const over = context.link.settings.runtime.monotonic() + options.wait;
  const ended: unknown[] = [];
  const ends: ((error: unknown) => void)[] = [];
  const streams: QueueStream[] = [];
  const left: Promise<unknown>[] = [];
  const { promise: whole, resolve: finish } = Promise.withResolvers<void>();
  const off = onEnd((error) => {
    ended.push(error);
    // What it holds goes back, and lies before what other calls would find.
    for (const queueStream of streams) context.waiters.returns(queueStream, whole);
    for (const end of ends) end(error);
    context.waiters.rest(streams);
  });
  const interrupted = new Promise<never>((_, reject) => ends.push(reject));
  hush(interrupted);
  const until = over + options.deadline;
  const reserve: Reserve = {
    context,
    queues,
    options,
    over,
    until,
    ended,
    ends,
    interrupted,
    streams,
    left,
    whole,
  };
  try {
    return await carriedOut(reserve);
  } catch (error) {
    // A call that fails once it was ended from outside does so for that reason.
    throw ended.length > 0 ? ended[0] : error;
  } finally {
    off();
    hush(Promise.allSettled(left).then(() => finish()));
  }
}

async function carriedOut(reserve: Reserve): Promise<readonly Delivery[]> {
  const { context, options, ended, left } = reserve;
  const { runtime } = context.link.settings;
  const looking = lookFirst(reserve);
  const received = await Promise.race([
    looking,
    reserve.interrupted.catch(() => briefly(runtime, LAST_LOOK, looking)),
  ]);
  if (received === undefined) {
    left.push(looking.then((late) => handOver(context, late, options.lease, ended)));
    throw ended[0];
  }
  const isOver = ended.length > 0 || received.length > 0 || options.wait === 0;
  if (isOver) return await handOver(context, received, options.lease, ended);
  const first = await waitFor(reserve);
  if (first === undefined) return [];
  const more = await fill(reserve, first);
  return await handOver(context, more, options.lease, ended);
}

/** The poll before a wait, once the calls have ended that were made before it. */
function lookFirst(reserve: Reserve): Promise<Received[]> {
  const { context, queues, options, until, interrupted, streams: found, whole } = reserve;
  const { link, streams } = context;
  const { wait, deadline } = options;
  const orInterrupted = <T>(work: Promise<T>): Promise<T> => Promise.race([work, interrupted]);
  const ms = wait + deadline;
  const late = (): Error => new DeadlineExceeded("reserve jobs", ms);
  const bounded = (before: Promise<unknown>): Promise<unknown> =>
    orInterrupted(unlessLate(link.alarms, before, { ms, late }));
  // A call that waits may as well get jobs that are pushed later, and hears of those that were pushed before.
  const orders = wait > 0 ? [] : queues.map((queue) => streams.of(queue).order);
  return inOrder(orders, "take", bounded, async () => {
    await orInterrupted(link.ready(until, "reserve jobs"));
    const all = await orInterrupted(Promise.all(
      queues.map((queue) => {
        // A call that does not wait finds nothing where there is no stream, but not where none can be made.
        const isMade = wait > 0 || streams.of(queue).refused;
        return streams.known(queue) ?? (isMade ? streams.make : streams.find)(queue, until);
      }),
    ));
    found.push(...all.filter((queueStream) => queueStream !== undefined));
    for (const queueStream of found) tellReplaced(queueStream);
    context.tend(found);
    return await (wait === 0
      ? round(context, found, { ...options, eager: true, over: whole, ended: reserve.ended }, until)
      : firstLook(reserve));
  });
}

/** Tells once that a stream was made anew. */
function tellReplaced(queueStream: QueueStream): void {
  const { replaced } = queueStream;
  queueStream.replaced = undefined;
  if (replaced !== undefined) throw replaced;
}

/**
 * The poll before a wait. In a cluster a consumer may have no leader for some seconds: that holds up no call, as each
 * waits at each consumer by itself.
 */
async function firstLook({ context, streams, options, until, whole, ended }: Reserve): Promise<Received[]> {
  const { link } = context;
  const { limit, slots } = options;
  const soon = link.clustered ? Math.min(until, link.settings.runtime.monotonic() + FIRST) : until;
  try {
    return await round(context, streams, { limit, slots, eager: false, over: whole, ended }, soon);
  } catch (error) {
    const silent = error instanceof RelevoError && !isStreamGone(error) &&
      (error.code === "DEADLINE_EXCEEDED" || error.code === "TRANSPORT_UNAVAILABLE");
    if (soon === until || !silent || !link.up) throw error;
    return [];
  }
}

/** The first job that comes, or nothing when the wait is over. */
function waitFor(
  { context: { waiters, link }, options: { slots, ready }, over, ends, streams: queueStreams }: Reserve,
): Promise<Received | undefined> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void): void => {
      waiters.leave(waiter);
      link.listeners.delete(listener);
      alarm.cancel();
      then();
    };
    const failed = (error: Error): void => settle(() => reject(error));
    const got = (received: Received): void => settle(() => resolve(received));
    const waiter: Waiter = { queueStreams, slots, ready, got, failed };
    const listener = { down: failed };
    const rest = over - link.settings.runtime.monotonic();
    const alarm: Alarm = waiters.alarms.set(Math.max(0, rest), () => settle(() => resolve(undefined)));
    ends.push((error) => settle(() => reject(error)));
    link.listeners.add(listener);
    if (!waiters.join(waiter)) return;
    for (const queueStream of queueStreams) waiters.open(queueStream, slots > 0 ? ["w", "b"] : ["w"]);
  });
}

/** A first job, and those that came beside it. */
async function fill(
  { context, options: { limit, slots }, until, whole, ended }: Reserve,
  first: Received,
): Promise<readonly Received[]> {
  if (limit === 1 || first.pending === 0) return [first];
  const isBack = first.state === "b";
  const rest = { limit: limit - 1, slots: isBack ? slots - 1 : slots, eager: true, over: whole, ended };
  // The first job is sure, whatever becomes of the poll for others, which must not cost it its lease.
  if (isPressing(context, [first])) return [first];
  const now = context.link.settings.runtime.monotonic();
  const soon = Math.min(now + first.queueStream.ackWait / 4, worthUntil(first));
  const more = await look(context, first.queueStream, rest, Math.min(until, soon)).catch(() => []);
  return [first, ...more].sort(inTurn);
}

/** Hands jobs to the call that asked for them, or gives them back when that is over. */
async function handOver(
  context: Context,
  all: readonly Received[],
  lease: number,
  ended: readonly unknown[],
): Promise<Delivery[]> {
  const { runtime } = context.link.settings;
  const { notes, unheard } = await noted(context, all);
  const now = runtime.monotonic();
  // An extension must find its way before the lease ends.
  const isOver = ({ queueStream: { ackWait }, at }: Received): boolean =>
    ended.length > 0 || now >= at + ackWait - 2 * marginOf(ackWait);
  const over = all.filter((received) => isOver(received) || unheard.has(received));
  for (const received of over) dropNote(context, received.queueStream, notes.get(received));
  if (ended.length > 0) {
    await giveBack(context, over, now + GIVE_BACK);
    throw ended[0];
  }
  // The others' leases run: they do not wait until these are back.
  for (const received of over) context.waiters.stray(received);
  const kept = over.length === 0 ? all : all.filter((received) => !over.includes(received));
  return kept.map((received) => handed(context, received, lease, notes.get(received), now));
}

/**
 * Writes the notes of jobs that lost a lease before, which must not cost them this one: where a question and its answer
 * take long, the lease is kept up meanwhile.
 */
async function noted(context: Context, all: readonly Received[]): Promise<Noted> {
  const frail = all.filter(({ record }) => isFrail(record));
  if (frail.length === 0) return NONE;
  const { link, pulls: { roundTrip } } = context;
  const now = link.settings.runtime.monotonic();
  const isShort = ({ at, queueStream: { ackWait } }: Received): boolean =>
    now + roundTrip > at + ackWait / 2 && now + roundTrip < at + ackWait;
  const shortest = Math.min(...frail.map(({ queueStream }) => queueStream.ackWait));
  const until = now + shortest / 4 + roundTrip;
  try {
    const keeping = keptUp(context, frail.filter(isShort), now, until);
    const [notes] = await Promise.all([noteFrail(context, frail, until), keeping]);
    return notes;
  } catch (error) {
    for (const received of all) context.waiters.stray(received);
    throw error;
  }
}

/** Keeps leases up; one of which the server heard when it may have been over stays as it is. */
async function keptUp(
  { link }: Context,
  all: readonly Received[],
  now: number,
  until: number,
): Promise<void> {
  const failed = await tellAll(link, all, WORKING, until);
  const answered = link.settings.runtime.monotonic();
  for (const [index, received] of all.entries()) {
    const isOurs = answered < received.at + received.queueStream.ackWait;
    if (isOurs && failed[index] === undefined) received.at = now;
  }
}

function handed(
  { deliveries }: Context,
  received: Received,
  lease: number,
  note: number | undefined,
  now: number,
): Delivery {
  const { queueStream: { ackWait }, at } = received;
  const safe = at + ackWait;
  received.note = note;
  received.until = lease > ackWait ? now + lease : safe;
  received.safe = safe;
  deliveries.add(received);
  return new Handed(received, Math.max(1, Math.floor(safe - now - marginOf(ackWait))));
}

/** A delivery as the worker gets it. */
class Handed implements Delivery {
  readonly queue: string;
  readonly token: string;
  readonly id: string;
  readonly name: string;
  readonly payload: Uint8Array;
  readonly meta: string;
  readonly lost: number;
  readonly reset: boolean;
  readonly due: number;
  readonly lease: number;

  constructor(
    { queueStream, token, record: { id, name, meta, marks }, payload, due }: Received,
    lease: number,
  ) {
    this.queue = queueStream.queue;
    this.token = token;
    this.id = id;
    this.name = name;
    this.payload = payload;
    this.meta = meta;
    this.lost = marks.lost ?? 0;
    this.reset = marks.reset ?? false;
    this.due = due;
    this.lease = lease;
  }
}
