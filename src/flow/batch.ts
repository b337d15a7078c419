/**
 * Calls of one tick share a round trip, but never a fate: items gather until the next macrotask and travel together,
 * and each is told its own result. Calls that come alone, one after another, need not wait for that.
 *
 * @module
 */

import { errorOf, TransportBusy } from "../errors.ts";
import type { Runtime } from "../runtime.ts";

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
  /**
   * An item behind one that travelled alone, with none under way, waits for others until the next microtask only. For
   * results that never come in the same turn of the event loop: else a caller that waits for each would leave no turn to
   * others.
   */
  readonly prompt?: boolean | undefined;
}

/** An item on its way; opaque. */
export type Ticket = object;

/** Gathers items. */
export interface Batcher<Item, Result> {
  /** Sends the item with the next batch; `done` must not throw, nor take an item back. */
  add(item: Item, done: (result: Result | Error) => void): Ticket;
  /** Takes an item back; false when it was sent already. */
  withdraw(ticket: Ticket): boolean;
  /** Sends all that gathers at once, however much is under way: a call of another way must not overtake it. */
  cut(): void;
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

/** The items that wait, and the counts of all. */
interface State<Item, Result> {
  readonly options: BatchOptions<Item, Result>;
  /** Made once: a function for each timer would be one for each batch. */
  readonly flush: () => void;
  gathered: Pending<Item, Result>[];
  size: number;
  /** Items among the gathered that were taken back: sorted out all at once, as thousands may share a signal. */
  withdrawn: number;
  inFlight: number;
  hopping: boolean;
  /** The last batch was of one item, which was told its result. */
  alone: boolean;
}

/** Makes a batcher. */
export function createBatcher<Item, Result>(options: BatchOptions<Item, Result>): Batcher<Item, Result> {
  const state: State<Item, Result> = {
    options,
    flush: () => flush(state),
    gathered: [],
    size: 0,
    withdrawn: 0,
    inFlight: 0,
    hopping: false,
    alone: false,
  };
  return new Gatherer(state);
}

class Gatherer<Item, Result> implements Batcher<Item, Result> {
  readonly #state: State<Item, Result>;

  constructor(state: State<Item, Result>) {
    this.#state = state;
  }

  get size(): number {
    return this.#state.size;
  }

  add(item: Item, done: (result: Result | Error) => void): Ticket {
    const state = this.#state;
    const { runtime, prompt } = state.options;
    const pending = { item, done, since: runtime.monotonic(), gone: false };
    state.size++;
    state.gathered.push(pending);
    schedule(state, prompt === true && state.alone && state.inFlight === 0);
    return pending;
  }

  withdraw(ticket: Ticket): boolean {
    const pending = ticket as Pending<Item, Result>;
    if (pending.gone) return false;
    pending.gone = true;
    this.#state.withdrawn++;
    this.#state.size--;
    return true;
  }

  cut(): void {
    sendGathered(this.#state, Infinity);
  }
}

function schedule<Item, Result>(state: State<Item, Result>, promptly = false): void {
  if (state.hopping || state.gathered.length === 0 || state.inFlight >= MAX_IN_FLIGHT) return;
  state.hopping = true;
  if (promptly) void Promise.resolve().then(state.flush);
  else state.options.runtime.timer(0, state.flush);
}

function flush<Item, Result>(state: State<Item, Result>): void {
  state.hopping = false;
  sendGathered(state, MAX_IN_FLIGHT);
}

/** Sends the gathered, while fewer than `most` batches are under way. */
function sendGathered<Item, Result>(state: State<Item, Result>, most: number): void {
  const { gathered, withdrawn } = state;
  if (gathered.length === 0) return;
  const all = withdrawn === 0 ? gathered : gathered.filter((pending) => !pending.gone);
  state.gathered = [];
  state.withdrawn = 0;
  const { runtime } = state.options;
  let now = runtime.monotonic();
  let start = expire(state, all, now);
  while (start < all.length && state.inFlight < most) {
    const end = endOfBatch(state.options, all, start);
    travel(state, all.slice(start, end), now);
    start = end;
    if (start < all.length) now = runtime.monotonic();
  }
  if (start < all.length) state.gathered = [...all.slice(start), ...state.gathered];
}

/** Refuses the items that waited too long behind others; returns where the rest begins. */
function expire<Item, Result>(
  state: State<Item, Result>,
  all: readonly Pending<Item, Result>[],
  now: number,
): number {
  const { deadline } = state.options;
  const oldest = now - deadline;
  let end = 0;
  for (let pending = all[0]; pending !== undefined && pending.since <= oldest; pending = all[++end]) {
    state.size--;
    pending.gone = true;
    pending.done(
      new TransportBusy(`The transport took nothing for ${deadline} ms, and others were before this call`),
    );
  }
  return end;
}

function endOfBatch<Item, Result>(
  { sizeOf, maxItems, maxBytes }: BatchOptions<Item, Result>,
  all: readonly Pending<Item, Result>[],
  start: number,
): number {
  let bytes = 0;
  let end = start;
  for (; end < all.length && end - start < maxItems; end++) {
    bytes += sizeOf((all[end] as Pending<Item, Result>).item);
    if (bytes > maxBytes && end > start) break;
  }
  return end;
}

async function travel<Item, Result>(
  state: State<Item, Result>,
  batch: readonly Pending<Item, Result>[],
  now: number,
): Promise<void> {
  state.inFlight++;
  // What the first item of the batch has left.
  const left = state.options.deadline - (now - (batch[0]?.since ?? 0));
  let results: readonly (Result | Error)[] | Error;
  try {
    results = await state.options.send(batch.map(itemOf), left);
  } catch (error) {
    results = errorOf(error);
  }
  state.inFlight--;
  state.size -= batch.length;
  // A batch that was refused may have been so at once, and its caller may try again at once.
  state.alone = batch.length === 1 && !(resultAt(results, 0) instanceof Error);
  batch.forEach((pending, index) => pending.done(resultAt(results, index)));
  schedule(state);
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
