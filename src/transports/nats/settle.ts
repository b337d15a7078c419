/**
 * Settle: how deliveries end.
 *
 * @module
 */

import { errorOf, TransportFull } from "../../errors.ts";
import type { Settled, Settlement } from "../../jobs/exchange.ts";
import { AnswerLost, isStreamGone } from "./client/errors.ts";
import type { Context, Settling } from "./stream/context.ts";
import { secondsUntil, whenOf, windowOf } from "./push_jobs.ts";
import { dropNote } from "./reserve_returned.ts";
import { frees, type HeldMove, roomFor, wasLeft } from "./settle_full.ts";
import { ACK, type Handed, replyOf, tellAll } from "./stream/acknowledge.ts";
import { isSafe, messageToken, partsOfToken, type TokenParts } from "./stream/deliveries.ts";
import { noRoom, type Step, whenFull } from "./stream/front.ts";
import { isFrail, type JobRecord, type Marks } from "./stream/message.ts";
import { isOurs, type Move, moveTogether, publishSuccessor, successorOf } from "./stream/moves.ts";
import { published } from "./stream/publish.ts";
import { stateOf } from "./stream/consumer_state.ts";
import { deadOf, deleteMessage, liveOf, storedAt } from "./stream/read.ts";
import { marginOf, Received } from "./stream/received.ts";
import { deadSubject, idFilter, isDeadSubject, liveSubject, stateOfSubject } from "./stream/subjects.ts";

/** A delivery on its way to its end. */
class Ending {
  readonly index: number;
  readonly held: Received;
  readonly move: Move | undefined;

  constructor(index: number, held: Received, move: Move | undefined) {
    this.index = index;
    this.held = held;
    this.move = move;
  }
}

/** Settles deliveries; an answer for each. */
export async function settleAll(
  context: Context,
  settlements: readonly Settlement[],
  until: number,
): Promise<Settled[]> {
  const { link, deliveries, streams } = context;
  const answers: Settled[] = settlements.map(() => "stale");
  if (!link.up) {
    try {
      await link.ready(until, "settle jobs");
    } catch (error) {
      return settlements.map(({ queue, token }) =>
        deliveries.find(queue, token) === undefined ? "stale" : errorOf(error)
      );
    }
  }
  const checking = streams.checked(settlements, until);
  if (checking !== undefined) await checking;
  const now = link.settings.runtime.monotonic();
  const endings: Ending[] = [];
  const foreign: Promise<void>[] = [];
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  const settling: Settling = { held: [], over };
  deliveries.ending.add(settling);
  const begin = (one: Received, index: number, settlement: Settlement): void => {
    try {
      endings.push(new Ending(index, one, moveOf(context, one, settlement, now)));
      deliveries.take(one);
      settling.held.push(one);
    } catch (error) {
      answers[index] = errorOf(error);
    }
  };
  settlements.forEach((settlement, index) => {
    const held = deliveries.find(settlement.queue, settlement.token);
    if (held !== undefined) return begin(held, index, settlement);
    const found = heldAgain(context, settlement, settling) ?? heldElsewhere(context, settlement, until);
    if (found === undefined) return;
    foreign.push(
      found.then(
        (one) => one && begin(one, index, settlement),
        (error) => void (answers[index] = errorOf(error)),
      ),
    );
  });
  if (foreign.length > 0) await Promise.all(foreign);
  const fill = (some: readonly Ending[], results: readonly Settled[]): void => {
    some.forEach(({ index, held: { queueStream, note } }, n) => {
      const answer = answers[index] = results[n] ?? "stale";
      if (note !== undefined && !(answer instanceof Error)) dropNote(context, queueStream, note);
    });
  };
  const done = endings.filter(({ move }) => move === undefined);
  const moved = endings.filter(({ move }) => move !== undefined);
  try {
    await Promise.all([
      settleDone(context, done, until).then((results) => fill(done, results)),
      settleMoved(context, moved, until).then((results) => fill(moved, results)),
    ]);
  } finally {
    deliveries.ending.delete(settling);
    end();
  }
  return answers;
}

/**
 * A delivery that an earlier call settles at this moment: its answer may be lost, and the delivery is put back then.
 * Undefined when no other call settles it.
 */
function heldAgain(
  { deliveries }: Context,
  { queue, token }: Pick<Settlement, "queue" | "token">,
  own: Settling,
): Promise<Received | undefined> | undefined {
  for (const other of deliveries.ending) {
    const isIt = other !== own && other.held.some((held) => held.token === token);
    if (isIt) return other.over.then(() => deliveries.find(queue, token));
  }
  return undefined;
}

/** A delivery of another client, as its token tells it; undefined when there is none of the kind. */
function heldElsewhere(
  context: Context,
  { queue, token }: Pick<Settlement, "queue" | "token">,
  until: number,
): Promise<Received | undefined> | undefined {
  // One of ours that is not held any more has ended, or was lost.
  const parts = context.deliveries.isOwn(token) ? undefined : partsOfToken(token);
  return parts === undefined ? undefined : readHeld(context, queue, parts, until);
}

