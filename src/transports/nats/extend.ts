/**
 * Extend: how deliveries are kept.
 *
 * @module
 */

import { errorOf } from "../../errors.ts";
import type { Extended, Extension } from "../../jobs/exchange.ts";
import type { Context } from "./stream/context.ts";
import { tellAll, WORKING } from "./stream/acknowledge.ts";
import { each, storedAt } from "./stream/read.ts";
import type { Received } from "./stream/received.ts";

/** Milliseconds in which deliveries are got back whose leases were over when they were extended. */
const BACK = 2_000;

/** A lease that the server was told of. */
interface Told {
  readonly index: number;
  readonly held: Received;
  readonly ms: number;
}

/** Moves the ends of leases; an answer for each. */
export async function extendAll(
  context: Context,
  leases: readonly Extension[],
  until: number,
): Promise<Extended[]> {
  const { link, deliveries } = context;
  const { runtime } = link.settings;
  if (!link.up) await link.ready(until, "extend leases");
  const checking = context.streams.checked(leases, until);
  if (checking !== undefined) await checking;
  const sent = runtime.monotonic();
  const answers = leases.map((): Extended => ({ state: "stale" }));
  const told = leases.flatMap(({ queue, token, ms }, index): Told[] => {
    const held = deliveries.find(queue, token);
    return held === undefined ? [] : [{ index, held, ms }];
  });
  const failed = await tellAll(link, told.map(({ held }) => held), WORKING, until);
  const now = runtime.monotonic();
  const late = told.filter(({ held }, n) => failed[n] === undefined && now >= held.safe && !held.tried);
  for (const { held, ms } of late) deliveries.extended(held, sent, ms);
  if (late.length > 0) await getBack(context, late.map(({ held }) => held), until);
  // An acknowledgement of a message that was moved or removed is answered, too: so the message is read.
  const there = await each(told, async ({ held: { queueStream, seq } }) => {
    try {
      return await storedAt({ link, queueStream, until }, { seq }) !== undefined;
    } catch (error) {
      return errorOf(error);
    }
  }, ({ held }) => held.payload.length);
  for (const [n, { index, held, ms }] of told.entries()) {
    const error = failed[n] ?? there[n];
    if (error instanceof Error) answers[index] = error;
    else if (error === false) {
      // A delivery whose end was sent, and the answer lost, is kept: the settlement that is sent again finds out how it
      // ended.
      if (!held.tried) deliveries.lose(held.queueStream, held.seq);
    } else {
      const { ackWait } = held.queueStream;
      deliveries.extended(held, sent, ms);
      answers[index] = ms > ackWait ? { state: "held", lease: ackWait } : { state: "held" };
    }
  }
  return answers;
}

/**
 * Gets deliveries back whose leases were over when the server heard of them. It may have them among those that it hands
 * over again, from which an extension takes none: another worker that asks later would get them. A pull gets those
 * first, and a delivery of this process goes on with the hand-over that comes.
 */
export async function getBack(context: Context, late: readonly Received[], until: number): Promise<void> {
  const { pulls, waiters, link } = context;
  const soon = Math.min(until, link.settings.runtime.monotonic() + BACK);
  for (let left = late; left[0] !== undefined;) {
    const { queueStream, state } = left[0];
    const isHere = (held: Received): boolean => held.queueStream === queueStream && held.state === state;
    const seqs = new Set(left.filter(isHere).map(({ seq }) => seq));
    left = left.filter((held) => !isHere(held));
    for (let isAny = true; isAny && seqs.size > 0;) {
      // Where the server does not answer it is as it was: the end of a delivery that was late has a condition.
      const came = await pulls.poll(queueStream, state, seqs.size, soon).catch(() => []);
      for (const received of came) {
        seqs.delete(received.seq);
        waiters.stray(received);
      }
      isAny = came.some(({ returns }) => returns === "lost");
    }
  }
}
