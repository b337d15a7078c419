/**
 * The context of a transport: the parts that its calls share.
 *
 * @module
 */

import type { StreamCall } from "./read.ts";
import type { Alarms } from "../../../flow/alarms.ts";
import type { ReserveOptions } from "../../../jobs/exchange.ts";
import type { Link } from "../client/link.ts";
import type { Part, Receipt } from "./publish.ts";
import type { QueueStream } from "./queue_stream.ts";
import type { Received } from "./received.ts";
import type { PullState } from "./subjects.ts";

/** Tells the server's time. */
export interface ServerClock {
  /** Milliseconds since the epoch; not ahead of the server's. */
  now(): number;
  /** The same, and not behind the server's: a delay that begins there is not over early. */
  latest(): number;
  /**
   * Sets the clock by the instant in an answer which has just come to a message that was sent at that time (on the
   * monotonic clock), if the clock was not read on this connection.
   */
  tell(instant: string, sentAt: number): void;
  /** Reads it anew, if that was long ago. */
  renew(stream: { readonly stream: string }, until: number): Promise<void>;
}

/** Finds and makes queues' streams. */
export interface QueueStreams {
  /** The stream of a queue, whether it is there or not. */
  of(queue: string): QueueStream;
  /** The stream of a queue, made when missing. */
  make(queue: string, until: number): Promise<QueueStream>;
  /** The stream of a queue, unless there is none. */
  find(queue: string, until: number): Promise<QueueStream | undefined>;
  /** The stream of a queue that was made or found before on this connection. */
  known(queue: string): QueueStream | undefined;
  /** Checks a known stream: an operator may have replaced or changed it. */
  refresh(queueStream: QueueStream, until: number): Promise<void>;
  /** Checks those of deliveries that were not checked on this connection, as far as the server answers. */
  checked(deliveries: readonly { readonly queue: string }[], until: number): Promise<unknown> | undefined;
  /** Has the next call check the stream anew: a part of it is gone. */
  forget(queueStream: QueueStream): void;
  /** The same for all. */
  forgetAll(): void;
}

/** Brings messages in. */
export interface Pulls {
  /** Gets the messages that are there, at most `batch`. Those that come behind its end go to `stray`. */
  poll(queueStream: QueueStream, state: PullState, batch: number, until: number): Promise<Received[]>;
  /** Waits at the server for one message, as one of so many pulls. */
  open(queueStream: QueueStream, state: PullState, pulls: number, listener: PullListener): OpenPull;
  /** Milliseconds that a question and its answer take; 0 while that is not known. */
  readonly roundTrip: number;
  /** Milliseconds that jobs on their way to pulls that end need to come, and again to go back. */
  readonly patience: number;
}

/** Hears of an open pull. */
export interface PullListener {
  arrived(received: Received): void;
  /** It waits no more: a message came, its time is over, or the server dropped it. */
  over(gone?: Error): void;
}

/** A pull that waits. */
export interface OpenPull {
  /** Gives up waiting, unless it is over; messages on their way still arrive, or few of them with `now`. */
  end(now: boolean): Promise<void>;
}

/** Deliveries that one call settles. */
export interface Settling {
  readonly held: Received[];
  /** Resolves when all were answered, or put back. */
  readonly over: Promise<void>;
}

/** The deliveries of one process. */
export interface Deliveries {
  /** Takes in a delivery that is handed over, and gives it its token. */
  add(held: Received): void;
  /** The delivery with a token, whether or not its lease is over. */
  find(queue: string, token: string): Received | undefined;
  /** Whether this process gave a token out. */
  isOwn(token: string): boolean;
  /** Settlements under way. */
  readonly ending: Set<Settling>;
  /** The delivery of a message. */
  of(queueStream: QueueStream, seq: number): Received | undefined;
  /** Takes one out: it is being settled. */
  take(held: Received): void;
  /** Puts one back whose end was sent and the answer lost. */
  restore(held: Received): void;
  /** Drops a delivery that is another worker's by now, or none's. */
  lose(queueStream: QueueStream, seq: number): void;
  /** Moves the end of a lease; the server has answered the extension that was sent at that time. */
  extended(held: Received, at: number, ms: number): void;
  /** Goes on with a delivery that the server has handed over again though its holder extended its lease. */
  renew(held: Received, received: Received): void;
  close(): void;
}

/** What a server has of a batch which it has stored in part. */
export interface Half {
  readonly state: "half";
  /** The number of each message; 0 where it is not stored. */
  readonly seqs: readonly number[];
  /** Whether the server stores no more of it. */
  readonly isOver: boolean;
}

