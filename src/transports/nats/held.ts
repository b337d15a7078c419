/**
 * What this process holds: each delivery with its token, and until when the server keeps it from others for sure. A
 * lease that outlasts the server's own is kept up from here.
 *
 * @module
 */

import { createAlarms } from "../../alarms.ts";
import type { Link } from "./link.ts";
import type { Held, Place } from "./place.ts";

/** The deliveries of this process. */
export interface Holding {
  /** A new delivery's token. */
  token(): string;
  add(held: Held): void;
  /** The delivery with a token, if the server keeps it for its holder still. */
  current(queue: string, token: string): Held | undefined;
  /** Takes one out: it is being settled. */
  take(held: Held): void;
  /** Puts one back whose settlement failed. */
  restore(held: Held): void;
  /** It is another's by now, or nobody's. */
  lose(place: Place, seq: number): void;
  /** Moves the end of a lease; the server has been told. */
  extended(held: Held, now: number, ms: number): void;
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

/** Tells the server that a message is still worked on. */
export const WORKING: Uint8Array = new TextEncoder().encode("+WPI");

const MOST_MARGIN = 1_000;
const MARGIN_PART = 1 / 20;
const BEAT_PART = 1 / 3;

/** Makes an empty holding. */
export function createHolding(link: Link): Holding {
  const { runtime } = link.settings;
  const alarms = createAlarms(runtime);
  const byToken = new Map<string, Held>();
  /** Those whose lease outlasts the server's. */
  const kept = new Set<Held>();
  let prefix: string | undefined;
  let count = 0;
  let beating = false;

  function drop(held: Held): void {
    byToken.delete(held.token);
    kept.delete(held);
    if (held.place.held.get(held.seq) === held) held.place.held.delete(held.seq);
  }

  function keep(held: Held): void {
    byToken.set(held.token, held);
    held.place.held.set(held.seq, held);
    if (held.until <= held.safe) return void kept.delete(held);
    kept.add(held);
    schedule();
  }

  function schedule(): void {
    if (beating || kept.size === 0) return;
    let shortest = Infinity;
    for (const { place: { ackWait } } of kept) shortest = Math.min(shortest, ackWait);
    beating = true;
    alarms.set(shortest * BEAT_PART, beat);
  }

  function beat(): void {
    beating = false;
    const now = runtime.monotonic();
    for (const held of kept) {
      const { ackWait } = held.place;
      if (held.safe <= now || !link.up) continue;
      link.send({ subject: held.reply, data: WORKING });
      held.safe = now + ackWait;
      if (held.until <= held.safe) kept.delete(held);
    }
    for (const held of kept) if (held.safe <= now) kept.delete(held);
    schedule();
  }

  return {
    token() {
      prefix ??= `${runtime.id()}-`;
      return prefix + ++count;
    },
    add: keep,
    current(queue, token) {
      const held = byToken.get(token);
      if (held === undefined || held.place.queue !== queue) return undefined;
      if (runtime.monotonic() < surelyUntil(held)) return held;
      held.gone = true;
      drop(held);
      return undefined;
    },
    take: drop,
    restore(held) {
      if (!held.gone) keep(held);
    },
    lose(place, seq) {
      const held = place.held.get(seq);
      if (held === undefined) return;
      held.gone = true;
      drop(held);
    },
    extended(held, now, ms) {
      held.until = now + ms;
      held.safe = now + held.place.ackWait;
      // It may be on its way to its end by now.
      if (byToken.get(held.token) === held) keep(held);
    },
    close() {
      alarms.clear();
      byToken.clear();
      kept.clear();
    },
  };
}
