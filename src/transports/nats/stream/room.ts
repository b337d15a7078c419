/**
 * Room in the store. A server whose store is full refuses moves, too, and drops the schedules of delayed jobs that are
 * due just then. So the limits that can be known are checked while jobs are dispatched: the option `maxBytes` for a
 * queue's stream, and the account's limit. A dispatch is refused while less than a reserve is left, which moves may
 * use. Behind a refusal of a move, whichever limit it was, dispatches wait until there is room for the message that
 * each stream gives up for moves.
 *
 * @module
 */

import { TransportFull } from "../../../errors.ts";
import type { Link } from "../client/link.ts";
import type { Room, Sizes } from "./context.ts";
import { fullStill, restoreFront } from "./front.ts";
import type { Account, QueueStream } from "./queue_stream.ts";
import { streamInfo } from "./read.ts";

/** Bytes of a limit that are used. */
interface Use {
  readonly used: number;
  readonly limit: number;
  /** The owner of the limit, in words. */
  readonly of: string;
  /** Times that a message counts: an account's use counts each copy. */
  readonly copies: number;
}

/** The result of the last check of a stream. */
interface Found {
  readonly at: number;
  readonly uses: readonly Use[];
  /** Bytes of the messages that this process has stored since. */
  stored: number;
}

/** Milliseconds between two checks at most. */
const PAUSE = 1_000;
/** Milliseconds that a check may take. */
const PATIENCE = 1_000;
/** Milliseconds for which a dispatch waits for moves that a full store leaves room to, at most. */
const LONGEST = 3_000;
/** Milliseconds until it is checked again whether moves have ended. */
const MOVING = 50;
/** The part of a limit that dispatches leave to moves, and its bytes at least and at most. */
const PART = 1 / 20;
const LEAST = 64 * 1024;
const MOST = 64 * 1024 * 1024;

/** Makes the check for room. */
export function createRoom(link: Link): Room {
  const { runtime } = link.settings;
  const found = new Map<string, Found>();
  const looking = new Map<string, Promise<Found>>();
  const whenNotFull = createFullWait(link);
  /** Bytes of the largest message of each stream: as much must be left to store it anew. */
  const largest = new Map<string, number>();

  async function look({ stream }: QueueStream, until: number): Promise<Found> {
    const soon = Math.min(until, runtime.monotonic() + PATIENCE);
    // A use that cannot be known, as the server does not answer or permits it not, keeps no dispatch from being tried.
    const unknown = (): undefined => undefined;
    const uses = await Promise.all([
      accountUse(link, soon).catch(unknown),
      streamUse(link, stream, soon).catch(unknown),
    ]);
    const result = { at: runtime.monotonic(), uses: uses.filter((use) => use !== undefined), stored: 0 };
    found.set(stream, result);
    return result;
  }

  function lookOnce(queueStream: QueueStream, until: number): Promise<Found> {
    const { stream } = queueStream;
    const under = looking.get(stream) ?? look(queueStream, until).finally(() => looking.delete(stream));
    looking.set(stream, under);
    return under;
  }

  /** Counts messages; the limit that has no room for them, where that part of the reserve is to be left. */
  function count({ stream }: QueueStream, last: Found, bytes: number, part: number): Use | undefined {
    const most = largest.get(stream) ?? 0;
    const full = last.uses.find(({ used, limit, copies }) =>
      limit - used - copies * (last.stored + bytes) < part * reserveOf(limit, copies * most)
    );
    if (full === undefined) last.stored += bytes;
    return full;
  }

  /** The last look, unless it is too old. */
  function known({ stream }: QueueStream): Found | undefined {
    const last = found.get(stream);
    return last !== undefined && runtime.monotonic() < last.at + PAUSE ? last : undefined;
  }

  function check(queueStream: QueueStream, sizes: Sizes, until: number): Promise<void> | undefined {
    const { stream } = queueStream;
    if (queueStream.store.full !== undefined) {
      return whenNotFull(queueStream, until).then(() => check(queueStream, sizes, until));
    }
    largest.set(stream, Math.max(sizes.largest, largest.get(stream) ?? 0));
    const last = known(queueStream);
    const full = last === undefined ? undefined : count(queueStream, last, sizes.all, 1);
    if (full !== undefined) return Promise.reject(tooFull(queueStream, full));
    if (last !== undefined) return undefined;
    return lookOnce(queueStream, until).then((next) => {
      const none = count(queueStream, next, sizes.all, 1);
      if (none !== undefined) throw tooFull(queueStream, none);
    });
  }

  return {
    check,
    async growth(queueStream, until) {
      const last = known(queueStream) ?? await lookOnce(queueStream, until);
      return (bytes) => count(queueStream, last, bytes, 1 / 2) === undefined;
    },
  };
}

/** Makes the wait until moves need what room a full store has no more; it rejects where the store is full still. */
function createFullWait(link: Link): (queueStream: QueueStream, until: number) => Promise<void> {
  const { runtime } = link.settings;
  const restoring = new Map<string, Promise<void>>();
  return async (queueStream, until) => {
    const { stream } = queueStream;
    const end = Math.min(until, runtime.monotonic() + LONGEST);
    const rest = (): number =>
      Math.min(keptUntil(queueStream, runtime.monotonic()), end) - runtime.monotonic();
    // Moves may be refused once more meanwhile. A timer cuts off the fraction of a millisecond.
    while (rest() > 0) await link.elections.rest(Math.ceil(rest()) + 1);
    const soon = Math.min(until, runtime.monotonic() + PATIENCE);
    const under = restoring.get(stream) ??
      restoreFront(link, queueStream, soon).finally(() => restoring.delete(stream));
    restoring.set(stream, under);
    await under;
    if (queueStream.store.full !== undefined) throw fullStill(queueStream);
  };
}

/** Until when the room is left to moves, as far as that is known. */
function keptUntil({ store: { full } }: QueueStream, now: number): number {
  if (full === undefined) return now;
  return full.moving > 0 ? Math.max(full.kept, now + MOVING) : full.kept;
}

/** Bytes that are left to moves: two of the largest messages at least, as far as half of the limit goes. */
function reserveOf(limit: number, largest: number): number {
  return Math.min(Math.max(MOST, 2 * largest), Math.max(LEAST, limit * PART, 2 * largest), limit / 2);
}

function tooFull({ queue }: QueueStream, { used, limit, of }: Use): TransportFull {
  return new TransportFull(
    `Cannot push jobs to queue '${queue}' as ${of} has less than its reserve left: ${used} of ${limit} bytes are used`,
  );
}

async function accountUse(link: Link, until: number): Promise<Use | undefined> {
  const { replicas, storage } = link.settings;
  const account = await link.api<Account>("INFO", undefined, until);
  const { limits, ...uses } = account.tiers?.[`R${replicas}`] ?? account;
  const [used, limit] = storage === "file"
    ? [uses.storage, limits.max_storage]
    : [uses.memory, limits.max_memory];
  return limit > 0 ? { used, limit, of: "the account", copies: replicas } : undefined;
}

async function streamUse(link: Link, stream: string, until: number): Promise<Use | undefined> {
  const { maxBytes } = link.settings;
  if (maxBytes === undefined) return undefined;
  const { state } = await streamInfo(link, stream, until);
  return { used: state.bytes, limit: maxBytes, of: `stream '${stream}' ('maxBytes')`, copies: 1 };
}
