/**
 * The contract between the core and a broker or store: the verbs that a transport has for jobs, and the decisions that
 * it never makes.
 *
 * The core decides, the transport stores. A transport keeps `payload` and `meta` byte for byte, judges due times and
 * leases by one clock, counts lost leases, and knows no policy. Calls are batches that may mix queues, so that one
 * round trip (one transaction, one blocking read) serves all queues of a worker; the items of a batch share the trip
 * but no fate. Calls are carried out in the order in which they were made.
 *
 * @module
 */

import type { Diagnosis } from "./diagnosis.ts";
import type {
  Call,
  Delivery,
  Entry,
  Extended,
  Extension,
  Page,
  PageRequest,
  Pushed,
  PushJob,
  Reloaded,
  ReserveOptions,
  Selection,
  Settled,
  Settlement,
} from "../jobs/exchange.ts";
import type { Channel, DeadChannel, QueueInfo } from "../jobs/job.ts";
import type { Schedules } from "./recurring.ts";

/** The abilities of a transport beyond the structure that is visible here. */
export interface Features {
  /** Stored jobs outlive the process. */
  readonly durable: boolean;
  /** Several processes see the same jobs. */
  readonly shared: boolean;
  /** A stale settle or extend never changes anything; otherwise the adapter refuses by its own clock. */
  readonly exactFence: boolean;
  /**
   * `info` is exact at any moment, and a reserve finds all that is there; otherwise so at rest: a job that was stored a moment
   * before may be counted late, and be handed over by the next reserve.
   */
  readonly exactInfo: boolean;
  /** `push` knows `atomic`. */
  readonly atomicPush: boolean;
  /** A server keeps the jobs: it works while this process does, so that a worker may ask ahead of what it handles. */
  readonly remote: boolean;
  /** Whose clock judges due times and leases. */
  readonly clock: "process" | "machine" | "server";
  /** A caller's id is refused while a job with it is live. */
  readonly idLive: boolean;
  /** A caller's id is refused for its `idWindow`. */
  readonly idWindow: boolean;
  /** The broker delivers failed jobs again: the core settles a failed run with a `failure`, and retries nothing. */
  readonly handlesRetries?: boolean;
}

/** An ability: a feature that may be `false`, or a part of the contract that may be absent. */
export type TransportAbility =
  | { [Feature in keyof Features]-?: Features[Feature] extends boolean ? Feature : never }[keyof Features]
  | "topics"
  | "schedules"
  | "transactions";

/** Why each ability is missing, as a clause: "jobs are in the memory of this process". */
export type Lacks = Readonly<Partial<Record<TransportAbility, string>>>;

/** The limits of a transport. */
export interface Limits {
  /** Bytes of payload and metadata together. */
  readonly payload: number;
  /** Items of one batch. */
  readonly bulk: number;
  /**
   * Messages of one atomic batch, where they are fewer: all of one queue or topic, a copy for each of its groups
   * counted. More are refused with an `AtomicLimitError`, and nothing is stored.
   */
  readonly atomic?: number;
  /** Bytes of a queue's or a job's name. */
  readonly name: number;
}

/** The ability to push and settle inside a transaction that the caller began and will end on a handle of its own. */
export interface Transactions {
  /** As {@linkcode Transport.push}; the jobs are there once the transaction commits, and never if it does not. */
  push(
    transaction: object,
    jobs: readonly PushJob[],
    call: Call & { readonly atomic?: boolean },
  ): Promise<readonly Pushed[]>;
  /** As {@linkcode Transport.settle}; true once the transaction commits. */
  settle(transaction: object, settlements: readonly Settlement[], call: Call): Promise<readonly Settled[]>;
}

/**
 * The ability to fan out. A topic is a queue whose name ends in `@`: a job that is pushed to `orders@` goes, as a copy
 * each, to the queue `orders@<group>` of every group that is bound, all or none; while none is, it waits in `orders@`
 * itself. A reserve from there is refused with a `TypeError`. A group's queue is a queue like any other, and outlives
 * its binding. An id is taken while it is live in `orders@` or in a bound group's queue; its window is kept with
 * `orders@`, wherever its job goes. An entry that another program put in has the topic's name as its name.
 */
