/**
 * Ends of deliveries in a store that is full: moves that take more than they free wait until there is room, and a job
 * that cannot be given back is let go where it lies.
 *
 * @module
 */

import type { Context } from "./stream/context.ts";
import { letGo } from "./stream/acknowledge.ts";
import { isSafe } from "./stream/deliveries.ts";
import { pack } from "./stream/message.ts";
import type { Move } from "./stream/moves.ts";
import type { Received } from "./stream/received.ts";
import { stateOfSubject } from "./stream/subjects.ts";

/** Characters by which a job's header line may grow where it counts as not grown. */
const GROWN = 100;

/** A delivery, and the move that ends it. */
export interface HeldMove {
  readonly held: Received;
  readonly move: Move;
}

/** Characters by which the successor of a message is larger than the message. */
function growthOf({ held, move }: HeldMove): number {
  return pack(move.record).length + move.payload.length - pack(held.record).length - held.payload.length;
}

/** Whether a move frees as much as it takes, about. */
export function frees(one: HeldMove): boolean {
  return growthOf(one) < GROWN;
}

/** Tells of each move whether the store has room for it, as far as that is known: moves that take none always have. */
export async function roomFor(
  context: Context,
  all: readonly HeldMove[],
  until: number,
): Promise<(one: HeldMove) => boolean> {
  const growing = new Set(all.filter((one) => !frees(one)));
  if (growing.size === 0) return () => true;
  const streams = new Set([...growing].map(({ held }) => held.queueStream));
  const rooms = new Map(
    await Promise.all([...streams].map(async (one) => [one, await context.room.growth(one, until)] as const)),
  );
  return (one) => {
    const { queueStream } = one.held;
    return !growing.has(one) ||
      (queueStream.store.full === undefined && rooms.get(queueStream)?.(growthOf(one)) !== false);
  };
}

/** Whether a job that is to be given back as it is was let go where it lies, as it could not be moved. */
export function wasLeft({ link, deliveries }: Context, { held, move }: HeldMove): boolean {
  const { queueStream } = held;
  const isBack = stateOfSubject(queueStream.base, move.subject) === "b";
  if (!isBack || held.tried || !isSafe(held, link.settings.runtime.monotonic())) return false;
  deliveries.take(held);
  letGo(link, held);
  return true;
}
