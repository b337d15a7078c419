/**
 * What a job is: its channels, the record that travels with it, and how that record is written (format `v: 1`).
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
  | "reschedule";

/** An error as it is stored with a job: text only, cut to {@linkcode MAX_ERROR_TEXT}. */
export interface ErrorRecord {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: string;
}

/** How a job died. */
export interface Death {
  readonly channel: DeadChannel;
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
  /** When it was dispatched, in milliseconds since the epoch by the dispatcher's clock. */
  readonly createdAt?: number;
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
  readonly lastError?: ErrorRecord;
  /** Since when workers without a handler for its name have been handing it back, in milliseconds since the epoch. */
  readonly unknownSince?: number;
  readonly dead?: Death;
}

/** A job as handlers, events and operators see it. */
export interface Job {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  /** Runs that counted before this one: 0 at the first. */
  readonly attempts: number;
  /** Leases that were lost on it. */
  readonly lost: number;
  /** When it was dispatched, in milliseconds since the epoch; when it was due where the dispatcher did not say. */
  readonly createdAt: number;
  /** When it could first run, in milliseconds since the epoch. */
  readonly due: number;
  readonly requestId: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly codec: string;
  readonly maxAttempts?: number;
  readonly timeout?: number;
  readonly backoff?: BackoffPolicy;
  readonly lastError?: ErrorRecord;
}

/** A job at rest, as `list` and `get` show it. */
export interface StoredJob extends Job {
  readonly channel: Channel;
  /** The stored bytes; in a listing only the first of them. */
  readonly payload: Uint8Array;
  /** Bytes of the whole payload. */
  readonly size: number;
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
  /** Handed over, settled by nobody yet. */
  readonly reserved: number;
  readonly failed: number;
  readonly timeout: number;
  /** Milliseconds since the oldest waiting job was due; absent when none waits. */
  readonly oldest?: number;
}
