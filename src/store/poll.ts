/**
 * The part that a store brings for reserve calls that wait: a poll that never waits, and its other needs.
 *
 * @module
 */

import type { Delivery, ReserveOptions } from "../jobs/exchange.ts";

/** The findings of a poll. */
export interface Found {
  readonly deliveries: readonly Delivery[];
  /** The store's clock, in milliseconds; of whatever epoch. */
  readonly now: number;
  /** When it was read, by the monotonic clock. Absent: it is read now. */
  readonly read?: number | undefined;
  /**
   * For each of the poll's queues, in their order: when a job is due or a lease ends in it, if nothing else is left in
   * it for such a poll (`Infinity`: never); absent where something may be left. Where there are no deliveries nothing
   * is left.
   */
  readonly next?: readonly (number | undefined)[] | undefined;
}

/** One look for jobs, which does not wait. */
export interface Poll {
  readonly queues: readonly string[];
  readonly options: ReserveOptions;
  /** Its call waits where nothing is found. */
  readonly waits: boolean;
  /** When its call ends, by the monotonic clock. */
  readonly until: number;
  /** No call wants its answer any more: nothing need be taken for it. */
  readonly over: boolean;
  /** One of its queues was notified since it began. */
  readonly missed: boolean;
  done(found: Found): void;
  failed(error: unknown): void;
}

/** Calls that sleep. */
export interface Slept {
  /** The queues that they wait for. */
  readonly queues: readonly string[];
  /** The least of their deadlines. */
  readonly deadline: number;
}

/** The work of a store for calls that wait; all but `poll` where it has the need. */
export interface WaitersStore {
  /** Begins a poll, and ends it by its `done` or `failed`, at once or later. */
  poll(poll: Poll): void;
  /** Gives back deliveries of a poll for a call that had ended. */
  giveBack?(deliveries: readonly Delivery[]): Promise<void>;
  /**
   * Looks, while a call waits, for changes that no notification tells of, and notifies it. A rejection ends the calls
   * that wait.
   */
  readonly check?: {
    /** Milliseconds from one check to the next. */
    every(): number;
    /** Check also whenever a call begins to wait. */
    readonly first?: boolean;
    run(slept: () => Slept): void | Promise<void>;
  };
  /** Queues are waited for from now on. */
  watch?(queues: readonly string[]): void;
  /** No call has waited for these queues for some seconds, or none will. */
  leave?(queues: readonly string[], closing: boolean): Promise<void>;
  /** Passes on a notification from another process, which counted on a poll from here. */
  pass?(queue: string): void;
}
