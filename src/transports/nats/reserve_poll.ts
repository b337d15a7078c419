/**
 * One poll of queues: the jobs that are there now, of the first queue named first, and of each queue returned jobs
 * before waiting ones.
 *
 * @module
 */

import { briefly } from "../../flow/deadline.ts";
import type { Context } from "./stream/context.ts";
import { giveBack, leaveThere, takeBack } from "./reserve_returned.ts";
import { areUnheard, HEARD_OF, LAG, longer, stateOf } from "./stream/consumer_state.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { inTurn, isWorthHanding, type Received, worthUntil } from "./stream/received.ts";
import type { PullState } from "./stream/subjects.ts";

/** The jobs that are wanted of one queue. */
interface Want {
  readonly limit: number;
  readonly slots: number;
  /** Ask the server also where a pull is open already. */
  readonly eager: boolean;
  /** Resolves when the call is over: it waits for all others that give jobs back, and not for itself. */
  readonly over: Promise<unknown>;
  /** Why it was ended from outside, once it was: it leaves no pull behind then, which would take what goes back. */
  readonly ended: readonly unknown[];
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
/** Milliseconds for which jobs on their way back hold up those that lie behind them. */
const HOLD = 2_000;

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
      // A call that waits asks nothing there: of many queues the steps of a look alone would cost more than the job.
      if (!want.eager && context.waiters.isIdle(queueStream, slots)) continue;
      const found = await look(context, queueStream, { ...want, limit, slots }, until);
      slots -= found.filter(({ state }) => state === "b").length;
      all.push(...found);
      // Where jobs come one by one each call finds one elsewhere, and would ask all empty queues anew the next time.
      if (!want.eager && found.length === 0 && want.ended.length === 0) {
        context.waiters.open(queueStream, ["w"]);
      }
    }
  } catch (error) {
    for (const received of all) context.waiters.stray(received);
    throw error;
  }
  if (want.slots === 0 || want.ended.length > 0) return all;
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
    const wereMoving = await areBack(mine);
    const moves = waiters.moves(queueStream);
    await takeSpare(mine, missing(mine), free(mine));
    const wasOpen = waiters.isOpen(queueStream, "b");
    const mayBeBack = wereMoving || moves !== waiters.moves(queueStream);
    if ((!wasOpen || mayBeBack) && free(mine) > 0) await takeInto(mine, "b");
    if (
      missing(mine) <= 0 || (!want.eager && waiters.isOpen(queueStream, "w")) || isPressing(context, found)
    ) {
      return inOrder(mine);
    }
    const returned = await takeInto(mine, "w");
    // An open pull takes one, and there may be more behind it.
    const passed = wasOpen && !waiters.isOpen(queueStream, "b");
    if (returned || passed || moves !== waiters.moves(queueStream)) await takeReturned(mine);
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

/** Waits for the jobs that this process gives back at this moment; true when there were some. */
async function areBack({ context: { waiters, link }, queueStream, want }: Look): Promise<boolean> {
  // Those for which a full store has no room are back once others have ended.
  const moving = queueStream.store.full === undefined ? waiters.moving(queueStream, want.over) : undefined;
  if (moving === undefined) return false;
  await briefly(link.settings.runtime, HOLD, moving);
  return true;
}

/** Adds jobs that came back while waiting ones were asked for: they lie before those, of which some may be too many. */
async function takeReturned(mine: Look): Promise<void> {
  const { context, want, found } = mine;
  const room = (): number =>
    Math.min(want.limit, want.slots) - found.filter(({ state }) => state === "b").length;
  await areBack(mine);
  await takeSpare(mine, room(), room());
  if (room() <= 0 || isPressing(context, found)) return;
  await takeInto(mine, "b", room());
  await takeSpare(mine, room(), room());
}

/**
 * Adds the jobs that came while no call waited and whose leases last for long enough. The rest goes back, and comes
 * with whole leases.
 */
async function takeSpare(mine: Look, limit: number, slots: number): Promise<void> {
  const { context, queueStream, found, until } = mine;
  const now = context.link.settings.runtime.monotonic();
  const spare = context.waiters.spare(queueStream, limit, slots);
  const worth = spare.filter((received) => isWorthHanding(received, now));
  found.push(...worth);
  if (worth.length < spare.length) {
    const back = giveBack(
      context,
      spare.filter((one) => !worth.includes(one)).sort(inTurn),
      until,
    );
    context.waiters.returns(queueStream, back);
    await back;
  }
}

