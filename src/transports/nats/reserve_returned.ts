/**
 * Jobs on their way back to the waiting ones: lost jobs, jobs that are given back, and foreign entries, which become
 * jobs.
 *
 * The server counts its own deliveries, and not the hand-overs to workers: a job that lay in the socket of a process
 * that died comes again like one whose handler ended the process. A job's first loss is counted without proof, if it is
 * older than a lease. From then on a note is written before each hand-over, under the number of the job's message: so a job that never ran loses
 * no more than that one lease, however many processes die beside it.
 *
 * @module
 */

import { DeadlineExceeded, TooLargeError, TransportFull } from "../../errors.ts";
import { hush } from "../../promises.ts";
import type { Context } from "./stream/context.ts";
import { ACK, letGo, tellAll } from "./stream/acknowledge.ts";
import { isFrail } from "./stream/message.ts";
import { type Move, moveAll, successorOf } from "./stream/moves.ts";
import { replace } from "./stream/publish.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { deadOf, deleteMessage, each, lastOf } from "./stream/read.ts";
import { isWorthHanding, marginOf, Received } from "./stream/received.ts";
import { liveSubject } from "./stream/subjects.ts";

/** Milliseconds that the removal of a note may take. */
const LATEST = 10_000;
/** Seconds for which a note is kept. */
const DAY = 86_400;

/**
 * Moves messages that are not handed over as they came, to the state of returned jobs: jobs that the server delivered
 * once more, with one loss more if they were handed over before, and foreign entries, under the ids of their numbers.
 * Answers those for which a full store has no room: they are handed over where they lie, as they would never run
 * otherwise, and no room would ever be made.
 */
export async function takeBack(
  context: Context,
  all: readonly Received[],
  until: number,
): Promise<readonly Received[]> {
  if (all.length === 0) return [];
  const raw = all.filter(({ returns }) => returns === "raw");
  const lost = await unlessEnded(context, all.filter((received) => isLost(context, received)), until);
  const losses = await each(lost, (received) => lossOf(context, received, until));
  const moves = lost.map((received, index): Move => backTo(received, losses[index]?.lost));
  const adoptions = raw.map((received): Move => ({ ...backTo(received), adopts: true }));
  const moved = await moveAll(context.link, [...moves, ...adoptions], until);
  const lying: Received[] = [];
  for (const [index, received] of [...lost, ...raw].entries()) {
    const { queueStream, seq } = received;
    const end = moved[index];
    if (end instanceof TransportFull) lying.push(...whereItLies(context, received, losses[index]?.lost));
    else if (!(end instanceof Error)) dropNote(context, queueStream, losses[index]?.note);
    else if (end instanceof TooLargeError) context.link.settings.warn(stuck(queueStream, seq, end));
  }
  return lying;
}

/** Gives jobs back as they were: other workers may reserve them at once. */
export async function giveBack(context: Context, all: readonly Received[], until: number): Promise<void> {
  if (all.length === 0) return;
  const moved = await moveAll(context.link, all.map((received) => backTo(received)), until);
  leaveThere(context, all.filter((_, index) => moved[index] instanceof TransportFull));
}

/** Lets jobs go where they lie, as far as no other worker can have them by now: they are handed over again. */
export function leaveThere({ link }: Context, all: readonly Received[]): void {
  const now = link.settings.runtime.monotonic();
  for (const received of all) {
    const { at, queueStream: { ackWait } } = received;
    if (now < at + ackWait - marginOf(ackWait)) letGo(link, received);
  }
}

/**
 * A job that is handed over where it lies, with its losses: none where its lease is nearly over, it comes again. What
 * this process knew of it as its holder is over.
 */
function whereItLies(
  { deliveries, link }: Context,
  received: Received,
  lost: number | undefined,
): Received[] {
  const { queueStream, state, at, returns, reply, seq, record, payload } = received;
  if (!isWorthHanding(received, link.settings.runtime.monotonic())) return [];
  deliveries.lose(queueStream, seq);
  const marks = lost === undefined ? record.marks : { ...record.marks, lost };
  return [new Received(queueStream, state, at, returns, reply, received, { ...record, marks }, payload)];
}

/**
 * Whether a delivery was lost. One whose holder extended its lease in time goes on, with the delivery that came now.
 */