/** Stores batches. */
export interface Batches {
  /**
   * Stores all parts or none; a batch that the server refuses for another reason than its conditions rejects. Where a
   * server without room has stored a part, and the rest finds none, it rejects with `HalfStored`.
   */
  store(queueStream: QueueStream, parts: readonly Part[], until: number): Promise<Receipt>;
  /** The same, but tells what was stored of a batch which was stored in part. */
  send(queueStream: QueueStream, parts: readonly Part[], until: number): Promise<Receipt | Half>;
  /** Stores what lacks of a batch, message by message, each under its id. */
  finish(
    queueStream: QueueStream,
    parts: readonly Part[],
    half: Pick<Half, "seqs" | "isOver">,
    until: number,
  ): Promise<Receipt>;
}

/** Checks whether there is room. */
export interface Room {
  /**
   * Undefined where there is room for messages of so many bytes; else a promise that rejects with `TransportFull` where
   * there is none. They are counted as stored.
   */
  check(queueStream: QueueStream, sizes: Sizes, until: number): Promise<void> | undefined;
  /**
   * Tells of moves whether so many bytes more than they free have room: half of the reserve is left to those that take
   * no more. Several servers would let in far more than a limit, and then nothing until its use is below it again.
   */
  growth(queueStream: QueueStream, until: number): Promise<(bytes: number) => boolean>;
}

/** Bytes of the messages that are to be stored: of all, and of the largest. */
export interface Sizes {
  readonly all: number;
  readonly largest: number;
}

/** A window that bounds items under way, and their bytes. */
export interface InFlight {
  /** Lets an item in: undefined when there is room, else a promise of room; counted from then on. */
  enter(bytes: number): Promise<void> | undefined;
  leave(bytes: number): void;
}

/** Gives deaths their times. */
export interface Deaths {
  /** The time of a death now, later than the one before. */
  next(now: number): { readonly time: number; readonly stamp: string };
}

/** A reserve call that waits. */
export interface Waiter {
  readonly queueStreams: readonly QueueStream[];
  readonly slots: number;
  /**
   * Waited for before this process takes back a delivery that it holds itself: the worker may settle or extend it
   * first.
   */
  readonly ready: ReserveOptions["ready"];
  /** A first job came: it is the waiter's, which waits no more. */
  got(received: Received): void;
  /** There is nothing to wait for any more. */
  failed(error: Error): void;
}

/** The reserve calls that wait, and their open pulls. */
export interface Waiters {
  readonly alarms: Alarms;
  /** Whether a state is known to be empty, as a pull is open for it. */
  isOpen(queueStream: QueueStream, state: PullState): boolean;
  /**
   * Whether a queue needs no look: the pulls of a call with so many slots for returned jobs are open, no job is here
   * that no call took, and none is on its way back.
   */
  isIdle(queueStream: QueueStream, slots: number): boolean;
  /** Opens pulls for states of a queue. */
  open(queueStream: QueueStream, states: readonly PullState[]): void;
  /** Whether it waits now: false where it got a job at once. */
  join(waiter: Waiter): boolean;
  leave(waiter: Waiter): void;
  /** Ends the open pulls of queues for which no call waits: the next job would be held by a process without a worker. */
  rest(queueStreams: readonly QueueStream[]): void;
  /** Takes out jobs that came while no call waited. */
  spare(queueStream: QueueStream, limit: number, slots: number): Received[];
  /** Resolves when something comes while no call waits, or so many milliseconds later. */
  comes(queueStream: QueueStream, ms: number): Promise<void>;
  /**
   * Resolves when the jobs are back that this process has begun to give back or to take back, `but` for one's own;
   * undefined when there are none.
   */
  moving(queueStream: QueueStream, but?: Promise<unknown>): Promise<unknown> | undefined;
  /** How often it has begun to. */
  moves(queueStream: QueueStream): number;
  /** Has calls that ask for jobs wait for a move of jobs that lie before those that wait. */
  returns(queueStream: QueueStream, move: Promise<unknown>): void;
  /** Takes in a job that came for no call in particular. */
  stray(received: Received): void;
  /** Forgets the open pulls, as the link to their server is lost. */
  reset(): void;
  /** Opens pulls anew where a consumer has another leader. */
  moved(stream: string, consumer: string): void;
  close(): Promise<void>;
}

/** The parts of one transport. */
export interface Context {
  readonly link: Link;
  readonly clock: ServerClock;
  readonly streams: QueueStreams;
  readonly deliveries: Deliveries;
  readonly pulls: Pulls;
  readonly batches: Batches;
  readonly waiters: Waiters;
  /** Jobs that were sent and not answered. */
  readonly inFlight: InFlight;
  readonly deaths: Deaths;
  readonly room: Room;
  /** Maintains queues now and then. */
  readonly tend: (queueStreams: readonly QueueStream[]) => void;
}

/** One call on a queue whose stream is there. */
export interface QueueCall extends Context, StreamCall {}
