/**
 * The seam between one poll for jobs (a script, which never waits) and the waiting for them.
 *
 * @module
 */

import type { Call, Delivery, ReserveOptions } from "../../jobs/exchange.ts";

/** The state of a queue in which a poll found nothing. */
export interface Quiet {
  /**
   * The earliest instant at which the queue needs maintenance (a due time, a lease end), by the server's clock; else
   * Infinity.
   */
  readonly next: number;
  /** The newest entry of its waiting stream that was ever read for the group: later entries are fresh. */
  readonly seen: string;
}

/** The answer of one poll, which does not wait. */
export interface Attempt {
  readonly deliveries: readonly Delivery[];
  /**
   * Where it found nothing at all: one for each of the queues asked for, in their order, and this client is registered
   * among those that wait at each of them, if that was asked for. Empty where it found something.
   */
  readonly quiet: readonly Quiet[];
  /** Why a queue could not be used; deliveries of other queues are to be given back then. */
  readonly fault?: Error | undefined;
  /** The server's clock at that moment, in milliseconds since the epoch. */
  readonly now: number;
}

/** The questions of the waiting to the part that knows the keys. */
export interface Looks {
  /** One poll; `register`: where it finds nothing, this client is notified of jobs that come. */
  attempt(
    queues: readonly string[],
    options: Omit<ReserveOptions, "wait"> & { readonly register: boolean },
  ): Promise<Attempt>;
  /** The shard channel over which this client is notified of jobs of a queue. */
  bell(queue: string): string;
  /** The key of the waiting stream. */
  waiting(queue: string): string;
  /** The key with the earliest instant at which the queue needs maintenance: milliseconds since the epoch as text. */
  next(queue: string): string;
  /**
   * The clock of the server at which a queue lives, in milliseconds since the epoch; asked as by a write, which a
   * replica refuses.
   */
  clock(queue: string, call: Call): Promise<number>;
  /** Registers anew, so that the registration does not run out; by plain commands, as few as can be. */
  renew(queues: readonly string[], call: Call): Promise<void>;
  /** Removes this client from those that wait. */
  unregister(queues: readonly string[], call: Call): Promise<void>;
  /** Notifies another client, after a notification that this client cannot use. */
  pass(queue: string, call: Call): Promise<void>;
}

/** Milliseconds for which a registration counts; it is renewed after half of them. */
export const REGISTERED = 600_000;
