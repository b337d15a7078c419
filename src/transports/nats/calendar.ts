/**
 * Delayed jobs that are due soon. Who reads one holds it until its time, by number, due time and as far as there is room
 * by its payload, and moves it then to those that wait. Until then it is parked at the server for a little longer than
 * that, so that another gets it if this process dies or falls behind: five seconds after its time, and half a millisecond
 * more for each job that it held; or if it was due when it was read, after a lease.
 *
 * What is due later is parked until some time before, and held by nobody, so that a process holds what is due within
 * forty seconds only. Beyond {@linkcode MOST} of these the server brings each when it is due.
 *
 * 100,000 jobs of 100 bytes that are due at once, two cores shared with others: 2.9.10 moved 25,000 a second, 2.15.1
 * 21,000. The server took 40 and 31 MB for them as they lay, 73 and 67 MB once they were read, as it notes each that is
 * out.
 *
 * Parked and brought back by the server alone, 20,000 jobs ran at 320 a second on NATS 2.9.10, as the server walks all
 * that it has parked to find those whose time is over; those that are held and moved never get that far.
 *
 * @module
 */

import { type Alarm, createAlarms } from "../../alarms.ts";
import { errorOf } from "../../errors.ts";
import { createHeap, type Heap } from "../../heap.ts";
import { hush } from "../../promises.ts";
import type { Bench, Calendar } from "./bench.ts";
import { memoryOf, type Whither } from "./followed.ts";
import type { Link } from "./link.ts";
import { type Move, moveAll } from "./moves.ts";
import type { Place } from "./place.ts";
import type { Arrival } from "./arrival.ts";
import { storedAt } from "./read.ts";
import { dueOf, endMoved, moveTo } from "./ripen.ts";
import { isSameTime } from "./wire.ts";

/** A delayed job that is held. */
interface Unripe {
  readonly seq: number;
  readonly due: number;
  /** When it was stored: tells it from another of its number, should the stream have been made anew. */
  readonly time: number;
  /** Bytes of its payload. */
  readonly size: number;
  /** Where the word that parks it goes, of the last time that it was handed over. */
  reply: string;
  /** The job itself, where there was room for it. */
  arrival: Arrival | undefined;
}

/** What is held of one queue. */
interface Shelf {
  readonly place: Place;
  readonly byDue: Heap<Unripe>;
  /** By number; those that are being moved, too. */
  readonly held: Map<number, Unripe>;
  alarm: Alarm | undefined;
  moving: boolean;
  /** The page that is being moved, or the count that must not be taken meanwhile, and those behind it. */
  turn: Promise<unknown>;
  /** Those who wait for pages to be moved. */
  readonly flushes: Set<(idle: boolean) => void>;
}

const NANOS = 1_000_000;
/** Milliseconds before its time at which a job comes to whom will hold it, and the steps in which that is told. */
const AHEAD = 30_000;
const GRID = 10_000;
/** Milliseconds after its time at which a job that nobody moved is brought to another. */
const GRACE = 5_000;
/**
 * The same for each job that is held already, as those due at once take their time: a server of 2.9 that brings them
 * meanwhile goes through all of these for each acknowledgement, and moved 2,000 a second instead of 19,000.
 */
const GRACE_EACH = 0.5;
/** Milliseconds after which one that is due and for which there was no room comes again. */
const AGAIN = 1_000;
/** Jobs that a process holds, about 250 bytes each, and the bytes of payloads that it keeps of them. */
const MOST = 100_000;
const MOST_BYTES = 32 * 1024 * 1024;
/** Bytes that a job takes beside its payload and metadata. */
const OVERHEAD = 1_024;
/** Jobs, and bytes of payloads, that are moved in one go. */
const PAGE = 500;
const PAGE_BYTES = 4 * 1024 * 1024;
/** Where those that are due go. */
const DUE: Whither = { lines: ["w"], dead: false };
/** Milliseconds that a page may take. */
const MOVE = 10_000;
const NAK = new TextEncoder().encode("-NAK");

/** Whether somebody may hold a delayed job, and move it without looking whether it is still there. */
export function mayBeHeld(due: number, now: number): boolean {
  return due < now + AHEAD + 2 * GRID;
}

