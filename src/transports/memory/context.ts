/**
 * All queues of one memory transport, and the parts that they share: the clock, the counters, the limits and the
 * waiters.
 *
 * @module
 */

import { TooLargeError, TransportFull } from "../../errors.ts";
import { byteLength } from "../../names.ts";
import type { PushJob } from "../../jobs/exchange.ts";
import type { Waiters } from "../../store/waiters.ts";
import type { Limits } from "../../contract/transport.ts";
import type { Clock, Moment } from "./clock.ts";
import { createRoom, type Room } from "./queue/room.ts";

/** The transport's limits: those of one message of a generous broker, so that memory is no trap. */
export const LIMITS: Limits = { payload: 64 * 1024 * 1024, bulk: 10_000, name: 255 };

/** The state of one memory transport. */
export interface Store {
  readonly clock: Clock;
  readonly rooms: Map<string, Room>;
  /** The queues of a topic's groups, by the topic's own queue; none of a topic without groups. */
  readonly groups: Map<string, ReadonlySet<string>>;
  readonly waiters: Waiters;
  /** Jobs that it may hold, dead ones too. */
  readonly maxJobs: number;
  /** Jobs that it holds. */
  jobs: number;
  /** The last number that was given to a job. */
  seq: number;
  /** The last number that was given to a delivery. */
  deliveries: number;
  /** The beginning of tokens: the name of this instance and of no other. */
  readonly prefix: string;
}

export function roomOf(store: Store, queue: string): Room {
  const known = store.rooms.get(queue);
  if (known !== undefined) return known;
  const room = createRoom(queue);
  store.rooms.set(queue, room);
  return room;
}

/**
 * When a job may run by the process clock: a span begins now, an instant keeps its distance from the wall clock's now.
 */
export function dueOf(
  { clock }: Store,
  { now, start, skew }: Moment,
  { delay, at }: Pick<PushJob, "delay" | "at">,
): number {
  if (at !== undefined) return Math.ceil(at) - clock.epoch - skew;
  return delay === undefined || delay === 0 ? now : start + Math.ceil(delay);
}

/** Refuses metadata that is over the limit only together with the payload that stays. */
export function checkSize(payload: Uint8Array, meta: string): void {
  // A UTF-16 unit takes at most three bytes, so that most metadata need not be encoded here.
  if (payload.length + 3 * meta.length <= LIMITS.payload) return;
  const size = payload.length + byteLength(meta);
  if (size > LIMITS.payload) throw new TooLargeError("a job", size, LIMITS.payload);
}

export function full({ maxJobs }: Store): TransportFull {
  return new TransportFull(`Cannot push a job as the transport holds at most ${maxJobs} jobs ('maxJobs')`);
}

/** The queues of a batch, each once. */
export function queuesIn(items: readonly { readonly queue: string }[]): readonly string[] {
  const first = items[0]?.queue;
  for (const { queue } of items) if (queue !== first) return [...new Set(items.map((item) => item.queue))];
  return first === undefined ? [] : [first];
}
