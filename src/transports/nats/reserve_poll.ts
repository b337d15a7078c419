/**
 * One poll of queues: the jobs that are there now, of the first queue named first, and of each queue returned jobs
 * before waiting ones.
 *
 * @module
 */

import type { Context } from "./stream/context.ts";
import { giveBack, takeBack } from "./reserve_returned.ts";
import { HEARD_OF, LAG, longer, nextIn, stateOf } from "./stream/consumer_state.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { isWorthHanding, type Received, worthUntil } from "./stream/received.ts";
import type { PullState } from "./stream/subjects.ts";

/** The jobs that are wanted of one queue. */
interface Want {
  readonly limit: number;
  readonly slots: number;
  /** Ask the server also where a pull is open already. */
  readonly eager: boolean;
}

/** One poll of one queue. */
interface Look {
  readonly context: Context;
  readonly queueStream: QueueStream;
  readonly want: Want;
  readonly until: number;
  readonly found: Received[];
}

/** Jobs that one pull asks for. */
const MOST = 5_000;
/** Milliseconds within which a second poll of a queue makes it one that is polled often. */
const OFTEN = 200;
/** Milliseconds that a job takes from the server to an open pull at most. */
const ON_ITS_WAY = 50;

/** One poll of all queues. */
export async function round(
  context: Context,
  queueStreams: readonly QueueStream[],
  want: Want,
  until: number,
): Promise<Received[]> {
  const all: Received[] = [];
  let { slots } = want;
  try {
    for (const queueStream of queueStreams) {
      const limit = want.limit - all.length;
      if (limit <= 0 || isPressing(context, all)) break;
      const found = await look(context, queueStream, { ...want, limit, slots }, until);
      slots -= found.filter(({ state }) => state === "b").length;
      all.push(...found);
    }
  } catch (error) {
    for (const received of all) context.waiters.stray(received);
    throw error;
  }
  if (want.slots === 0) return all;
  for (const queueStream of queueStreams) {
    if (!want.eager || isOften(context, queueStream)) context.waiters.open(queueStream, ["b"]);
  }
  return all;
}

/** Whether a queue is polled so often that an open pull costs less than to ask for returned jobs. */
function isOften({ link }: Context, queueStream: QueueStream): boolean {
  const now = link.settings.runtime.monotonic();
  const often = now < queueStream.askedAt + OFTEN;
  queueStream.askedAt = now;
  return often;
}

/** One poll of one queue. */
export async function look(
  context: Context,
  queueStream: QueueStream,
  want: Want,
  until: number,
): Promise<Received[]> {
  const { waiters } = context;
  const found: Received[] = [];
  const mine: Look = { context, queueStream, want, until, found };
  try {
    await takeSpare(mine);
    const wasOpen = waiters.isOpen(queueStream, "b");
    if (!wasOpen && free(mine) > 0) await takeInto(mine, "b");
    if (
      missing(mine) <= 0 || (!want.eager && waiters.isOpen(queueStream, "w")) || isPressing(context, found)
    ) {
      return inOrder(mine);
    }
    const returned = await takeInto(mine, "w");
    // An open pull takes one, and there may be more behind it.
    const passed = wasOpen && !waiters.isOpen(queueStream, "b");
    if (passed) await takeSpare(mine);
    if ((returned || passed) && free(mine) > 0 && !isPressing(context, found)) await takeInto(mine, "b");
    if (want.eager && (found.length === 0 || (queueStream.replicas > 1 && missing(mine) > 0))) {
      await underWay(mine);
    }
    return inOrder(mine);
  } catch (error) {
    for (const received of found) waiters.stray(received);
    throw error;
  }
}

/** Whether the leases of the found jobs would be too short to hand them over, once another question was answered. */
export function isPressing({ pulls, link }: Context, found: readonly Received[]): boolean {
  const answered = link.settings.runtime.monotonic() + pulls.roundTrip;
  return found.some((received) => answered >= worthUntil(received));
}

/** How many more jobs may be reserved, and how many of them may be returned ones. */
function missing({ want, found }: Look): number {
  return Math.min(MOST, want.limit - found.length);
}

function free(mine: Look): number {
  return Math.min(missing(mine), mine.want.slots - mine.found.filter(({ state }) => state === "b").length);
}

/**
 * Adds the jobs that came while no call waited and whose leases last for long enough. The rest goes back, and comes
 * with whole leases.
 */