export interface Topics {
  /**
   * Binds a group from the next push on; once more is no error, as each worker does so that starts or reconnects. The
   * first group of a topic that has none gets whatever waits in it, in its order.
   */
  bind(topic: string, group: string, call: Call): Promise<void>;
  /** Ends a binding; the jobs of the group's queue stay there. False when there was none. */
  unbind(topic: string, group: string, call: Call): Promise<boolean>;
  /** The groups that are bound, sorted by name. */
  groups(topic: string, call: Call): Promise<readonly string[]>;
}

/**
 * An adapter to a broker or store. Disposing of it ends every call under way with `TransportClosed`. The core counts the
 * relays on it, and disposes of it with the last: a copy with some calls replaced, as `{ ...transport, push }`, is the
 * same transport, and one with a function of its own to dispose of it is another.
 */
export interface Transport extends AsyncDisposable {
  /** Its name in events and errors; no part of a URL that may hold a credential. */
  readonly name: string;
  /** The same for as long as it lives. */
  readonly features: Features;
  /** Why it has not what its features deny, or the contract lets it leave out. */
  readonly lacks?: Lacks | undefined;
  /** The same for as long as it lives, but for the limits that a server tells when it is first reached. */
  readonly limits: Limits;
  /** Runs of a job in all where neither it nor the worker says. Default: the core's. */
  readonly maxAttempts?: number | undefined;
  /** Stores jobs; `atomic`: all or, when one is refused, none. */
  push(jobs: readonly PushJob[], call: Call & { readonly atomic?: boolean }): Promise<readonly Pushed[]>;
  /**
   * Takes due jobs of the queues, the first named first. Reclaims lost leases and promotes due jobs on the way, in
   * bounded pages. Waits for a push, the next due time, the next lease end, or until `wait` is over (an empty answer).
   * When aborted it rejects with the reason and releases whatever the broker still hands over.
   */
  reserve(queues: readonly string[], options: ReserveOptions): Promise<readonly Delivery[]>;
  /** Moves the ends of leases, one answer for each; a stale one changes nothing. */
  extend(leases: readonly Extension[], call: Call): Promise<readonly Extended[]>;
  /** Ends deliveries, one answer for each; a stale one changes nothing. */
  settle(settlements: readonly Settlement[], call: Call): Promise<readonly Settled[]>;
  /** Counts per channel; all 0 for a queue that never held a job. */
  info(queue: string, call: Call): Promise<QueueInfo>;
  /** The queues that hold a job or a schedule, or held a job since the store was made, sorted by name. */
  queues(call: Call): Promise<readonly string[]>;
  /** Dead channels: newest first. Others: the next to run first. */
  list(
    queue: string,
    channel: Channel,
    page: PageRequest,
    call: Call,
  ): Promise<Page>;
  /** The live job of each id, else its newest dead one. */
  get(queue: string, ids: readonly string[], call: Call): Promise<readonly (Entry | undefined)[]>;
  /** Dead to waiting, oldest first, lost counted from 0; `reset` marks them for a full life. */
  reload(
    queue: string,
    channel: DeadChannel,
    select: Selection,
    call: Call & { readonly reset: boolean },
  ): Promise<Reloaded>;
  /**
   * Removes jobs of one channel for good and frees their ids once `idWindow` is over; how many. Reserved ones:
   * their deliveries become stale.
   */
  remove(queue: string, channel: Channel, select: Selection, call: Call): Promise<number>;
  /**
   * Present where queues give nothing before they are subscribed: subscribes these, and the topics of groups among
   * them, or none. A reserve and a `bind` do so by themselves; a worker begins with this, and ends if it rejects.
   */
  subscribe?(queues: readonly string[], call: Call): Promise<void>;
  /**
   * Present where the store can be looked at for causes of lost or refused jobs. A thing that the store does not let
   * this connection see is a finding of its own, and no reason to reject. Changes nothing, and costs a few round trips.
   */
  diagnose?(call: Call): Promise<Diagnosis>;
  /** Present where jobs can be fanned out. */
  readonly topics?: Topics;
  /** Present where recurring jobs can be stored. */
  readonly schedules?: Schedules;
  /** Present where a caller's transaction can be joined. */
  readonly transactions?: Transactions;
}