/** The found jobs in order, with those that an open pull got meanwhile: of too many the last wait for the next poll. */
function inOrder({ context: { waiters }, queueStream, want, found }: Look): Received[] {
  const all = [...found, ...waiters.spare(queueStream, MOST, 0)].sort(inTurn);
  for (const late of all.splice(want.limit)) waiters.stray(late);
  return all;
}

/** Adds the jobs of a state; true when some of them go back and come again, with whole leases. */
async function takeInto(
  mine: Look,
  state: PullState,
  room: number = state === "b" ? free(mine) : missing(mine),
): Promise<boolean> {
  const { context, queueStream, found, until } = mine;
  const came = await context.pulls.poll(queueStream, state, Math.min(MOST, room), until);
  const back = came.filter(({ returns }) => returns !== undefined);
  const fresh = back.length === 0 ? came : came.filter(({ returns }) => returns === undefined);
  // They came together.
  const late = fresh[0] !== undefined &&
    !isWorthHanding(fresh[0], context.link.settings.runtime.monotonic());
  if (!late) found.push(...fresh);
  if (!late && back.length === 0) return false;
  const taking = back.length > 0 ? takeBack(context, back, until) : Promise.resolve([]);
  const moves = taking.then((lying) => takeLying(mine, lying))
    .then(() => late ? giveBack(context, fresh, until) : undefined);
  context.waiters.returns(queueStream, moves);
  await moves;
  return true;
}

/** Adds jobs that are handed over where they lie, as many as there are slots for returned ones. */
function takeLying(mine: Look, lying: readonly Received[]): void {
  const { context, want, found } = mine;
  const taken = found.filter(({ state, returns }) => state === "b" || returns !== undefined).length;
  const most = Math.max(0, Math.min(missing(mine), want.slots - taken));
  found.push(...lying.slice(0, most));
  leaveThere(context, lying.slice(most));
}

/**
 * Jobs that are there though no poll found them: on their way to an open pull of this process, or given back by it, or
 * stored so lately that their consumer does not know of them yet: it is asked until it does. The consumers of a stream
 * with copies may lag behind in what they hand over, too.
 */
async function underWay(mine: Look): Promise<void> {
  const { context: { waiters, link: { settings: { runtime } } }, queueStream, found, until } = mine;
  const single = queueStream.replicas === 1;
  const before = found.length;
  await areBack(mine);
  await takeSpare(mine, missing(mine), free(mine));
  const begun = runtime.monotonic();
  const states: PullState[] = ["b", "w"];
  for (const state of states) {
    const room = (): number => state === "b" ? free(mine) : missing(mine);
    for (
      let least = 0;
      room() > 0 && !(single && found.length > before);
      least = longer(Math.max(least, HEARD_OF))
    ) {
      const lag = await lagOf(mine, state, least === 0);
      const wait = Math.max(lag?.pause ?? 0, least);
      if (lag !== undefined && wait > 0) await waiters.comes(queueStream, wait);
      await takeSpare(mine, missing(mine), free(mine));
      if (lag === undefined) break;
      const again = room() > 0 && await takeInto(mine, state);
      if (again && state === "w" && states.length === 2) states.push("b");
      const most = single && !lag.isUnheard ? 0 : LAG;
      if (runtime.monotonic() >= Math.min(until, begun + most)) break;
    }
  }
}

/** What a consumer has not handed over. */
interface Lag {
  /** Milliseconds after which it may. */
  readonly pause: number;
  /** Whether it does not know yet of a job that is stored. */
  readonly isUnheard: boolean;
}

/** What a consumer may hand over in a moment, though it did not now; undefined when there is nothing. */
async function lagOf(
  { context, queueStream, until }: Look,
  state: PullState,
  first: boolean,
): Promise<Lag | undefined> {
  const call = { link: context.link, queueStream, until };
  const known = await stateOf(call, state);
  const isOpen = context.waiters.isOpen(queueStream, state);
  const pause = isOpen ? ON_ITS_WAY : HEARD_OF;
  if (known.num_pending > 0) return { pause: isOpen ? pause : 0, isUnheard: false };
  const unseen = known.delivered.stream_seq > queueStream.seen[state];
  if (first && (isOpen || queueStream.late > 0) && unseen) return { pause, isUnheard: false };
  return await areUnheard(call, state, known) ? { pause, isUnheard: true } : undefined;
}
