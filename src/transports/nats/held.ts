/**
 * What this process holds: each delivery with its token, and until when the server keeps it from others for sure. A
 * lease that outlasts the server's own is kept up from here; it is as long as the server has answered.
 *
 * @module
 */

import { createAlarms } from "../../alarms.ts";
import { hush } from "../../promises.ts";
import type { Link } from "./link.ts";
import { tellAll } from "./moves.ts";
import type { Held, Place } from "./place.ts";

/** The deliveries of this process. */
export interface Holding {
  /** A new delivery's token. */
  token(): string;
  add(held: Held): void;
  /** The delivery with a token, if the server keeps it for its holder still, or its end was sent before. */
  current(queue: string, token: string): Held | undefined;
  /** Whether the server keeps it for its holder still. */
  isSafe(held: Held): boolean;
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
  let closed = false;

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
      if (byToken.get(held.token) === held) keep(held);
    }
  }

  /** What the server has not answered may not have reached it, and it may have heard as late as it answered. */
  function prolong(held: Held, at: number): void {
    if (runtime.monotonic() >= held.safe) held.doubtful = true;
    held.safe = Math.max(held.safe, at + held.place.ackWait);
  }

  function isSafe(held: Held): boolean {
    return runtime.monotonic() < surelyUntil(held);
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
      if (held.tried !== undefined || isSafe(held)) return held;
      held.gone = true;
      drop(held);
      return undefined;
    },
    isSafe,
    take: drop,
    restore(held, sent) {
      if (held.gone || closed) return;
      // Nobody can tell what became of it when the server has forgotten who followed whom.
      if (held.tried === undefined) alarms.set(held.place.window, () => drop(held));
      held.tried ??= sent;
      keep(held);
    },
    lose(place, seq) {
      const held = place.held.get(seq);
      if (held === undefined) return;
      held.gone = true;
      drop(held);
    },
    extended(held, at, ms) {
      if (byToken.get(held.token) !== held) return;
      held.until = at + ms;
      prolong(held, at);
      keep(held);
    },
    close() {
      closed = true;
      alarms.clear();
      byToken.clear();
      kept.clear();
    },
  };
}
