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
  if (!link.up) await link.ready(until, "extend leases");
  const sent = link.settings.runtime.monotonic();
  const told: Told[] = [];
  const answers = leases.map(({ queue, token, ms }, index): Extended => {
    const held = deliveries.find(queue, token);
    if (held === undefined) return { state: "stale" };
    told.push({ index, held, ms });
    return { state: "stale" };
  });
  const handed = told.map(({ held: { reply, queueStream, state, seq } }) => ({
    reply,
    queueStream,
    state,
    seq,
  }));
  const failed = await tellAll(link, handed, WORKING, until);
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
