/**
 * Calls of one tick share a round trip, but never a fate: items gather until the next macrotask and travel together,
 * and each is told its own result.
 *
 * @module
 */

import { errorOf, TransportBusy } from "./errors.ts";
import type { Runtime } from "./runtime.ts";

/** How a batch is made up and sent. */
export interface BatchOptions<Item, Result> {
  readonly runtime: Runtime;
  /** Sends a batch within `left` milliseconds; answers in the order of the items. A rejection is every item's result. */
  readonly send: (items: readonly Item[], left: number) => Promise<readonly (Result | Error)[]>;
  /** Milliseconds from an item's coming to its result; one that could not be sent in time gets `TransportBusy`. */
  readonly deadline: number;
  /** Bytes of an item, which a batch adds up. */
  readonly sizeOf: (item: Item) => number;
  readonly maxItems: number;
  readonly maxBytes: number;
}

/** An item on its way; opaque. */
export type Ticket = object;

/** Gathers items. */
export interface Batcher<Item, Result> {
  /** Sends the item with the next batch; `done` must not throw, nor take an item back. */
  add(item: Item, done: (result: Result | Error) => void): Ticket;
  /** Takes an item back; false when it was sent already. */
  withdraw(ticket: Ticket): boolean;
  /** Items that wait or travel. */
  readonly size: number;
}

/** Batches under way at once; more gather meanwhile. */
const MAX_IN_FLIGHT = 4;

interface Pending<Item, Result> {
  readonly item: Item;
  readonly since: number;
  readonly done: (result: Result | Error) => void;
  /** Sent, or taken back: it can be taken back no more. */
  gone: boolean;
}

/** Makes a batcher. */
export function createBatcher<Item, Result>(options: BatchOptions<Item, Result>): Batcher<Item, Result> {
  let gathered: Pending<Item, Result>[] = [];
  let size = 0;
  /** Items among the gathered that were taken back: sorted out all at once, as thousands may share a signal. */
  let withdrawn = 0;
  let inFlight = 0;
  let hopping = false;

  function schedule(): void {
    if (hopping || gathered.length === 0 || inFlight >= MAX_IN_FLIGHT) return;
    hopping = true;
    options.runtime.timer(0, flush);
  }

  function flush(): void {
    hopping = false;
    const all = withdrawn === 0 ? gathered : gathered.filter((pending) => !pending.gone);
    gathered = [];
    withdrawn = 0;
    let start = expire(all);
    while (start < all.length && inFlight < MAX_IN_FLIGHT) {
      const end = endOfBatch(all, start);
      travel(all.slice(start, end));
      start = end;
    }
    if (start < all.length) gathered = [...all.slice(start), ...gathered];
  }

  /** Refuses the items that waited too long behind others; returns where the rest begins. */
  function expire(all: readonly Pending<Item, Result>[]): number {
    const { runtime, deadline } = options;
    const oldest = runtime.monotonic() - deadline;
    let end = 0;
    for (let pending = all[0]; pending !== undefined && pending.since <= oldest; pending = all[++end]) {
      size--;
      pending.gone = true;
      pending.done(
        new TransportBusy(`The transport took nothing for ${deadline} ms, and others were before this call`),
      );
    }
    return end;
  }

  function endOfBatch(all: readonly Pending<Item, Result>[], start: number): number {
    let bytes = 0;
    let end = start;
    for (; end < all.length && end - start < options.maxItems; end++) {
      bytes += options.sizeOf((all[end] as Pending<Item, Result>).item);
      if (bytes > options.maxBytes && end > start) break;
    }
    return end;
  }

  async function travel(batch: readonly Pending<Item, Result>[]): Promise<void> {
    inFlight++;
    const first = batch[0]?.since ?? 0;
    const left = options.deadline - (options.runtime.monotonic() - first);
    let results: readonly (Result | Error)[] | Error;
    try {
      results = await options.send(batch.map(itemOf), left);
    } catch (error) {
      results = errorOf(error);
    }
    inFlight--;
    size -= batch.length;
    batch.forEach((pending, index) => pending.done(resultAt(results, index)));
    schedule();
  }

  return {
    get size(): number {
      return size;
    },
    add(item, done) {
      const pending = { item, done, since: options.runtime.monotonic(), gone: false };
      size++;
      gathered.push(pending);
      schedule();
      return pending;
    },
    withdraw(ticket) {
      const pending = ticket as Pending<Item, Result>;
      if (pending.gone) return false;
      pending.gone = true;
      withdrawn++;
      size--;
      return true;
    },
  };
}

/** The item, which is on its way from now on. */
function itemOf<Item>(pending: Pending<Item, never>): Item {
  pending.gone = true;
  return pending.item;
}

function resultAt<Result>(results: readonly (Result | Error)[] | Error, index: number): Result | Error {
  if (results instanceof Error) return results;
  return results[index] ?? new Error(`A transport answered only ${results.length} items of a batch`);
}