async function readHeld(
  context: Context,
  queue: string,
  { state, seq, message }: TokenParts,
  until: number,
): Promise<Received | undefined> {
  const queueStream = await context.streams.find(queue, until);
  if (queueStream === undefined) return undefined;
  const call = { link: context.link, queueStream, until };
  const stored = await storedAt(call, { seq });
  if (stored === undefined || stateOfSubject(queueStream.base, stored.subject) !== state) return undefined;
  // One that waits was not handed over.
  const consumer = await stateOf(call, state);
  if (seq > consumer.delivered.stream_seq) return undefined;
  const { id, name, meta, marks, payload } = stored;
  const record: JobRecord = { id, name, meta, marks };
  const delivered = { seq, count: 1, time: stored.time, pending: 0 };
  const reply = replyOf(queueStream, state, seq);
  const received = new Received(queueStream, state, 0, undefined, reply, delivered, record, payload);
  // This process knows nothing of its lease.
  return messageToken(received) === message ? received : undefined;
}

/** Deliveries that are done, within their leases. */
async function settleDone(context: Context, done: readonly Ending[], until: number): Promise<Settled[]> {
  if (done.length === 0) return [];
  const { link, deliveries } = context;
  const held = done.map((ending) => ending.held);
  const last = Math.min(...held.map(({ safe, queueStream }) => safe - marginOf(queueStream.ackWait)));
  const failed = await tellAll(link, held, ACK, until, last);
  const now = link.settings.runtime.monotonic();
  const late: Promise<void>[] = [];
  const answers = held.map((one, index): Settled => {
    const error = failed[index];
    if (error !== undefined) {
      deliveries.restore(one);
      return faultOf(error);
    }
    // The server may have heard of it as late as it answered; and a job that was handed over where it lies may have been
    // ended, or moved, by the worker that lost its lease.
    if (now >= one.safe || one.returns === "lost") {
      late.push(endedLate(context, one, until).then((answer) => void (answers[index] = answer)));
    }
    return "settled";
  });
  await Promise.all(late);
  return answers;
}

/**
 * The answer to a settlement whose acknowledgement was answered when its lease was over: where nothing lives under the
 * id, the job is done.
 */
async function endedLate(context: Context, held: Received, until: number): Promise<Settled> {
  try {
    const { queueStream, record: { id }, seq } = held;
    const live = await liveOf({ link: context.link, queueStream, until }, id);
    if (live === undefined || stateOfSubject(queueStream.base, live.subject) === "i") return "settled";
    if (live.seq !== seq) return "stale";
    // It is there still: the acknowledgement is on its way out, or was for nothing.
    const [end = "stale"] = await moveHeld(
      context,
      [{ held, move: endOf(held, context.clock.now()) }],
      until,
    );
    return end;
  } catch (error) {
    context.deliveries.restore(held);
    return faultOf(error);
  }
}

/** Deliveries that end by moves. */
async function settleMoved(context: Context, moved: readonly Ending[], until: number): Promise<Settled[]> {
  if (moved.length === 0) return [];
  return await moveHeld(context, moved.map(({ held, move }) => ({ held, move: move as Move })), until);
}

/** Makes the moves; those for which a full store has no room together, one after another. */
async function moveHeld(context: Context, all: readonly HeldMove[], until: number): Promise<Settled[]> {
  const answers = await moveHeldTogether(context, all, until);
  const again = async (one: HeldMove): Promise<Settled> => {
    context.deliveries.take(one.held);
    return (await moveHeldTogether(context, [one], until))[0] ?? "stale";
  };
  const stepOf = (one: HeldMove): Step => ({ queueStream: one.held.queueStream, frees: frees(one) });
  await whenFull(context.link, all, answers, stepOf, again, until);
  return answers.map((answer, index) => {
    const one = all[index];
    return answer instanceof TransportFull && one !== undefined && wasLeft(context, one) ? "settled" : answer;
  });
}

async function moveHeldTogether(
  context: Context,
  all: readonly HeldMove[],
  until: number,
): Promise<Settled[]> {
  const { link, deliveries, streams } = context;
  const isIn = await roomFor(context, all, until);
  const fits = all.map(isIn);
  const moves = all.map(({ move }) => move);
  const ends = await moveTogether(link, moves, until, async (move, n) => {
    if (fits[n] === false) return noRoom(move.queueStream);
    const end = await publishSuccessor(link, move, until);
    if (end === "moved") await holdId(context, move, until);
    return end;
  });
  return await Promise.all(all.map(async ({ held, move }, n): Promise<Settled> => {
    const end = ends[n] ?? "gone";
    if (end instanceof Error) {
      // The answer may be all that was lost; a call that asks again shall hear how the delivery ended.
      if (isStreamGone(end)) streams.forget(held.queueStream);
      const { tried } = held;
      deliveries.restore(held);
      // Of one that a full store refused it is sure that nothing was stored.
      held.tried = tried || !(end instanceof TransportFull);
      return faultOf(end);
    }
    if (end === "moved") {
      await freeId(context, move, until);
      return "settled";
    }
    return held.tried ? await endedBefore(context, move, until) : "stale";
  }));
}

