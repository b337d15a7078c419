/**
 * A queue's stream, as far as it is known and as the server tells it, and the calls on it.
 *
 * @module
 */

import type { PullState, QueueNames } from "./subjects.ts";

/** A time in which a store is full, on the monotonic clock. */
export interface FullStore {
  readonly since: number;
  /** Calls that move jobs in what room there is, and free it again: meanwhile it is left to them. */
  moving: number;
  /** Until then the room that there is belongs to moves, which free it again. */
  kept: number;
}

/** The kind of a call: it puts messages into a queue, or takes them from it. */
export type Kind = "put" | "take";

/** The calls under way on one queue. */
export type CallOrder = Readonly<Record<Kind, Promise<unknown>[]>>;

/** Whether a stream's store is full. */
export interface StoreState {
  /** A job could not be moved as the store was full, and since then there was no room for the stream's first message. */
  full: FullStore | undefined;
  /** When a move was last refused as the store was full, on the monotonic clock. */
  fullAt: number;
  /** When this process was last answered that it had stored a message of a job, or had not, on the monotonic clock. */
  wroteAt: number;
  /** Batches of which a part was stored, which the server counts as under way: their ids, each with a subject of its own. */
  readonly halves: Map<string, string>;
}

/** A queue's stream; that of its topic for a group's. */
export interface QueueStream extends QueueNames {
  readonly queue: string;
  /** The name of a job that says none: the queue's, or its topic's. */
  readonly rawName: string;
  /** The stream's leader, as `Elections` name it. */
  readonly leader: string;
  /** The durable consumer of each state. */
  readonly consumers: Readonly<Record<PullState, string>>;
  /** Servers that keep a copy. One of them leads: the others may lag behind it. */
  replicas: number;
  /** Milliseconds after which its server hands an unsettled job to another worker. */
  ackWait: number;
  /** Bytes that a message may have at most; Infinity: as many as the server accepts. */
  largest: number;
  /** Milliseconds for which the server remembers messages' ids. */
  window: number;
  /** When it was made, in milliseconds since the epoch; 0 until that is known. */
  created: number;
  /** The error of the next reserve: it was made anew, and the jobs that it held are gone. */
  replaced: Error | undefined;
  /** A call that waited was told that it, or a consumer, is gone; since it was last checked. */
  told: boolean;
  /** When it was last checked, on the monotonic clock. */
  checkedAt: number;
  /** When a message last came without its payload. */
  bareAt: number;
  /** The last number of each state that this process received. */
  readonly seen: Record<PullState, number>;
  /** Bytes of a job, as the last polls brought them; 0 before the first. */
  mean: number;
  /** Pulls that were ended while an answer may be on its way. */
  late: number;
  /** When it was last asked for the jobs that are there, on the monotonic clock. */
  askedAt: number;
  /** The minute up to which no delayed job is overdue; undefined until it is known. */
  checked: number | undefined;
  /** The store, as far as its stream goes: one for a topic's queue and those of its groups. */
  readonly store: StoreState;
  /**
   * Messages that this process let go where they lie, and how often each had been delivered by then. One that comes
   * with the next delivery was no worker's in between.
   */
  readonly letGo: Map<number, number>;
  /** It is to be made, or was to be and could not. */
  refused: boolean;
  /** Calls on it, in their order. */
  readonly order: CallOrder;
}

/** A stream, as the server has it. */
export interface StreamConfig {
  readonly name: string;
  readonly description?: string;
  readonly subjects?: readonly string[];
  readonly retention: string;
  readonly storage: string;
  readonly num_replicas: number;
  readonly max_age?: number;
  readonly max_msgs?: number;
  readonly max_bytes?: number;
  readonly allow_direct?: boolean;
  readonly allow_rollup_hdrs?: boolean;
  readonly allow_msg_ttl?: boolean;
  readonly allow_msg_schedules?: boolean;
  readonly allow_atomic?: boolean;
  readonly duplicate_window?: number;
  readonly max_msgs_per_subject?: number;
  readonly max_msg_size?: number;
  readonly no_ack?: boolean;
  readonly deny_delete?: boolean;
  readonly deny_purge?: boolean;
  readonly mirror?: { readonly name: string };
}

/** A stream and its state, as the server tells them. */
export interface StreamInfo {
  readonly config: StreamConfig;
  readonly created: string;
  /** When the server said so. */
  readonly ts: string;
  readonly state: {
    readonly messages: number;
    readonly bytes: number;
    readonly last_seq: number;
    /** Those of a filter, each with its messages. */
    readonly subjects?: Readonly<Record<string, number>>;
  };
  /** Of a stream with copies the servers that keep them. */
  readonly cluster?: {
    readonly replicas?: readonly {
      readonly name: string;
      readonly current: boolean;
      readonly offline?: boolean;
      readonly lag?: number;
    }[];
  };
}

/** The use of an account, and its limits, as the server tells them; -1 is no limit. */
export interface Account {
  readonly memory: number;
  readonly storage: number;
  readonly streams: number;
  readonly limits: {
    readonly max_memory: number;
    readonly max_storage: number;
    readonly max_streams: number;
  };
  /** Accounts with a limit for each number of copies have them here instead. */
  readonly tiers?: Readonly<Record<string, Account>>;
}

/**
 * Carries a call out once those of the other kind that were made on its queues before have ended: the server gets
 * messages, pulls and acknowledgements by different ways, so that one that was sent later may be carried out sooner.
 * Calls of one kind may overlap. `bounded` bounds the wait: when it rejects the call is not made.
 */
export function inOrder<T>(
  orders: Iterable<CallOrder>,
  kind: Kind,
  bounded: (before: Promise<unknown>) => Promise<unknown>,
  call: () => Promise<T>,
): Promise<T> {
  const all = [...orders];
  const before = all.flatMap((order) => order[kind === "put" ? "take" : "put"]);
  const running = before.length === 0 ? call() : bounded(Promise.allSettled(before)).then(call);
  for (const order of all) {
    const under = order[kind];
    under.push(running);
    const end = (): void => void under.splice(under.indexOf(running), 1);
    running.then(end, end);
  }
  return running;
}
