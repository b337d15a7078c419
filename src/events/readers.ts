/**
 * The queues that running workers of one relay read, so that a job which is dispatched to one that none of them reads
 * is told: in a first program that is a handler forgotten, or a queue's name misspelt.
 *
 * @module
 */

import { partsOf } from "../names.ts";

/** Which workers read which queues. */
export interface Readers {
  /** A worker begins to read the queues that `queues` gives; returns how to leave off. */
  join(queues: () => readonly string[]): () => void;
  /** The queues that workers read have changed. */
  changed(): void;
  /** Whether this is the first job of a queue that no running worker reads; never without a worker. */
  misses(queue: string): boolean;
}

/** Makes an empty list. */
export function createReaders(): Readers {
  const workers = new Set<() => readonly string[]>();
  /** Queues that were looked for since a worker or a handler came or went. */
  const read = new Set<string>();
  const told = new Set<string>();
  return {
    join(queues) {
      workers.add(queues);
      read.clear();
      return () => {
        workers.delete(queues);
        read.clear();
      };
    },
    changed: () => read.clear(),
    misses(queue) {
      if (workers.size === 0 || read.has(queue) || told.has(queue)) return false;
      const { topic, group } = partsOf(queue);
      const isRead = (other: string): boolean =>
        other === queue || (topic !== undefined && group === "" && partsOf(other).topic === topic);
      if ([...workers].some((queues) => queues().some(isRead))) {
        read.add(queue);
        return false;
      }
      told.add(queue);
      return true;
    },
  };
}

/** The error that tells of such a queue. */
export function errorOfUnread(queue: string): Error {
  const { topic } = partsOf(queue);
  const what = topic === undefined ? `Queue '${queue}' is` : `No group of topic '${topic}' is`;
  return new Error(
    `${what}${topic === undefined ? " not" : ""} read by a running worker of this relay: ` +
      "register a handler for its jobs here, unless another process does",
  );
}
