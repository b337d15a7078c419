/**
 * What this process holds: each delivery with its token, and until when the server keeps it from others for sure. A
 * lease that outlasts the server's own is kept up from here; it is as long as the server has answered.
 *
 * @module
 */

import { createAlarms } from "../../alarms.ts";
import { hush } from "../../promises.ts";
import { createSlots } from "../../slots.ts";
import type { Arrival } from "./arrival.ts";
import type { Link } from "./link.ts";
import { tellAll } from "./moves.ts";
import type { Line } from "./names.ts";
import type { Place } from "./place.ts";
import type { JobRecord } from "./wire.ts";

/**
 * A delivery that was handed over. Made by a constructor, as are its like: V8 puts what literals make straight among what
 * lives long once a few hundred of them did, as a worker's jobs do while it warms up.
 */
export class Held {
  /** Its slot among what this process holds; -1: none any more. */
  slot = -1;
  token = "";
  readonly arrival: Arrival;
  /** When it could first run. */
  readonly due: number;
  /** The number of the note that it was handed over, if there is one. */
  readonly note: number | undefined;
  /** When the holder's lease ends, on the monotonic clock. */
  until: number;
  /** When the server's ends at the soonest, as far as it has answered. */
  safe: number;
  /** An answer came so late that it may have been another's in between: how it ends is looked into. */
  doubtful = false;
  /** Where it was sent when it was settled, though the answer was lost. */
  tried: string | undefined;
  /** Held no more: settled, lost, or removed by an operator. */
  gone = false;

  constructor(arrival: Arrival, due: number, note: number | undefined, until: number, safe: number) {
    this.arrival = arrival;
    this.due = due;
    this.note = note;
    this.until = until;
    this.safe = safe;
  }

  get place(): Place {
    return this.arrival.place;
  }

  get line(): Line {
    return this.arrival.line;
  }

  get seq(): number {
    return this.arrival.seq;
  }

  /** Where its acknowledgement goes. */
  get reply(): string {
    return this.arrival.reply;
  }

  get record(): JobRecord {
    return this.arrival.record;
  }

  get payload(): Uint8Array {
    return this.arrival.payload;
  }
}

/** The deliveries of this process. */
export interface Holding {
  /** Takes in what is handed over, and gives it its token. */
  add(held: Held): void;
  /** The delivery with a token, if the server keeps it for its holder still, or its end was sent before. */
  current(queue: string, token: string, now: number): Held | undefined;
  /** The delivery of a message. */
  of(place: Place, seq: number): Held | undefined;
  /** Takes one out: it is being settled. */
  take(held: Held): void;
  /** Puts one back whose end was sent there, and the answer lost. */
  restore(held: Held, sent: string): void;
  /** It is another's by now, or nobody's. */
  lose(place: Place, seq: number): void;
  /** Moves the end of a lease; the server has answered what it was told at that time. */
  extended(held: Held, at: number, ms: number): void;
  close(): void;
}

/** What is left of the server's lease when ours is taken as over: the time for an answer to travel. */
export function marginOf(ackWait: number): number {
  return Math.min(MOST_MARGIN, ackWait * MARGIN_PART);
}

/** When the server keeps a delivery from others for sure no longer, with that margin. */
export function surelyUntil({ safe, place }: Held): number {
  return safe - marginOf(place.ackWait);
}

/** Whether the server keeps it for its holder still. */
export function isSafe(held: Held, now: number): boolean {
  return now < surelyUntil(held);
}

/** Tells the server that a message is still worked on. */
export const WORKING: Uint8Array = new TextEncoder().encode("+WPI");

const MOST_MARGIN = 1_000;
const MARGIN_PART = 1 / 20;
const BEAT_PART = 1 / 3;
const ZERO = 48;

/** Makes an empty holding. */
export function createHolding(link: Link): Holding {
  const { runtime } = link.settings;
  const alarms = createAlarms(runtime);
  const slots = createSlots<Held>();
  /** Those that were put back, by their tokens: their slots may be others'. */
  const restored = new Map<string, Held>();
  /** Those whose lease outlasts the server's. */
  const kept = new Set<Held>();
  /** What tells this holding's tokens from others'. */
  let mark: string | undefined;
  let count = 0;
  let beating = false;
  let closed = false;

  function drop(held: Held): void {
    if (held.slot >= 0) slots.remove(held.slot);
    held.slot = -1;
    if (restored.size > 0) restored.delete(held.token);
    kept.delete(held);
  }

  function isHere(held: Held): boolean {
    return held.slot >= 0 || restored.get(held.token) === held;
  }

  function of(place: Place, seq: number): Held | undefined {
    const isIt = (held: Held): boolean => held.seq === seq && held.place === place;
    return slots.find(isIt) ?? (restored.size > 0 ? [...restored.values()].find(isIt) : undefined);
  }

  /** Sees to its lease. */
  function keep(held: Held): void {
    if (held.until <= held.safe) return void kept.delete(held);
    kept.add(held);
    schedule();
  }

  function schedule(): void {
    if (beating || kept.size === 0) return;
    let shortest = Infinity;
    for (const { place: { ackWait } } of kept) shortest = Math.min(shortest, ackWait);
    beating = true;
    alarms.set(shortest * BEAT_PART, () => beat(shortest));
  }

  function beat(shortest: number): void {
    beating = false;
    const now = runtime.monotonic();
    for (const held of [...kept]) if (held.safe <= now) kept.delete(held);
    if (link.up) hush(keepUp([...kept], now, now + shortest));
    schedule();
  }

  async function keepUp(told: readonly Held[], at: number, until: number): Promise<void> {
    const failed = await tellAll(link, told, WORKING, until);
    for (const [index, held] of told.entries()) {
      if (failed[index] !== undefined) continue;
      prolong(held, at);
      if (isHere(held)) keep(held);
    }
  }

  /** What the server has not answered may not have reached it, and it may have heard as late as it answered. */
  function prolong(held: Held, at: number): void {
    if (runtime.monotonic() >= held.safe) held.doubtful = true;
    held.safe = Math.max(held.safe, at + held.place.ackWait);
  }

  return {
    add(held) {
      mark ??= `.${runtime.id()}.`;
      held.slot = slots.add(held);
      held.token = held.slot + mark + ++count;
      keep(held);
    },
    current(queue, token, now) {
      const there = slots.get(slotOf(token));
      const held = there?.token === token ? there : restored.get(token);
      if (held === undefined || held.place.queue !== queue) return undefined;
      if (held.tried !== undefined || isSafe(held, now)) return held;
      held.gone = true;
      drop(held);
      return undefined;
    },
    of,
    take: drop,
    restore(held, sent) {
      if (held.gone || closed) return;
      // Nobody can tell what became of it when the server has forgotten who followed whom.
      if (held.tried === undefined) alarms.set(held.place.window, () => drop(held));
      held.tried ??= sent;
      restored.set(held.token, held);
      keep(held);
    },
    lose(place, seq) {
      const held = of(place, seq);
      if (held === undefined) return;
      held.gone = true;
      drop(held);
    },
    extended(held, at, ms) {
      if (!isHere(held)) return;
      held.until = at + ms;
      prolong(held, at);
      keep(held);
    },
    close() {
      closed = true;
      alarms.clear();
      slots.clear();
      restored.clear();
      kept.clear();
    },
  };
}

/** The slot that a token begins with; none of ours does with anything else. */
function slotOf(token: string): number {
  let slot = 0;
  for (let i = 0; i < token.length; i++) {
    const digit = token.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) break;
    slot = slot * 10 + digit;
  }
  return slot;
}
