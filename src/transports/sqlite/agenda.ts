/**
 * When something happens by itself in the queues that reserve calls wait for: a job is due, a lease ends.
 *
 * @module
 */

import { nextTime } from "./reserve.ts";
import type { Session } from "./session.ts";

/** Instants, by the wall clock. */
export interface Agenda {
  /** The first of all. */
  readonly next: number;
  /** Asks again for the queues in which something changed, and for those that are new. */
  refresh(session: Session, waiters: Iterable<{ readonly queues: readonly string[] }>): void;
  /** The queues whose time has come; they are asked for again. */
  take(now: number): ReadonlySet<string>;
  clear(): void;
}

/** Makes an empty agenda. */
export function createAgenda(): Agenda {
  const times = new Map<string, number>();
  const changed = new Set<string>();
  let next = Infinity;

  function findNext(): void {
    next = Infinity;
    for (const time of times.values()) next = Math.min(next, time);
  }

  return {
    get next(): number {
      return next;
    },
    refresh(session, waiters) {
      for (const queue of session.touched.keys()) changed.add(queue);
      for (const { queues } of waiters) {
        for (const queue of queues) {
          if (times.has(queue) && !changed.has(queue)) continue;
          times.set(queue, nextTime(session, queue) ?? Infinity);
          changed.delete(queue);
        }
      }
      for (const queue of changed) times.delete(queue);
      changed.clear();
      findNext();
    },
    take(now) {
      const due = new Set([...times].filter(([, time]) => time <= now).map(([queue]) => queue));
      for (const queue of due) times.delete(queue);
      findNext();
      return due;
    },
    clear() {
      times.clear();
      changed.clear();
      next = Infinity;
    },
  };
}
