/**
 * Deliveries of this process: each with its token, and until when the server keeps it from other workers for sure. A
 * lease that outlasts the server's own is kept up by this process; it is as long as the server has answered.
 *
 * @module
 */

import { type Alarms, createAlarms } from "../../../flow/alarms.ts";
import { hush } from "../../../promises.ts";
import { createSlots, type Slots } from "../../../flow/slots.ts";
import type { Link } from "../client/link.ts";
import { tellAll, WORKING } from "./acknowledge.ts";
import type { Deliveries } from "./context.ts";
import { isThere, marginOf, type Received } from "./received.ts";
import type { PullState } from "./subjects.ts";

/** Whether the server keeps it for its holder still. */
export function isSafe({ safe, doubtful, queueStream }: Received, now: number): boolean {
  return !doubtful && now < safe - marginOf(queueStream.ackWait);
}

const BEAT_PART = 1 / 3;
/** Milliseconds for which a delivery is known behind the end of its lease, and leases at least. */
const KNOWN = 600_000;
const KNOWN_LEASES = 10;
/** Milliseconds between two sweeps of those. */
const SWEEP = 60_000;
const ZERO = 48;

/** The state of all deliveries. */
interface Store {
  readonly link: Link;
  /** Gets deliveries back whose leases were over when they were kept up. */
  readonly getBack: (late: readonly Received[]) => void;
  readonly alarms: Alarms;
  readonly slots: Slots<Received>;
  /** Those that were put back, by their tokens: their slots may be others'. */
  readonly restored: Map<string, Received>;
  /** Those whose lease outlasts the server's. */
  readonly kept: Set<Received>;
  beating: boolean;
  sweptAt: number;
}

/** Makes an empty store of deliveries; `getBack` gets those back whose leases were over when they were kept up. */
export function createDeliveries(link: Link, getBack: Store["getBack"]): Deliveries {
  const { runtime } = link.settings;
  const slots = createSlots<Received>();
  const alarms = createAlarms(runtime);
  const restored = new Map<string, Received>();
  const store: Store = {
    link,
    getBack,
    alarms,
    slots,
    restored,
    kept: new Set(),
    beating: false,
    sweptAt: 0,
  };
  /** The part that tells the tokens of this process from others'. */
  let mark: string | undefined;
  let count = 0;

  return {
    add(held) {
      sweep(store);
      mark ??= `.${runtime.id()}.`;
      held.slot = slots.add(held);
      held.token = `${held.slot}${mark}${++count}~${messageToken(held)}`;
      keep(store, held);
    },
    find(queue, token) {
      const there = slots.get(slotOf(token));
      const held = there?.token === token ? there : restored.get(token);
      return held?.queueStream.queue === queue && isThere(held) ? held : undefined;
    },
    isOwn: (token) => mark !== undefined && token.includes(mark),
    ending: new Set(),
    of(queueStream, seq) {
      const isIt = (held: Received): boolean =>
        held.seq === seq && held.queueStream === queueStream && isThere(held);
      return slots.find(isIt) ?? (restored.size > 0 ? [...restored.values()].find(isIt) : undefined);
    },
    take: (held) => drop(store, held),
    restore(held) {
      held.tried = true;
      restored.set(held.token, held);
      keep(store, held);
    },
    lose(queueStream, seq) {
      const held = this.of(queueStream, seq);
      if (held !== undefined) drop(store, held);
    },
    extended(held, at, ms) {
      if (!isHere(store, held)) return;
      held.until = at + ms;
      prolong(store, held, at);
      keep(store, held);
    },
    renew(held, { reply, at }) {
      held.reply = reply;
      held.safe = Math.max(held.safe, at + held.queueStream.ackWait);
      keep(store, held);
    },
    close() {
      alarms.clear();
      slots.clear();
      restored.clear();
      store.kept.clear();
    },
  };
}

function drop({ slots, restored, kept }: Store, held: Received): void {
  if (held.slot >= 0) slots.remove(held.slot);
  held.slot = -1;
  if (restored.size > 0) restored.delete(held.token);
  kept.delete(held);
}

function isHere({ restored }: Store, held: Received): boolean {
  return held.slot >= 0 || restored.get(held.token) === held;
}

/** Forgets those whose lease was over long ago: each later end is stale. */
function sweep(store: Store): void {
  const { slots, restored, link: { settings: { runtime } } } = store;
  const now = runtime.monotonic();
  if (now < store.sweptAt + SWEEP) return;
  store.sweptAt = now;
  for (const held of [...slots.items(), ...restored.values()]) {
    const known = Math.max(KNOWN, KNOWN_LEASES * held.queueStream.ackWait);
    if (now > Math.max(held.safe, held.until) + known) drop(store, held);
  }
}

/** Sees to the lease of a delivery. */
function keep(store: Store, held: Received): void {
  if (held.until <= held.safe) return void store.kept.delete(held);
  store.kept.add(held);
  schedule(store);
}

function schedule(store: Store): void {
  const { beating, kept, alarms } = store;
  if (beating || kept.size === 0) return;
  let shortest = Infinity;
  for (const { queueStream: { ackWait } } of kept) shortest = Math.min(shortest, ackWait);
  store.beating = true;
  alarms.set(shortest * BEAT_PART, () => beat(store, shortest));
}

function beat(store: Store, shortest: number): void {
  const { link, kept } = store;
  store.beating = false;
  const now = link.settings.runtime.monotonic();
  for (const held of [...kept]) if (held.until <= held.safe) kept.delete(held);
  if (link.up) hush(keepUp(store, [...kept], now, now + shortest));
  schedule(store);
}

async function keepUp(store: Store, told: readonly Received[], at: number, until: number): Promise<void> {
  const failed = await tellAll(store.link, told, WORKING, until);
  const now = store.link.settings.runtime.monotonic();
  const kept = told.filter((held, index) => failed[index] === undefined && isHere(store, held));
  const late = kept.filter(({ safe, tried }) => now >= safe && !tried);
  for (const held of kept) {
    prolong(store, held, at);
    keep(store, held);
  }
  if (late.length > 0) store.getBack(late);
}

/**
 * An extension that the server has not answered may not have reached it, and it may have heard as late as it answered.
 */
function prolong({ link }: Store, held: Received, at: number): void {
  if (link.settings.runtime.monotonic() >= held.safe) held.doubtful = true;
  held.safe = Math.max(held.safe, at + held.queueStream.ackWait);
}

/** The part of a token that identifies its message, for a client that did not make it. */
export function messageToken(
  { state, seq, time, queueStream, record }: Received,
): string {
  return `${state}${seq}.${Math.floor(time)}.${checksum(queueStream.queue, record.id)}`;
}

/** A number that differs for texts that differ, most likely (FNV-1a): two streams have messages of the same number. */
function checksum(queue: string, id: string): string {
  return (hashed(id, hashed(" ", hashed(queue, 0x811c9dc5))) >>> 0).toString(36);
}

function hashed(text: string, before: number): number {
  let hash = before;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

/** The parts of a token that are read. */
export interface TokenParts {
  readonly state: PullState;
  readonly seq: number;
  /** All that it says of its message. */
  readonly message: string;
}

/** Reads a token; undefined for one that was never given. */
export function partsOfToken(token: string): TokenParts | undefined {
  const [, message, state, seq] =
    /^\d+\.[^~]+\.\d+~(([wb])(\d{1,16})\.\d{1,16}\.[0-9a-z]{1,7})$/.exec(token) ??
      [];
  if (message === undefined || (state !== "w" && state !== "b")) return undefined;
  return { state, seq: Number(seq), message };
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
