/**
 * Jobs on their way back to the waiting ones: lost jobs, jobs that are given back, and foreign entries, which become
 * jobs.
 *
 * @module
 */

import { TooLargeError } from "../../errors.ts";
import type { Context } from "./context.ts";
import { dropNote, lossOf } from "./notes.ts";
import { ACK, tellAll } from "./stream/acknowledge.ts";
import { type Move, moveAll, successorOf } from "./stream/moves.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { each, lastOf } from "./stream/read.ts";
import type { Received } from "./stream/received.ts";
import { idToken, liveSubject } from "./stream/subjects.ts";

/**
 * Moves messages that are not handed over as they came, to the state of returned jobs: jobs that the server delivered
 * once more, with one loss more if they were handed over before, and foreign entries, under the ids of their numbers.
 */
export async function takeBack(context: Context, all: readonly Received[], until: number): Promise<void> {
  if (all.length === 0) return;
  const raw = all.filter(({ returns }) => returns === "raw");
  const lost = await unlessEnded(context, all.filter((received) => isLost(context, received)), until);
  const losses = await each(lost, (received) => lossOf(context, received, until));
  const moves = lost.map((received, index): Move => backTo(received, losses[index]?.lost));
  const adoptions = raw.map((received): Move => ({ ...backTo(received), adopts: true }));
  const moved = await moveAll(context.link, [...moves, ...adoptions], until);
  for (const [index, received] of [...lost, ...raw].entries()) {
    const { queueStream, seq } = received;
    const end = moved[index];
    if (!(end instanceof Error)) dropNote(context, queueStream, losses[index]?.note);
    else if (end instanceof TooLargeError) context.link.settings.warn(stuck(queueStream, seq, end));
  }
}

/** Gives jobs back as they were: other workers may reserve them at once. */
export async function giveBack(context: Context, all: readonly Received[], until: number): Promise<void> {
  if (all.length > 0) await moveAll(context.link, all.map((received) => backTo(received)), until);
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
    const dead = await lastOf(context, queueStream, `${queueStream.base}x.*.${idToken(id)}.>`, until);
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
