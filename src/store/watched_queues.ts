/**
 * Queues for which reserve calls wait, and the state of each. This outlives the single call, so that a worker that
 * asks every second costs nothing while nothing changes. Lists of queues are kept, too: a worker names the same ones in
 * turn, and none of a thousand is so much as looked up until something happens in it.
 *
 * @module
 */

/** How far a queue was found empty: of nothing, of fresh jobs, or also of those that came back from lost leases. */
export type Emptiness = 0 | 1 | 2;

/** A reserve call that waits. */
export interface Waiting {
  /** Waiters of a lower number have waited for longer. */
  readonly number: number;
  /** The state that it must have found before it sleeps. */
  readonly level: 1 | 2;
  /** It sleeps until one of its queues is notified. */
  asleep: boolean;
}

/** A queue that is waited for. */
export interface WatchedQueue<W extends Waiting> {
  readonly queue: string;
  /** Since the last change; its lists know of it, too. */
  empty: Emptiness;
  /** When a job is due or a lease ends, by the store's clock, as far as is known. */
  next: number;
  /** As {@linkcode Timed.noted}. */
  noted: number;
  /** Notifications since ever, so that a poll knows of those during it. */
  changes: number;
  /** Polls under way. */
  polls: number;
  /** Another process counts on a poll from here. */
  called: boolean;
  readonly lists: Set<QueueList<W>>;
}

/** Queues that one call after another names, in an order that only turns. */
export interface QueueList<W extends Waiting> {
  readonly places: ReadonlyMap<string, number>;
  readonly queues: readonly WatchedQueue<W>[];
  /** Those that may hold a job. */
  readonly open: Set<WatchedQueue<W>>;
  /** In the order in which they came. */
  readonly waiters: Set<W>;
  /** When the last waiter left, by the monotonic clock. */
  left: number;
}

/** All queues that are waited for, by their names. */
export type WatchedQueues<W extends Waiting> = Map<string, WatchedQueue<W>>;

/** The list of these queues, and where in it the call begins; undefined where it is not known. */
export function findList<W extends Waiting>(
  watched: WatchedQueues<W>,
  queues: readonly string[],
): { readonly list: QueueList<W>; readonly first: number } | undefined {
  const name = queues[0] ?? "";
  for (const list of watched.get(name)?.lists ?? []) {
    const first = list.places.get(name) ?? 0;
    if (isTurned(list.queues, queues, first)) return { list, first };
  }
  return undefined;
}

function isTurned<W extends Waiting>(
  known: readonly WatchedQueue<W>[],
  queues: readonly string[],
  first: number,
): boolean {
  if (known.length !== queues.length) return false;
  let at = first;
  for (const queue of queues) {
    if (known[at]?.queue !== queue) return false;
    if (++at === known.length) at = 0;
  }
  return true;
}

/** Keeps a list; the names that are new, which nothing is known of, are answered. Each name stands in it once. */
export function keepList<W extends Waiting>(
  watched: WatchedQueues<W>,
  names: readonly string[],
  now: number,
): { readonly list: QueueList<W>; readonly fresh: readonly string[] } {
  const fresh: string[] = [];
  const queues = names.map((queue) => {
    const known = watched.get(queue);
    if (known !== undefined) return known;
    const made: WatchedQueue<W> = {
      queue,
      empty: 0,
      next: Infinity,
      noted: Infinity,
      changes: 0,
      polls: 0,
      called: false,
      lists: new Set(),
    };
    watched.set(queue, made);
    fresh.push(queue);
    return made;
  });
  const list: QueueList<W> = {
    places: new Map(names.map((queue, place) => [queue, place])),
    queues,
    open: new Set(queues.filter(({ empty }) => empty < 2)),
    waiters: new Set(),
    left: now,
  };
  for (const { lists } of queues) lists.add(list);
  return { list, fresh };
}

/** Drops the lists in which no call has waited since then; answers the queues that are in none any more. */
export function dropLists<W extends Waiting>(watched: WatchedQueues<W>, since: number): WatchedQueue<W>[] {
  const dropped: WatchedQueue<W>[] = [];
  for (const each of watched.values()) {
    for (const list of each.lists) {
      if (list.waiters.size === 0 && list.left <= since) each.lists.delete(list);
    }
    if (each.lists.size > 0) continue;
    watched.delete(each.queue);
    dropped.push(each);
  }
  return dropped;
}

/** Notes how far a queue was found empty. */
export function setEmpty<W extends Waiting>(queue: WatchedQueue<W>, empty: Emptiness): void {
  if (queue.empty === empty) return;
  queue.empty = empty;
  for (const { open } of queue.lists) {
    if (empty === 2) open.delete(queue);
    else open.add(queue);
  }
}

/** Something may have come. */
export function change<W extends Waiting>(queue: WatchedQueue<W>): void {
  queue.changes++;
  setEmpty(queue, 0);
}

/** Those of a list's queues that a waiter must look at, in the order of its call. */
export function openFor<W extends Waiting>(
  { open, places, queues: { length } }: QueueList<W>,
  first: number,
  level: 1 | 2,
): WatchedQueue<W>[] {
  const found: WatchedQueue<W>[] = [];
  if (open.size === 0) return found;
  for (const queue of open) if (queue.empty < level) found.push(queue);
  if (found.length < 2) return found;
  const placeOf = ({ queue }: WatchedQueue<W>): number =>
    ((places.get(queue) ?? 0) - first + length) % length;
  return found.sort((a, b) => placeOf(a) - placeOf(b));
}

/** Of the waiters that sleep and may find something here the one that has waited longest. */
export function firstAsleep<W extends Waiting>(
  { empty: known, lists }: WatchedQueue<W>,
  empty: Emptiness = known,
): W | undefined {
  let first: W | undefined;
  for (const { waiters } of lists) {
    for (const waiter of waiters) {
      if (!waiter.asleep || waiter.level <= empty) continue;
      if (first === undefined || waiter.number < first.number) first = waiter;
      break;
    }
  }
  return first;
}

/** Whether any call waits for a queue. */
export function isAwaited<W extends Waiting>({ lists }: WatchedQueue<W>): boolean {
  for (const { waiters } of lists) if (waiters.size > 0) return true;
  return false;
}
