/**
 * A job: its channels, the record that travels with it, and how that record is written (format `v: 1`).
 *
 * @module
 */

import type { BackoffPolicy } from "./backoff.ts";

/** Where a job is. An open set: later versions may add to it. */
export type Channel = "waiting" | "delayed" | "reserved" | "failed" | "timeout";

/** Where a job rests until an operator reloads or removes it. */
export type DeadChannel = "failed" | "timeout";

/** Every channel, in the order of a job's life. */
export const CHANNELS: readonly Channel[] = ["waiting", "delayed", "reserved", "failed", "timeout"];

/** The channels that hold dead jobs. */
export const DEAD_CHANNELS: readonly DeadChannel[] = ["failed", "timeout"];

/** Whether a channel holds dead jobs. */
export function isDead(channel: Channel): channel is DeadChannel {
  return channel === "failed" || channel === "timeout";
}

/** The format of the record that this version writes. */
export const RECORD_VERSION = 1;

/** Why a job is dead. An open set: `deadLetter({ reason })` may name others. */
export type DeadReason =
  | "exhausted"
  | "timeout"
  | "lost"
  | "undecodable"
  | "invalid"
  | "unknown"
  | "refused"
  | "returned"
  | "reschedule"
  | "version"
  | "outcome";

/** An error as it is stored with a job: text only, cut to {@linkcode MAX_ERROR_TEXT}, or to its store's limit. */
export interface ErrorRecord {
  /** The error's class, as `Error.name` says it; at most 256 bytes. */
  readonly name: string;
  /** At most 8 KiB. */
  readonly message: string;
  /** At most 8 KiB; absent where the error had none. */
  readonly stack?: string;
  /** The error's `code`, where it had one that is a text or a number; at most 256 bytes. */
  readonly code?: string;
}

/** How a job died. */
export interface Death {
  /** Where the job went. */
  readonly channel: DeadChannel;
  /** A {@linkcode DeadReason}, or the word that the handler gave to `deadLetter`. */
  readonly reason: string;
  /** When, in milliseconds since the epoch by the clock of the worker that gave it up. */
  readonly at: number;
  /** How many of its leases had been lost. */
  readonly lost: number;
}

/** The metadata that the core keeps beside a payload. Unknown fields survive `again`, dead channels and reloads. */
export interface Meta {
  readonly v: number;
  /** The codec that wrote the payload; `json` when absent. */
  readonly codec?: string;
  /** The version of the payload; 1 when absent. */
  readonly version?: number;
  /** When it was dispatched, in milliseconds since the epoch by the dispatcher's clock. */
  readonly createdAt?: number;
  /** When its record was last written anew, by the clock of the worker that did; of a dead job `dead.at` says it. */
  readonly updatedAt?: number;
  /** Runs that counted so far; 0 when absent. */
  readonly attempts?: number;
  /** Leases lost before the job was last stored anew; 0 when absent. */
  readonly lost?: number;
  readonly maxAttempts?: number;
  readonly timeout?: number;
  readonly backoff?: BackoffPolicy;
  /** The last retry's delay, which a policy may grow from. */
  readonly lastDelay?: number;
  readonly requestId?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Its texts may be encrypted: `sealed` holds them then, see `sealing.ts`. */
  readonly lastError?: ErrorRecord;
  /** Since when workers without a handler for its name have been handing it back, in milliseconds since the epoch. */
  readonly unknownSince?: number;
  readonly dead?: Death;
  /** The key of the schedule that pushed it. */
  readonly schedule?: string;
  /** The tick that it was pushed for, in milliseconds since the epoch; absent for one that was pushed by hand. */
  readonly tick?: number;
  /** Names of the listeners that finished and are not to run again, where the handler has `remember`. */
  readonly finished?: readonly string[];
}

/** A job as handlers, events and operators see it. */
export interface Job {
  /** Unique among the live jobs of its queue; the caller's, or a generated one. */
  readonly id: string;
  /** Which definition it belongs to. */
  readonly name: string;
  /** Where it was stored. */
  readonly queue: string;
  /** Runs that counted before this one: 0 at the first. */
  readonly attempts: number;
  /** Leases that were lost on it. */
  readonly lost: number;
  /** When it was dispatched, in milliseconds since the epoch; when it was due where the dispatcher did not say. */
  readonly createdAt: number;
  /** When it could first run, in milliseconds since the epoch. */
  readonly due: number;
  /** The request that caused it; the job's own id where no caller said. */
  readonly requestId: string;
  /** Texts given at dispatch; empty where none were. */
  readonly headers: Readonly<Record<string, string>>;
  /** The id of the codec that wrote the payload; `json` for entries of other programs. */
  readonly codec: string;
  /** The version of the stored payload; 1 where its record names none. */
  readonly version: number;
  /** Runs in all, if the dispatch said so; absent: the definition or the worker decides. */
  readonly maxAttempts?: number;
  /** Milliseconds for one run, if the dispatch said so; absent: the definition decides. */
  readonly timeout?: number;
  /** The delay before further runs, if the dispatch said so; absent: the definition or the worker decides. */
  readonly backoff?: BackoffPolicy;
  /** The key of the schedule that pushed it; absent for a job that was dispatched. */
  readonly schedule?: string;
  /**
   * The tick of that schedule that it stands for, in milliseconds since the epoch; absent for one that `run` pushed.
   */
  readonly tick?: number;
  /** The error of the last failed run; absent before the first failure and after a reschedule. */
  readonly lastError?: ErrorRecord;
}

/** A job at rest, as `list` and `get` show it. */
export interface StoredJob extends Job {
  /** Where it was when the transport was asked. */
  readonly channel: Channel;
  /** The stored bytes; in a listing only the first of them. */
  readonly payload: Uint8Array;
  /** Bytes of the whole payload. */
  readonly size: number;
  /**
   * When its record was last written: by its dispatch, or by the worker that retried, rescheduled or buried it; in
   * milliseconds since the epoch (seed 004).
   */
  readonly updatedAt: number;
  /** Reserved: when its lease ends, in milliseconds since the epoch. */
  readonly leasedUntil?: number;
  /** Why and when it died; present in dead channels. */
  readonly dead?: Death;
}

/** How many jobs of a queue are in each channel. */
export interface QueueInfo {
  /** Due and not reserved. */
  readonly waiting: number;
  /** Not yet due. */
  readonly delayed: number;
  /** Handed over, not settled yet. */
  readonly reserved: number;
  /** Dead, and not for want of time. */
  readonly failed: number;
  /** Dead as the last run took too long, or as too many leases were lost. */
  readonly timeout: number;
  /** Milliseconds since the oldest waiting job was due; absent when none waits. */
  readonly oldest?: number;
}
