/**
 * Settle and extend: deliveries that end or go on, a queue's together, so that their fence costs one query.
 *
 * @module
 */

import { errorOf } from "../../errors.ts";
import type { Call, Extended, Extension, Settled, Settlement } from "../../jobs/exchange.ts";
import { partsOf } from "../../names.ts";
import { type Context, faultIn, replies } from "./context.ts";
import type { Reply, Script } from "./client/link.ts";
import type { Packable } from "./layout/pack.ts";
import { whenOf } from "./push.ts";
import { KINDS, LONG, VERBS } from "./scripts/settle.ts";
import { consumerOf, createTokenReader, type Held, type Kind } from "./layout/token.ts";

/** Deliveries of one script: 1,000 take some 4 ms. */
const MAX_DELIVERIES = 1_000;

/** The entries of one consumer, from the first to the last. */
interface Range {
  first: Held;
  last: Held;
  size: number;
}

function isBefore(one: Held, other: Held): boolean {
  return one.ms < other.ms || (one.ms === other.ms && one.seq < other.seq);
}

/** Deliveries of one kind of a queue, in columns. */
class Batch {
  readonly queue: string;
  readonly kind: Kind;
  /** Indexes in the call. */
  readonly indexes: number[] = [];
  readonly entries: string[] = [];
  readonly counts: number[] = [];
  readonly ids: string[] = [];
  readonly consumers: string[] = [];
  /** For each delivery the number of its consumer. */
  readonly owners: number[] = [];
  /** One for each consumer. */
  readonly #ranges: Range[] = [];

  constructor(queue: string, kind: Kind) {
    this.queue = queue;
    this.kind = kind;
  }

  add(index: number, held: Held): number {
    let owner = this.consumers.lastIndexOf(held.consumer);
    if (owner < 0) owner = this.consumers.push(held.consumer) - 1;
    const range = this.#ranges[owner] ??= { first: held, last: held, size: 0 };
    if (isBefore(range.last, held)) range.last = held;
    else if (isBefore(held, range.first)) range.first = held;
    range.size++;
    this.entries.push(held.entry);
    this.counts.push(held.count);
    this.ids.push(held.id);
    this.owners.push(owner + 1);
    return this.indexes.push(index);
  }

  /** Queries that find the deliveries of one consumer each; where there is but one, it is asked for by itself. */
  ranges(): Packable {
    const ranges: Packable[] = [];
    for (const [n, { first, last, size }] of this.#ranges.entries()) {
      // Not by the millisecond, in which others may have come that are held by now too: each row has its price.
      if (size > 1) ranges.push([n + 1, first.entry, last.entry, size]);
    }
    return ranges;
  }
}

/** Sends batches, and tells of the deliveries that were stale or could not be checked. */
async function send<B extends Batch>(
  context: Context,
  script: Script,
  batches: readonly B[],
  columns: (batch: B, key: number) => Packable,
  call: Call,
  tell: (index: number, result: "stale" | Error) => void,
): Promise<void> {
  const { link, keys, pack } = context;
  const answers = groupsOf(context, batches).map(async (group) => {
    try {
      const bases = group.map((batch) => keys.base(batch.queue));
      const packed = pack(group.map((batch, n) => columns(batch, n + 1)));
      const reply = replies(await link.run(script, bases, [packed], call));
      for (const [n, batch] of group.entries()) {
        const fault = faultIn(context, script, reply[n]);
        if (fault !== undefined) { for (const index of batch.indexes) tell(index, fault); }
        else staleIn(batch, replies(reply[n]), tell);
      }
    } catch (error) {
      for (const batch of group) for (const index of batch.indexes) tell(index, errorOf(error));
      throw error;
    }
  });
  const settled = await Promise.allSettled(answers);
  const failures = settled.flatMap((one) => one.status === "rejected" ? [one.reason] : []);
  if (failures.length > 0 && failures.length === settled.length) throw failures[0];
}