function isLost({ deliveries, link }: Context, received: Received): boolean {
  if (received.returns !== "lost") return false;
  const { queueStream, seq } = received;
  const held = deliveries.of(queueStream, seq);
  if (held === undefined) return true;
  if (held.until > link.settings.runtime.monotonic() && !held.tried) {
    deliveries.renew(held, received);
    return false;
  }
  return true;
}

/**
 * Ends half moves to a dead channel, which no condition on live messages sees: of messages that are older than the
 * server's memory of message ids the dead successor is looked for. The rest is to be moved.
 */
async function unlessEnded(
  context: Context,
  lost: readonly Received[],
  until: number,
): Promise<readonly Received[]> {
  const now = context.clock.now();
  const old = lost.filter(({ time, queueStream }) => now > time + queueStream.window / 2);
  if (old.length === 0) return lost;
  const ended = new Set<Received>();
  await each(old, async (received) => {
    const { queueStream, record: { id }, seq } = received;
    const dead = await deadOf({ link: context.link, queueStream, until }, id);
    if (dead?.once === successorOf(seq)) ended.add(received);
  });
  await tellAll(context.link, [...ended], ACK, until);
  return lost.filter((received) => !ended.has(received));
}

/** The move of a job to the returned ones. */
function backTo(received: Received, lost?: number): Move {
  const { queueStream, state, record, payload, seq, reply, due } = received;
  const marks = { ...record.marks, due, ...lost === undefined ? {} : { lost } };
  const subject = liveSubject(queueStream.base, "b", record.id);
  return { queueStream, state, subject, payload, record: { ...record, marks }, seq, reply };
}

/** The warning about a message of another program's that leaves no room for a job's header line. */
function stuck({ stream }: QueueStream, seq: number, { size, limit }: TooLargeError): string {
  return `Message ${seq} of stream '${stream}' stays reserved until it is removed, as it cannot be stored anew: ` +
    `that would take ${size} bytes of ${limit}`;
}

function noteOf({ base }: QueueStream, seq: number): string {
  return `${base}h.${seq}`;
}

/** The notes that were written, and the jobs without an answer about theirs. */
export interface Noted {
  /** The number of each note. */
  readonly notes: ReadonlyMap<Received, number>;
  /** Jobs of whose notes the server said nothing in time: they are not to be handed over. */
  readonly unheard: ReadonlySet<Received>;
}

/** Writes the notes of the jobs that lost a lease before. */
export async function noteFrail(
  context: Context,
  all: readonly Received[],
  until: number,
): Promise<Noted> {
  const notes = new Map<Received, number>();
  const unheard = new Set<Received>();
  await each(all.filter(({ record }) => isFrail(record)), async (received) => {
    const { queueStream, seq } = received;
    const wanted = { subject: noteOf(queueStream, seq), text: "", expected: 0, ttl: DAY };
    const note = await replace({ link: context.link, queueStream, until }, wanted).catch((error) => {
      if (!context.link.up) throw error;
      if (error instanceof DeadlineExceeded) unheard.add(received);
      // A store that is full still gives out its jobs: a loss of this one may go uncounted.
      return undefined;
    });
    if (note !== undefined) notes.set(received, note);
  });
  return { notes, unheard };
}

/** Removes a note that is of no use any more. */
export function dropNote(context: Context, queueStream: QueueStream, note: number | undefined): void {
  if (note === undefined || !context.link.up) return;
  const until = context.link.settings.runtime.monotonic() + LATEST;
  hush(deleteMessage({ link: context.link, queueStream, until }, note));
}

/** How many leases a job lost that the server delivered again, and its note. */
export async function lossOf(
  { clock, link }: Context,
  { queueStream, seq, time, record }: Received,
  until: number,
): Promise<{ readonly lost: number | undefined; readonly note: number | undefined }> {
  const { marks: { lost = 0 } } = record;
  if (!isFrail(record)) {
    // The server counts a delivery to a pull that ended at that moment, and delivers again at once: of a job that was
    // stored less than a lease ago none can be over.
    const isYoung = clock.latest() < time + queueStream.ackWait;
    return { lost: isYoung ? undefined : 1, note: undefined };
  }
  const note = await lastOf({ link, queueStream, until }, noteOf(queueStream, seq));
  return { lost: note === undefined ? lost : lost + 1, note: note?.seq };
}
