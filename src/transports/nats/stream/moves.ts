/**
 * Moves: a job goes from one message to the next in two writes. First the successor is published, on the condition that
 * its predecessor is the last of all that bears the job's id; then the predecessor is acknowledged. So a message has
 * one successor, whatever time has passed, and a process that finds half a move finishes it.
 *
 * @module
 */

import { errorOf, TransportError } from "../../../errors.ts";
import type { Link } from "../client/link.ts";
import { ACK, type Handed, tellAll } from "./acknowledge.ts";
import { whenFull } from "./front.ts";
import { isKnown } from "./known.ts";
import { type JobRecord, pack, type Stored } from "./message.ts";
import { type Message, published, type Receipt } from "./publish.ts";
import type { QueueStream } from "./queue_stream.ts";
import { deleteMessage, liveOf, storedAt, type StreamCall } from "./read.ts";
import { idFilter, liveSubject, stateOfSubject } from "./subjects.ts";

/**
 * The message id of a message's one successor. It tells of a successor that has ended by now, or is dead and not found
 * by the id's filter, for as long as the server remembers it.
 */
export function successorOf(seq: number): string {
  return `m${seq}`;
}

/** A message that is to be moved, and its successor. */
export interface Move extends Handed, Omit<Message, "once" | "expected"> {
  /** It is no job of ours yet: it becomes one under the id of its number. */
  readonly adopts?: boolean;
}

/** How a move ended: it was made now, or before by another, or the job is not there any more; or it is not known. */
export type Moved = "moved" | "before" | "gone" | Error;

/** The message that a move publishes. */
function successor(move: Move): Message {
  const { queueStream, record, seq, adopts = false } = move;
  const filter = idFilter(queueStream.base, record.id);
  return { ...move, once: successorOf(seq), expected: { seq: adopts ? 0 : seq, filter } };
}

/** Publishes the successor of a message. */
export async function publishSuccessor(link: Link, move: Move, until: number): Promise<Moved> {
  try {
    const { state, twin, seq } = await published(link, successor(move), until);
    if (state === "stored") return "moved";
    if (!twin) return state === "refused" && seq === 0 ? "gone" : "before";
    // It may be the message that was sent before: then it is this very one.
    const { queueStream, record } = move;
    const call = { link, queueStream, until };
    const found =
      await (state === "duplicate" && seq > 0 ? storedAt(call, { seq }) : liveOf(call, record.id));
    if (found !== undefined && isOurs(found, move)) return "moved";
    return found === undefined ? "gone" : "before";
  } catch (error) {
    return errorOf(error);
  }
}

/** Moves messages, in their order; those for which a full store has no room together, one after another. */
export async function moveAll(link: Link, moves: readonly Move[], until: number): Promise<Moved[]> {
  const results = await moveTogether(link, moves, until);
  const again = async (move: Move): Promise<Moved> => (await moveTogether(link, [move], until))[0] ?? "gone";
  await whenFull(link, moves, results, ({ queueStream }) => ({ queueStream, frees: true }), again, until);
  return results;
}

/**
 * Publishes the successors of all, and acknowledges the messages that have one. An acknowledgement that fails here is
 * sent by the process that finds the half move; one that the server does not permit is this user's trouble, and told.
 */
export async function moveTogether(
  link: Link,
  moves: readonly Move[],
  until: number,
  publish: (move: Move, index: number) => Promise<Moved> = (move) => publishSuccessor(link, move, until),
): Promise<Moved[]> {
  const results = await Promise.all(moves.map(publish));
  const followed = moves.filter((_, index) => results[index] === "moved" || results[index] === "before");
  const failed = await tellAll(link, followed, ACK, until);
  failed.forEach((error, n) => {
    const move = followed[n];
    if (move === undefined || !(error instanceof TransportError && error.code === "TRANSPORT_FORBIDDEN")) {
      return;
    }
    results[moves.indexOf(move)] = error;
  });
  return results;
}

/** Whether a move has stored this message. */
export function isOurs({ subject, header }: Stored, move: Move): boolean {
  return subject === move.subject && header === pack(move.record);
}

/**
 * Moves a delayed job to the waiting ones in the server's stead. First it is stored anew, without a schedule, so that
 * the server moves it no more; where the process dies behind that it is found again.
 */
export async function promote(call: StreamCall, job: Stored): Promise<void> {
  const { link, queueStream, until } = call;
  const { payload, seq, subject } = job;
  const record = recordOf(job);
  const expected = { seq, filter: idFilter(queueStream.base, job.id) };
  const bare = { queueStream, payload, record, subject, replaces: true, once: successorOf(seq), expected };
  const kept = await published(link, bare, until);
  if (kept.state !== "stored" && await hasFollowed(call, bare, kept)) {
    return void await deleteMessage(call, seq);
  }
  // It was moved since it was read.
  if (kept.state === "refused") return;
  const moved = await publishWaiting(call, { seq: kept.seq, payload, record });
  if (moved instanceof Error) throw moved;
  await deleteMessage(call, kept.seq);
}

/** Whether the waiting successor of a delayed message was stored before, so that only its own removal lacks. */
async function hasFollowed(call: StreamCall, bare: Message, { state, seq }: Receipt): Promise<boolean> {
  const { link, queueStream, until } = call;
  if (state === "refused") {
    // Of several servers none says so.
    if (queueStream.replicas > 1) return (await liveOf(call, bare.record.id))?.once === bare.once;
    return await isKnown(link, queueStream, bare, until);
  }
  // Else the message of that id is the delayed one as another process has stored it anew.
  return (await storedAt(call, { seq }))?.subject !== bare.subject;
}

/** Publishes the waiting successor of a delayed message that bears no schedule. */
export function publishWaiting(
  { link, queueStream, until }: StreamCall,
  { seq, payload, record }: Pick<Move, "seq" | "payload" | "record">,
): Promise<Moved> {
  const subject = liveSubject(queueStream.base, "w", record.id);
  return publishSuccessor(link, { queueStream, subject, payload, record, state: "w", seq, reply: "" }, until);
}

/** The job that a message tells. */
export function recordOf({ id, name, meta, marks }: Stored): JobRecord {
  return { id, name, meta, marks };
}

/** Whether a delayed message is a dead job's that a reload of this moment brings back. */
export function isOnHold({ base }: QueueStream, { subject, marks }: Stored, now: number): boolean {
  return marks.dead !== undefined && stateOfSubject(base, subject) === "d" && (marks.due ?? 0) > now;
}