function staleIn(
  batch: Batch,
  numbers: readonly Reply[],
  tell: (index: number, result: "stale") => void,
): void {
  for (const number of numbers) {
    const index = typeof number === "number" ? batch.indexes[number - 1] : undefined;
    if (index !== undefined) tell(index, "stale");
  }
}

/** Batches that may travel together: of one slot where there are slots, and not too many. */
function groupsOf<B extends Batch>({ link }: Context, batches: readonly B[]): readonly (readonly B[])[] {
  const groups: B[][] = [];
  const open = new Map<string, { readonly group: B[]; size: number }>();
  for (const batch of batches) {
    const slot = link.clustered ? partsOf(batch.queue).topic ?? `${batch.queue}\n` : "";
    let found = open.get(slot);
    if (found === undefined || found.size + batch.indexes.length > MAX_DELIVERIES) {
      found = { group: [], size: 0 };
      open.set(slot, found);
      groups.push(found.group);
    }
    found.group.push(batch);
    found.size += batch.indexes.length;
  }
  return groups;
}

/** The batch that a delivery goes into: the last of its kind, while there is room in it. */
function batchOf<B extends Batch>(
  batches: B[],
  open: Map<string, B>,
  queue: string,
  kind: Kind,
  make: () => B,
): B {
  const key = kind === "listed" ? queue : `${queue}\n${kind}`;
  let batch = open.get(key);
  if (batch === undefined || batch.indexes.length >= MAX_DELIVERIES) {
    batch = make();
    open.set(key, batch);
    batches.push(batch);
  }
  return batch;
}

class Endings extends Batch {
  readonly verbs: number[] = [];
  readonly extras: Packable[] = [];
  /** How many entries each run of neighbours has. */
  readonly runs: number[] = [];
  /** All of them are done. */
  done = true;
  #rank = -1;

