/**
 * Room in the store. A server whose store is full refuses moves, too, and drops the schedules of delayed jobs that are
 * due just then. So the limits that can be known are checked while jobs are dispatched: the option `maxBytes` for a
 * queue's stream, and the account's limit. A dispatch is refused while less than a reserve is left, which moves may
 * use.
 *
 * @module
 */

import { TransportFull } from "../../../errors.ts";
import type { Link } from "../client/link.ts";
import type { Room } from "./context.ts";
import type { QueueStream } from "./queue_stream.ts";

/** Bytes of a limit that are used. */
interface Use {
  readonly used: number;
  readonly limit: number;
  /** The owner of the limit, in words. */
  readonly of: string;
}

/** An account, as the API tells it. */
interface Account {
  readonly storage: number;
  readonly memory: number;
  readonly limits?: Limits;
  readonly tiers?: Readonly<Record<string, Omit<Account, "tiers">>>;
}

interface Limits {
  readonly max_storage?: number;
  readonly max_memory?: number;
}

/** The result of the last check of a stream. */
interface Found {
  readonly at: number;
  readonly full: Use | undefined;
}

/** Milliseconds between two checks at most. */
const PAUSE = 1_000;
/** Milliseconds that a check may take. */
const PATIENCE = 1_000;
/** The part of a limit that dispatches leave to moves, and its bytes at least and at most. */
const PART = 1 / 20;
const LEAST = 64 * 1024;
const MOST = 64 * 1024 * 1024;

/** Makes the check for room. */
export function createRoom(link: Link): Room {
  const { runtime } = link.settings;
  const found = new Map<string, Found>();
  const looking = new Map<string, Promise<Found>>();

  async function look({ stream }: QueueStream, until: number): Promise<Found> {
    const soon = Math.min(until, runtime.monotonic() + PATIENCE);
    // A use that cannot be known, as the server does not answer or permits it not, keeps no dispatch from being tried.
    const unknown = (): undefined => undefined;
    const uses = await Promise.all([
      accountUse(link, soon).catch(unknown),
      streamUse(link, stream, soon).catch(unknown),
    ]);
    const full = uses.find((use) => use !== undefined && use.limit - use.used < reserveOf(use.limit));
    const result = { at: runtime.monotonic(), full };
    found.set(stream, result);
    return result;
  }

  function lookOnce(queueStream: QueueStream, until: number): Promise<Found> {
    const { stream } = queueStream;
    const under = looking.get(stream) ?? look(queueStream, until).finally(() => looking.delete(stream));
    looking.set(stream, under);
    return under;
  }

  return {
    check(queueStream, until) {
      const last = found.get(queueStream.stream);
      const isNew = last !== undefined && runtime.monotonic() < last.at + PAUSE;
      if (isNew && last.full === undefined) return undefined;
      return (isNew ? Promise.resolve(last) : lookOnce(queueStream, until)).then(({ full }) => {
        if (full !== undefined) throw tooFull(queueStream, full);
      });
    },
  };
}

function reserveOf(limit: number): number {
  return Math.min(MOST, Math.max(LEAST, limit * PART), limit / 2);
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
  const limit = (storage === "file" ? limits?.max_storage : limits?.max_memory) ?? -1;
  if (limit <= 0) return undefined;
  return { used: storage === "file" ? uses.storage : uses.memory, limit, of: "the account" };
}

async function streamUse(link: Link, stream: string, until: number): Promise<Use | undefined> {
  const { maxBytes } = link.settings;
  if (maxBytes === undefined) return undefined;
  const { state } = await link.api<{ readonly state: { readonly bytes: number } }>(
    `STREAM.INFO.${stream}`,
    undefined,
    until,
  );
  return { used: state.bytes, limit: maxBytes, of: `stream '${stream}' ('maxBytes')` };
}
