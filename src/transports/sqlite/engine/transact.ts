/**
 * One transaction for a group of calls, in their order.
 *
 * @module
 */

import type { Runtime } from "../../../runtime.ts";
import type { Connection } from "./connection.ts";
import { rollback } from "../model/schema.ts";
import type { Session } from "../context.ts";

/** A call on its way to the database. */
export interface Operation {
  /** Items that it carries. */
  readonly size: number;
  /** Whether it takes a transaction; reads do not, unless they come behind a write. */
  readonly writes: boolean;
  /** Whether it changes fewer rows, as `space.rows` says, when it is carried out again. */
  readonly narrows?: boolean;
  /** When it gives up waiting for a lock, on the monotonic clock. */
  readonly deadline: number;
  /** It was aborted and answered already. */
  readonly over: boolean;
  /** Whether it has anything to write; asked before a transaction is begun for it alone. */
  needed?(session: Session): boolean;
  /** What it comes to when nothing was needed. */
  idle?(session: Session): () => void;
  /** Whether it did its work in vain, and may not after what was done behind it. */
  hungry?(): boolean;
  /** Does it; what it returns is called once all is committed, and must not throw. */
  run(session: Session): () => void;
  fail(error: unknown): void;
}

/** How a transaction wakes calls that wait. */
export interface Wakes {
  /** The operations of those that may find a job now. */
  wake(session: Session): readonly Operation[];
  /** A group of operations was committed, or none. */
  rest(session: Session): void;
}

/** Where transactions happen. */
export interface Place {
  readonly connection: Connection;
  readonly runtime: Runtime;
  readonly waiting: Wakes;
}

const BEGIN = "BEGIN IMMEDIATE";
const COMMIT = "COMMIT";

/** Carries out a group; those of the calls that it woke are added to it. Throws when nothing was done. */
export function transact(place: Place, session: Session, group: Operation[]): void {
  begin(place, session);
  const writing = group.some((operation) => operation.writes && (operation.needed?.(session) ?? true));
  const ends = writing
    ? write(place, session, group)
    : group.map((operation) => operation.idle?.(session) ?? operation.run(session));
  for (const end of ends) end();
}

function begin({ runtime }: Place, session: Session): void {
  session.clear();
  session.now = Math.floor(runtime.now());
}

function write(place: Place, session: Session, group: Operation[]): readonly (() => void)[] {
  const { waiting } = place;
  const run = (operation: Operation): () => void => {
    // A reader in between sees the counters of the calls before.
    if (!operation.writes) session.flush();
    return operation.run(session);
  };
  // Prepared: to compile the two for each call took a twentieth of a lone push.
  session.statement(BEGIN).run();
  try {
    // The wait for the lock took time, and others may have committed in it.
    begin(place, session);
    // What they wrote is known only now.
    session.space.forget();
    session.space.cap(session);
    const ends = group.map(run);
    // A call that waits for the jobs just stored gets them in the same transaction.
    const woken = waiting.wake(session);
    const hungry = group.map((operation) => operation.hungry?.() ?? false);
    group.push(...woken);
    ends.push(...woken.map(run));
    // In the place of its first end: that would answer with nothing if the wait ran out during the commit, and leave
    // the jobs of the second reserved for no call.
    for (const [index, operation] of group.entries()) {
      if (hungry[index] === true) ends[index] = run(operation);
    }
    session.flush();
    session.statement(COMMIT).run();
    return ends;
  } catch (error) {
    rollback(session.database);
    session.undo();
    throw error;
  }
}