/** Makes an empty calendar. */
export function createCalendar(link: Link, bench: () => Bench): Calendar {
  const { runtime } = link.settings;
  const alarms = createAlarms(runtime);
  const shelves = new Map<Place, Shelf>();
  let total = 0;
  let bytes = 0;
  let closed = false;

  function shelfOf(place: Place): Shelf {
    let shelf = shelves.get(place);
    if (shelf === undefined) {
      shelf = {
        place,
        byDue: createHeap((a, b) => a.due < b.due || (a.due === b.due && a.seq < b.seq)),
        held: new Map(),
        alarm: undefined,
        moving: false,
        turn: Promise.resolve(),
        flushes: new Set(),
      };
      shelves.set(place, shelf);
    }
    return shelf;
  }

  /** Gives back what nobody will move any more: the server brings it to another at once. */
  function leave({ reply }: Pick<Unripe, "reply">): void {
    if (link.up) link.send({ subject: reply, data: NAK });
  }

  function park(reply: string, ms: number): void {
    link.send({ subject: reply, data: `-NAK {"delay":${Math.ceil(ms * NANOS)}}` });
  }

  function take(shelf: Shelf, arrival: Arrival, now: number): void {
    const { seq, reply, time, payload: { length: size } } = arrival;
    const due = dueOf(arrival);
    const rest = due - now;
    if (rest > AHEAD + GRID) return park(reply, Math.floor((due - AHEAD) / GRID) * GRID - now);
    const known = shelf.held.get(seq);
    if (known === undefined && total >= MOST) return park(reply, rest > 0 ? rest : AGAIN);
    if (rest > 0) park(reply, rest + GRACE + total * GRACE_EACH);
    if (known !== undefined) return void (known.reply = reply);
    const unripe: Unripe = { seq, due, time, size, reply, arrival: undefined };
    if (bytes + weightOf(arrival) <= MOST_BYTES) {
      unripe.arrival = arrival;
      bytes += weightOf(arrival);
    }
    shelf.held.set(seq, unripe);
    shelf.byDue.push(unripe);
    total++;
  }

  function empty(unripe: Unripe): void {
    if (unripe.arrival !== undefined) bytes -= weightOf(unripe.arrival);
    unripe.arrival = undefined;
  }

  function forget(shelf: Shelf, unripe: Unripe): void {
    empty(unripe);
    if (shelf.held.delete(unripe.seq)) total--;
  }

  /** Moves what is due, and sleeps until the next is. */
  function arm(shelf: Shelf): void {
    const first = shelf.byDue.peek();
    shelf.alarm?.cancel();
    shelf.alarm = undefined;
    // When the link is back whoever reserves wakes it.
    if (first === undefined || shelf.moving || closed || !link.up) return;
    const rest = first.due - bench().clock.now();
    if (rest > 0) shelf.alarm = alarms.set(rest, () => arm(shelf));
    else hush(moveDue(shelf));
  }

  /** Takes out what is to be moved next. */
  function nextPage(shelf: Shelf): Unripe[] {
    const page: Unripe[] = [];
    const now = bench().clock.now();
    let size = 0;
    while (page.length < PAGE && size < PAGE_BYTES) {
      const first = shelf.byDue.peek();
      if (first === undefined || first.due > now) break;
      shelf.byDue.pop();
      size += first.size;
      page.push(first);
    }
    return page;
  }

  /** Page after page, in the order of their times; the next one is looked up while one is moved. */
  async function moveDue(shelf: Shelf): Promise<void> {
    shelf.moving = true;
    try {
      let coming = look(shelf, nextPage(shelf));
      for (let page = await coming; page.length > 0; page = await coming) {
        const moved = inTurn(shelf, () => movePage(shelf, page));
        coming = look(shelf, link.up && !closed ? nextPage(shelf) : []);
        await moved;
        for (const flush of [...shelf.flushes]) flush(false);
      }
    } finally {
      shelf.moving = false;
      for (const flush of [...shelf.flushes]) flush(true);
      arm(shelf);
    }
  }

  function inTurn<T>(shelf: Shelf, work: () => Promise<T>): Promise<T> {
    const done = shelf.turn.then(work);
    shelf.turn = done.catch(() => undefined);
    return done;
  }

  type Found = readonly [Unripe, Arrival];

  /** The jobs themselves; one that is gone was moved by another, or removed. */
  async function look(shelf: Shelf, page: readonly Unripe[]): Promise<readonly Found[]> {
    const over = forgottenAt(shelf);
    const found = await Promise.all(page.map(async (unripe) => {
      const known = unripe.due < over ? undefined : unripe.arrival;
      const arrival = known ?? await read(shelf, unripe);
      return arrival === undefined ? [] : [[unripe, arrival] as const];
    }));
    return found.flat();
  }

  async function read(shelf: Shelf, unripe: Unripe): Promise<Arrival | undefined> {
    const { place } = shelf;
    const { seq, time, reply } = unripe;
    const { epoch } = link;
    try {
      const stored = await storedAt(bench(), place, { seq }, runtime.monotonic() + MOVE);
      if (
        stored !== undefined && isSameTime(stored.time, time) && stored.subject.startsWith(`${place.base}d.`)
      ) {
        const { id, name, meta, marks, payload } = stored;
        const record = { id, name, meta, marks };
        return { place, line: "d", seq, again: false, time, pending: 0, reply, record, payload, at: 0 };
      }
      forget(shelf, unripe);
    } catch {
      failed(shelf, unripe, epoch);
    }
    return undefined;
  }

  async function movePage(shelf: Shelf, page: readonly Found[]): Promise<void> {
    const { epoch } = link;
    const until = runtime.monotonic() + MOVE;
    const over = forgottenAt(shelf);
    const all = page.map(([, arrival]) => arrival);
    let results: readonly (boolean | Error)[] = [];
    let arrivals: readonly Arrival[] = all;
    try {
      arrivals = await endMoved(bench(), all, (arrival) => dueOf(arrival) < over, DUE, until);
      const moves = arrivals.map((arrival): Move =>
        moveTo(arrival, "w", { due: dueOf(arrival), delay: undefined })
      );
      results = await moveAll(link, moves, until);
    } catch (error) {
      results = all.map(() => errorOf(error));
    }
    const lost = new Set(arrivals.filter((_, index) => results[index] instanceof Error));
    for (const [unripe, arrival] of page) {
      if (lost.has(arrival)) failed(shelf, unripe, epoch);
      else forget(shelf, unripe);
    }
  }

  /** What was due before this instant may have been moved by another so long ago that the server has forgotten it. */
  function forgottenAt({ place }: Shelf): number {
    return bench().clock.now() - memoryOf(place);
  }

  /** One that was not moved for sure is looked up when the link is back. Else the server brings it again. */
  function failed(shelf: Shelf, unripe: Unripe, epoch: number): void {
    empty(unripe);
    if (link.up && link.epoch === epoch) return forget(shelf, unripe);
    shelf.byDue.push(unripe);
  }

  return {
    take(arrivals) {
      if (closed) return arrivals.forEach(leave);
      const now = bench().clock.now();
      const touched = new Set<Shelf>();
      for (const arrival of arrivals) {
        const shelf = shelfOf(arrival.place);
        take(shelf, arrival, now);
        touched.add(shelf);
      }
      for (const shelf of touched) arm(shelf);
    },
    wake(place) {
      const shelf = shelves.get(place);
      if (shelf !== undefined && shelf.alarm === undefined) arm(shelf);
    },
    flush(place, until) {
      const shelf = shelves.get(place);
      if (shelf === undefined) return Promise.resolve();
      arm(shelf);
      if (!shelf.moving) return Promise.resolve();
      return new Promise((resolve) => {
        // The page that is under way now may be without what has become due since.
        let pages = 2;
        const flush = (idle: boolean): void => {
          pages--;
          if (pages > 0 && !idle) return;
          shelf.flushes.delete(flush);
          alarm.cancel();
          resolve();
        };
        shelf.flushes.add(flush);
        const alarm = alarms.set(Math.max(0, until - runtime.monotonic()), () => flush(true));
      });
    },
    still: (place, work) => inTurn(shelfOf(place), work),
    due(place) {
      const now = bench().clock.now();
      let count = 0;
      let oldest = Infinity;
      for (const { due } of shelves.get(place)?.held.values() ?? []) {
        if (due > now) continue;
        count++;
        oldest = Math.min(oldest, due);
      }
      return { count, oldest };
    },
    reset() {
      // By the time the link is back they may have been moved and done, or the stream may be another.
      for (const { held } of shelves.values()) for (const unripe of held.values()) empty(unripe);
    },
    close() {
      closed = true;
      alarms.clear();
      for (const { flushes } of shelves.values()) for (const flush of [...flushes]) flush(true);
      for (const { byDue } of shelves.values()) {
        for (let one = byDue.pop(); one !== undefined; one = byDue.pop()) leave(one);
      }
      shelves.clear();
    },
  };
}

/** Bytes that a job takes in memory, or a little more. */
function weightOf({ payload, record }: Arrival): number {
  return OVERHEAD + payload.length + 2 * record.meta.length;
}
