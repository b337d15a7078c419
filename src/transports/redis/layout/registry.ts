/**
 * The set of all queues that ever held a job. It is in a slot of its own, so that it is written beside the scripts and
 * not in them: by the first push to a queue, and by the first reserve that gets something out of it.
 *
 * @module
 */

import type { Call } from "../../../jobs/exchange.ts";
import type { Runtime } from "../../../runtime.ts";
import { textOf } from "../client/driver.ts";
import type { Link } from "../client/link.ts";

/** Knows which queues are in the set. */
export interface Registry {
  /** Whether all these are in the set, as far as this client knows. */
  knows(queues: Iterable<string>): boolean;
  /** Puts queues into the set, or those of them that are not known to be in it; `anew`: all of them. */
  enter(queues: readonly string[], call: Call, anew?: boolean): Promise<void>;
  /** Has {@linkcode Registry.names} wait for work that may put queues into the set. */
  follow<T>(work: Promise<T>): Promise<T>;
  /** The queues in the set, sorted. */
  names(call: Call): Promise<readonly string[]>;
}

/** Names that are remembered at most. */
const MAX_KNOWN = 10_000;
/** Milliseconds for which they are: the set may be deleted, or a replica that takes over may not have all of it. */
const REMEMBERED = 60_000;

/** Makes a registry; `key` is the set's. */
export function createRegistry(link: Link, runtime: Runtime, key: string): Registry {
  const known = new Set<string>();
  let since = runtime.monotonic();
  const followed = new Set<Promise<unknown>>();
  return {
    knows(queues) {
      const now = runtime.monotonic();
      if (now - since >= REMEMBERED) {
        known.clear();
        since = now;
      }
      for (const queue of queues) if (!known.has(queue)) return false;
      return true;
    },
    async enter(queues, call, anew = false) {
      const names = anew ? queues : queues.filter((queue) => !known.has(queue));
      if (names.length === 0) return;
      try {
        await link.command(key, ["SADD", key, ...names], call);
        if (known.size + names.length > MAX_KNOWN) known.clear();
        for (const name of names) known.add(name);
      } catch {
        // The jobs are stored, as the call asked for; the next call enters the queue.
        for (const name of names) known.delete(name);
      }
    },
    follow(work) {
      const settled = work.then(() => {}, () => {}).then(() => void followed.delete(settled));
      followed.add(settled);
      return work;
    },
    async names(call) {
      await Promise.all(followed);
      const members = await link.command(key, ["SMEMBERS", key], call);
      return Array.isArray(members) ? members.map(textOf).sort() : [];
    },
  };
}