/** The answer to a settlement whose move was sent before, and the server's answer to it lost. */
async function endedBefore({ link }: Context, move: Move, until: number): Promise<Settled> {
  const { queueStream, record: { id, marks: { lost } }, subject, seq } = move;
  const call = { link, queueStream, until };
  if (isDeadSubject(queueStream.base, subject)) {
    const dead = await deadOf(call, id);
    return dead?.once === successorOf(seq) ? "settled" : "stale";
  }
  const live = await liveOf(call, id);
  // Where nothing lives under its id the job is done, by this end or by another.
  if (live === undefined || isOurs(live, move)) return "settled";
  const state = stateOfSubject(queueStream.base, live.subject);
  return state === stateOfSubject(queueStream.base, subject) && live.marks.lost === lost
    ? "settled"
    : "stale";
}

/** A dead job's id stays taken for the rest of its window. */
async function holdId({ link, clock }: Context, move: Move, until: number): Promise<void> {
  const { queueStream, record: { id, name, marks }, seq, subject } = move;
  if (secondsUntil(marks.until, clock.now()) === 0 || !isDeadSubject(queueStream.base, subject)) return;
  const expected = { seq, filter: idFilter(queueStream.base, id) };
  const window = windowOf(queueStream, { id, name }, marks.until, clock.now());
  await published(link, { ...window, expected }, until).catch(() => undefined);
}

/** Removes the message that ended a delivery without a window: it is of no use any more. */
async function freeId({ link }: Context, move: Move, until: number): Promise<void> {
  const { queueStream, subject, record: { id, marks } } = move;
  if (stateOfSubject(queueStream.base, subject) !== "i" || marks.until !== undefined) return;
  const call = { link, queueStream, until };
  const live = await liveOf(call, id).catch(() => undefined);
  if (live?.subject !== subject) return;
  await deleteMessage(call, live.seq).catch(() => undefined);
}

/** A delivery as the beginning of its move; another program's message may have been handed over where it lay. */
function handedOf({ reply, queueStream, state, seq, returns }: Received): Handed & Pick<Move, "adopts"> {
  return { reply, queueStream, state, seq, adopts: returns === "raw" };
}

/** The end of a job as a move: the message that follows it keeps the id taken, for its window or for a moment. */
export function endOf(held: Handed & { readonly record: JobRecord }, now: number): Move {
  const { queueStream, reply, state, seq, record } = held;
  const { until } = record.marks;
  const isOpen = secondsUntil(until, now) > 0;
  return { reply, state, seq, ...windowOf(queueStream, record, isOpen ? until : undefined, now) };
}

/** A link that was lost is one that comes back: a call that settles again hears how the delivery ended. */
function faultOf(error: unknown): Error {
  return errorOf(error instanceof AnswerLost ? error.cause : error);
}

type Moving =
  | Exclude<Settlement, { readonly to: "done" | "release" }>
  | (Settlement & { readonly to: "release" });

/** Where a delivery goes; undefined for one that is done within its lease and leaves nothing. */
function moveOf(
  context: Context,
  held: Received,
  settlement: Settlement,
  monotonic: number,
): Move | undefined {
  const { queueStream, record, due } = held;
  const { marks, id } = record;
  if (settlement.to === "done") {
    const now = context.clock.now();
    const isPlain = secondsUntil(marks.until, now) === 0 && !held.tried && isSafe(held, monotonic);
    return isPlain ? undefined : { ...endOf(held, now), adopts: held.returns === "raw" };
  }
  const whole = handedOf(held);
  const ending = settlement as Moving;
  if (ending.to === "release") {
    const subject = liveSubject(queueStream.base, "b", id);
    return { ...whole, subject, payload: held.payload, record: { ...record, marks: { ...marks, due } } };
  }
  if (ending.to === "again") {
    const when = whenOf(context, ending);
    const frail = isFrail(record) ? { frail: true } : {};
    const kept: Marks = {
      until: marks.until,
      window: marks.window,
      ...frail,
      ...when === undefined ? pastOf(ending) : { due: when },
    };
    return {
      ...whole,
      subject: liveSubject(queueStream.base, when === undefined ? "w" : "d", id, when),
      payload: ending.payload ?? held.payload,
      record: { ...record, meta: ending.meta, marks: kept },
      due: when,
    };
  }
  const died = context.deaths.next(context.clock.now());
  return {
    ...whole,
    subject: deadSubject(queueStream.base, ending.to, id, died.stamp),
    payload: held.payload,
    record: {
      ...record,
      meta: ending.meta,
      marks: { until: marks.until, lost: marks.lost, reason: ending.reason, died: died.time },
    },
  };
}

/** An instant that is over is kept: the grid of a recurrence goes by it. */
function pastOf({ at }: { readonly at?: number | undefined }): Marks {
  return at === undefined ? {} : { due: Math.ceil(at) };
}
