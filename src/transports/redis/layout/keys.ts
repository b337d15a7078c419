/**
 * Names in Redis: where each part of a queue lives, and that all parts of one queue share a slot.
 *
 * @module
 */

import { partsOf } from "../../../names.ts";

/** The parts of a queue, and of a topic, by the ends of their keys. */
export interface Parts {
  /** Stream: jobs that wait or are reserved. */
  readonly waiting: string;
  /** Stream: jobs that are not due yet. */
  readonly delayed: string;
  /** Stream: jobs that were given up. */
  readonly failed: string;
  /** Stream: jobs that took too long, or lost too many leases. */
  readonly timeout: string;
  /** Sorted set: delayed jobs by due time. */
  readonly due: string;
  /** Hash: the entry of each live job by its id, but for those of `ranges`. */
  readonly ids: string;
  /** Sorted set: first and last id and entry of jobs that were added at once, with generated ids that ascend. */
  readonly ranges: string;
  /** Text: how many live jobs `ranges` covers. */
  readonly covered: string;
  /** Sorted set: callers' ids by the end of their windows. */
  readonly windows: string;
  /** Hash: the entries of dead jobs by their id. */
  readonly dead: string;
  /** Text: the earliest instant at which the queue needs maintenance. */
  readonly next: string;
  /** Text: the earliest instant at which a lease may end; so that due jobs are promoted without reading all leases. */
  readonly leases: string;
  /** Sorted set: clients that wait for a job. */
  readonly waiters: string;
  /** The beginning of the shard channels over which those clients are notified. */
  readonly bell: string;
  /** Set: the groups of a topic. */
  readonly groups: string;
  /** Text: the first group of a topic, while it is given the jobs that the topic held. */
  readonly heir: string;
  /** Hash: recurring jobs by their key. */
  readonly schedules: string;
  /** Sorted set: the keys of those that do not rest, by their next tick. */
  readonly ticks: string;
}

/** The parts as they are called unless told otherwise. */
export const PARTS: Parts = {
  waiting: "waiting",
  delayed: "delayed",
  failed: "failed",
  timeout: "timeout",
  due: "due",
  ids: "ids",
  ranges: "ranges",
  covered: "covered",
  windows: "windows",
  dead: "dead",
  next: "next",
  leases: "leases",
  waiters: "waiters",
  bell: "bell",
  groups: "groups",
  heir: "heir",
  schedules: "schedules",
  ticks: "ticks",
};

/** The parts of names in Redis. */
export interface Naming {
  /** The beginning of all keys, after a brace. */
  readonly prefix: string;
  /** The consumer group of the waiting streams. */
  readonly group: string;
  readonly parts: Parts;
}

/** Names keys. */
export interface Keys extends Naming {
  /** The set of all queues that ever held a job. */
  readonly queues: string;
  /** The set of all queues that ever had a recurring job. */
  readonly scheduled: string;
  /** The beginning of a queue's keys; the braces keep them in one slot of a Cluster, groups beside their topic. */
  base(queue: string): string;
  /** The key of a queue's part. */
  key(queue: string, part: keyof Parts): string;
}

/** Makes the names of a transport. */
export function createKeys(naming: Naming): Keys {
  const { prefix, parts } = naming;
  const known = new Map<string, string>();
  function base(queue: string): string {
    let found = known.get(queue);
    if (found === undefined) {
      const { topic = queue, group } = partsOf(queue);
      found = `{${prefix}:${escaped(topic)}}${group === undefined ? "" : `@${escaped(group)}`}:`;
      if (known.size >= MAX_KNOWN) known.clear();
      known.set(queue, found);
    }
    return found;
  }
  return {
    ...naming,
    queues: `${prefix}:queues`,
    scheduled: `${prefix}:scheduled`,
    base,
    key: (queue, part) => base(queue) + parts[part],
  };
}

/** A name without a colon, as a colon parts it from a prefix that may have some; no two names become one. */
function escaped(name: string): string {
  return name.replaceAll("%", "%25").replaceAll(":", "%3A");
}

/** Names that are remembered, as each costs more to make than to look up. */
const MAX_KNOWN = 10_000;
