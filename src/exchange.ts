/**
 * What crosses between the core and a transport: jobs on their way in, deliveries on their way out, settlements on
 * their way back, and what an operator sees. Values only; the verbs are in `transport.ts`.
 *
 * @module
 */

import type { Channel, DeadChannel } from "./job.ts";

/** What bounds one call. */
export interface Call {
  /** Ends the call early: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that the call may take from now, beside what `wait` grants it. */
  readonly deadline: number;
}

/** A job to be stored. */
export interface PushJob {
  readonly queue: string;
  readonly id: string;
  readonly name: string;
  /** Exactly the codec's bytes. */
  readonly payload: Uint8Array;
  /** The core's metadata, opaque to the transport. */
  readonly meta: string;
  /** Present when the caller chose the id: refuse it while live, and for so many milliseconds from now. */
  readonly idWindow?: number | undefined;
  /** Milliseconds from now by the broker's clock before it may run. */
  readonly delay?: number | undefined;
  /** The instant before which it may not run, in milliseconds since the epoch. Wins over `delay`. */
  readonly at?: number | undefined;
}

/** What became of one pushed job; `withheld`: fit to be stored, but its atomic batch was not. */
export type Pushed = "stored" | "duplicate" | "withheld" | Error;

/** One hand-over of a job to one worker. */
export interface Delivery {
  readonly queue: string;
  /** Names this delivery and no other, ever. */
  readonly token: string;
  readonly id: string;
  readonly name: string;
  readonly payload: Uint8Array;
  /** As pushed; empty for an entry that another program put in. */
  readonly meta: string;
  /** How many leases on this entry ran out before this delivery, since it was pushed, settled `again` or reloaded. */
  readonly lost: number;
  /** An operator reloaded it with a full life: attempts count from 1 again. */
  readonly reset: boolean;
  /** When it could first run, in milliseconds since the epoch by the broker's clock. */
  readonly due: number;
  /** Milliseconds of lease that were granted, from before this answer was sent. */
  readonly lease: number;
}

/** What to reserve. */
export interface ReserveOptions extends Call {
  /** At most so many deliveries, at least 1. */
  readonly limit: number;
  /** At most so many of them came back from lost leases; 0 and up. */
  readonly slots: number;
  /** Milliseconds until the deliveries may go to others, unless extended. */
  readonly lease: number;
  /** Milliseconds to wait for a first delivery; 0: answer with what is there. */
  readonly wait: number;
}

/** Names one delivery in a later call. */
export interface Held {
  readonly queue: string;
  readonly token: string;
}

/** A lease to be moved: it ends `ms` milliseconds from now. */
export interface Extension extends Held {
  readonly ms: number;
}

/** `stale`: the token is not that of the job's current delivery, and nothing was changed. */
export type Extended = { readonly state: "held" | "stale" } | Error;

/** How a delivery ends. `release` gives the job back as it was, at once, in front of its peers where the store can. */
export type Settlement =
  & Held
  & (
    | { readonly to: "done" | "release" }
    | {
      readonly to: "again";
      readonly meta: string;
      readonly payload?: Uint8Array | undefined;
      readonly delay?: number | undefined;
      readonly at?: number | undefined;
    }
    | { readonly to: DeadChannel; readonly meta: string; readonly reason: string }
  );

/** `stale`: as for {@linkcode Extended}. */
export type Settled = "settled" | "stale" | Error;

/** A job as an operator sees it. */
export interface Entry {
  readonly queue: string;
  readonly channel: Channel;
  readonly id: string;
  readonly name: string;
  /** The whole payload, or its first bytes where a preview was asked for. */
  readonly payload: Uint8Array;
  /** Bytes of the whole payload. */
  readonly size: number;
  readonly meta: string;
  readonly lost: number;
  readonly reset: boolean;
  /** Waiting and delayed: when due. Reserved: when the lease ends. Dead: when it died. Milliseconds since the epoch. */
  readonly time: number;
}

/** Which page of a listing: at most `limit` entries, payloads cut after `preview` bytes. */
export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly preview: number;
}

/** A page of a listing. */
export interface Page {
  readonly entries: readonly Entry[];
  /** Asks for the next page; absent on the last. Entries that come or go in between neither repeat nor hide others. */
  readonly cursor?: string;
}

/** Which jobs of a channel an operator means; `before`: that died before this instant (dead channels only). */
export type Selection =
  | "all"
  | { readonly ids: readonly string[] }
  | {
    readonly name?: string | undefined;
    readonly reason?: string | undefined;
    readonly before?: number | undefined;
  };

/** What became of a reload; `taken`: left dead, as a live job has the id. */
export interface Reloaded {
  readonly reloaded: number;
  readonly taken: number;
}