async function takeSpare(mine: Look): Promise<void> {
  const { context, queueStream, found, until } = mine;
  const now = context.link.settings.runtime.monotonic();
  const spare = context.waiters.spare(queueStream, missing(mine), free(mine));
  const worth = spare.filter((received) => isWorthHanding(received, now));
  found.push(...worth);
  if (worth.length < spare.length) {
    await giveBack(
      context,
      spare.filter((one) => !worth.includes(one)),
      until,
    );
  }
}

/**
 * The found jobs in order: returned jobs before waiting ones, the waiting ones by their due times, and with the jobs
 * that an open pull got meanwhile: if these are too many, the last ones wait for the next poll. The server moves
 * delayed jobs in the order in which they were dispatched.
 */
function inOrder({ context: { waiters }, queueStream, want, found }: Look): Received[] {
  const all = [...found, ...waiters.spare(queueStream, MOST, 0)].sort((a, b) => {
    if (a.state !== b.state) return a.state < b.state ? -1 : 1;
    return a.state === "b" ? a.seq - b.seq : a.due - b.due || a.seq - b.seq;
  });
  for (const late of all.splice(want.limit)) waiters.stray(late);
  return all;
}

/** Adds the jobs of a state; true when some of them go back and come again, with whole leases. */
async function takeInto(mine: Look, state: PullState): Promise<boolean> {
  const { context, queueStream, found, until } = mine;
  const came = await context.pulls.poll(
    queueStream,
    state,
    state === "b" ? free(mine) : missing(mine),
    until,
  );
  const back = came.filter(({ returns }) => returns !== undefined);
  const fresh = back.length === 0 ? came : came.filter(({ returns }) => returns === undefined);
  // They came together.
  const late = fresh[0] !== undefined &&
    !isWorthHanding(fresh[0], context.link.settings.runtime.monotonic());
  if (!late) found.push(...fresh);
  if (back.length > 0) await takeBack(context, back, until);
  if (late) await giveBack(context, fresh, until);
  return late || back.length > 0;
}

/**
 * Jobs that are there though no poll found them: on their way to an open pull of this process, or given back by it, or
 * stored so lately that their consumer does not know of them yet. The consumers of a stream with copies may lag behind
 * for longer, and are asked until they do not.
 */
async function underWay(mine: Look): Promise<void> {
  const { context: { waiters, link: { settings: { runtime } } }, queueStream, found, until } = mine;
  const single = queueStream.replicas === 1;
  const before = found.length;
  const moving = waiters.moving(queueStream);
  if (moving !== undefined) await moving;
  await takeSpare(mine);
  const late = Math.min(until, runtime.monotonic() + (single ? 0 : LAG));
  const states: PullState[] = ["b", "w"];
  for (const state of states) {
    const room = (): number => state === "b" ? free(mine) : missing(mine);
    for (
      let least = 0;
      room() > 0 && !(single && found.length > before);
      least = longer(Math.max(least, HEARD_OF))
    ) {
      const pause = await pauseAt(mine, state, least === 0);
      const wait = Math.max(pause ?? 0, least);
      if (pause !== undefined && wait > 0) await waiters.comes(queueStream, wait);
      await takeSpare(mine);
      if (pause === undefined) break;
      const again = room() > 0 && await takeInto(mine, state);
      if (again && state === "w" && states.length === 2) states.push("b");
      if (runtime.monotonic() >= late) break;
    }
  }
}

/**
 * Milliseconds after which a consumer may hand over a job that it did not hand over now; undefined when there is none.
 */
async function pauseAt(
  { context, queueStream, until }: Look,
  state: PullState,
  first: boolean,
): Promise<number | undefined> {
  const known = await stateOf(context, queueStream, state, until);
  const isOpen = context.waiters.isOpen(queueStream, state);
  const pause = isOpen ? ON_ITS_WAY : HEARD_OF;
  if (known.num_pending > 0) return isOpen ? pause : 0;
  const unseen = known.delivered.stream_seq > queueStream.seen[state];
  if (first && (isOpen || queueStream.late > 0) && unseen) return pause;
  // An open pull of one server hears of a job as soon as its consumer.
  if (isOpen && queueStream.replicas === 1) return undefined;
  return await nextIn(context, queueStream, state, known, until) === undefined ? undefined : pause;
}