  /** Counts an entry with the run that it goes on. */
  follow(rank: number): void {
    const last = this.runs.length - 1;
    if (rank > 0 && rank === this.#rank + 1) this.runs[last] = (this.runs[last] ?? 0) + 1;
    else this.runs.push(1);
    this.#rank = rank;
  }
}

/** Ends deliveries. */
export async function settleAll(
  context: Context,
  script: Script,
  settlements: readonly Settlement[],
  call: Call,
): Promise<readonly Settled[]> {
  call.signal?.throwIfAborted();
  const results: Settled[] = settlements.map(() => "settled");
  const batches: Endings[] = [];
  const open = new Map<string, Endings>();
  const heldIn = createTokenReader();
  const isRepeated = createRepeats(settlements);
  for (const [index, settlement] of settlements.entries()) {
    const { queue, token } = settlement;
    const held = heldIn(token, queue);
    // Of two endings of one delivery the first counts.
    if (held === undefined || isRepeated(index, held)) {
      results[index] = "stale";
      continue;
    }
    const batch = batchOf(batches, open, queue, held.kind, () => new Endings(queue, held.kind));
    batch.add(index, held);
    batch.follow(held.rank);
    batch.verbs.push(VERBS[settlement.to]);
    batch.extras.push(extraOf(settlement));
    if (settlement.to !== "done") batch.done = false;
  }
  await send(context, script, batches, endings, call, (index, result) => results[index] = result);
  return results;
}

/**
 * Tells whether a token came before, of settlements that are asked for one after another. While the entries of one
 * queue ascend, as those of most batches do, none did, and nothing is remembered.
 */
function createRepeats(settlements: readonly Settlement[]): (index: number, held: Held) => boolean {
  let last: Held | undefined;
  let queue: string | undefined;
  let seen: Set<string> | undefined;
  return (index, held) => {
    const settlement = settlements[index];
    if (settlement === undefined) return false;
    if (seen === undefined) {
      const ascends = last === undefined ||
        (settlement.queue === queue && (held.kind === "late") === (last.kind === "late") &&
          isBefore(last, held));
      last = held;
      queue = settlement.queue;
      if (ascends) return false;
      seen = new Set(settlements.slice(0, index).map(({ token }) => token));
    }
    if (seen.has(settlement.token)) return true;
    seen.add(settlement.token);
    return false;
  };
}

/** A list, or the one number that is all of it. */
function uniform(numbers: readonly number[]): Packable {
  const [first] = numbers;
  return numbers.every((number) => number === first) ? first : numbers;
}

function endings(batch: Endings, key: number): Packable {
  const { queue, consumers, entries, counts, owners, ids, done, verbs, extras, runs } = batch;
  return [
    key,
    partsOf(queue).topic ?? queue,
    consumers,
    batch.ranges(),
    entries,
    uniform(counts),
    uniform(owners),
    batch.kind === "covered" ? 0 : ids,
    done ? 0 : verbs,
    done ? 0 : extras,
    KINDS[batch.kind],
    done && runs.length * LONG <= entries.length ? runs : 0,
  ];
}

function extraOf(settlement: Settlement): Packable {
  if (!("meta" in settlement)) return 0;
  const { meta } = settlement;
  if (settlement.to === "again") return [meta, settlement.payload ?? 0, ...whenOf(settlement)];
  const { error, attempts } = toldBy(meta);
  return [meta, settlement.reason, error, attempts];
}

/** Fields for people that read the store with a client of their own; the core reads its metadata instead. */
function toldBy(meta: string): { readonly error: string; readonly attempts: string } {
  try {
    const { lastError, attempts } = JSON.parse(meta) as {
      lastError?: { message?: unknown };
      attempts?: unknown;
    };
    const message = lastError?.message;
    return {
      error: typeof message === "string" ? message : "",
      attempts: typeof attempts === "number" ? String(attempts) : "",
    };
  } catch {
    // Metadata is the core's, and need not be JSON.
    return { error: "", attempts: "" };
  }
}

class Moves extends Batch {
  readonly moves = new Map<
    string,
    { readonly ms: number; readonly idle: number; readonly numbers: number[] }
  >();
}

/** Moves the ends of leases. */
export async function extendAll(
  context: Context,
  script: Script,
  leases: readonly Extension[],
  call: Call,
): Promise<readonly Extended[]> {
  call.signal?.throwIfAborted();
  const results: Extended[] = leases.map(() => ({ state: "held" }));
  const batches: Moves[] = [];
  const open = new Map<string, Moves>();
  const heldIn = createTokenReader();
  for (const [index, lease] of leases.entries()) {
    const held = heldIn(lease.token, lease.queue);
    if (held === undefined) {
      results[index] = { state: "stale" };
      continue;
    }
    const batch = batchOf(batches, open, lease.queue, held.kind, () => new Moves(lease.queue, held.kind));
    const number = batch.add(index, held);
    const ms = Math.max(1, Math.ceil(lease.ms));
    const { consumer, idle } = placeFor(held, ms);
    const move = batch.moves.get(`${consumer} ${idle}`);
    if (move === undefined) batch.moves.set(`${consumer} ${idle}`, { ms, idle, numbers: [number] });
    else move.numbers.push(number);
  }
  await send(context, script, batches, moves, call, (index, result) => {
    results[index] = result === "stale" ? { state: "stale" } : result;
  });
  return results;
}

/** The consumer that is to hold an entry, and for how long it counts as idle already. */
function placeFor(
  { consumer, lease }: Held,
  ms: number,
): { readonly consumer: string; readonly idle: number } {
  if (ms <= lease) return { consumer, idle: lease - ms };
  return { consumer: consumerOf(consumer.slice(0, consumer.lastIndexOf(".")), ms), idle: 0 };
}

function moves(batch: Moves, key: number): Packable {
  const list: Packable[] = [];
  for (const [place, { ms, idle, numbers }] of batch.moves) {
    list.push([place.slice(0, place.lastIndexOf(" ")), idle, ms, numbers]);
  }
  return [
    key,
    batch.consumers,
    batch.ranges(),
    batch.entries,
    uniform(batch.counts),
    uniform(batch.owners),
    list,
    KINDS[batch.kind],
  ];
}
