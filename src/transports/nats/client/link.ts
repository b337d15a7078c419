/**
 * The one connection, as the rest of the transport sees it: its settings, its messages, and waits for elections.
 *
 * @module
 */

import type { Alarms } from "../../../flow/alarms.ts";
import type { Runtime } from "../../../runtime.ts";
import type { NatsConnection, NatsInfo, NatsMessage } from "./connection.ts";

/** The options that a caller gave for streams and consumers, from which existing ones may differ. */
export interface Asked {
  readonly ackWait: number | undefined;
  readonly replicas: number | undefined;
  readonly storage: "file" | "memory" | undefined;
}

/** Options without gaps. */
export interface Settings {
  readonly servers: readonly string[];
  readonly connection: NatsConnection | undefined;
  readonly credentials: object;
  readonly prefix: string;
  readonly group: string;
  readonly ackWait: number;
  readonly maxDeliver: number | undefined;
  readonly replicas: number;
  readonly storage: "file" | "memory";
  readonly maxBytes: number | undefined;
  readonly apiPrefix: string;
  /** The options that the caller gave for streams and consumers. */
  readonly asked: Asked;
  readonly warn: (message: string) => void;
  readonly inboxPrefix: string;
  readonly name: string;
  readonly runtime: Runtime;
}

/**
 * Gets an answer, or the error for which none comes. `again` says that the message was sent before, and perhaps
 * accepted.
 */
export type Answered = (message: NatsMessage | undefined, error: Error | undefined, again: boolean) => void;

/** A message to be sent. */
export interface Outgoing {
  readonly subject: string;
  readonly data?: Uint8Array | string | undefined;
  /** Header lines, each with its end; absent when there are none. */
  readonly lines?: string | undefined;
  /** The leader that gets it in a cluster, as `Elections` name them: with none, it waits for the next. */
  readonly leader?: string | undefined;
  /** To carry it out twice is the same as to carry it out once: in a cluster it is sent again when no answer comes. */
  readonly again?: boolean | undefined;
}

/** Waits for elections. */
export interface Elections {
  /** Whether a call waits for this one: a message that is sent to it now would be for nothing. */
  missing(leader: string): boolean;
  /**
   * Resolves when a leader answers, named by the API's subject of its state: `STREAM.INFO.<stream>` or
   * `CONSUMER.INFO.<stream>.<consumer>`. Rejects when there is nothing to be led, or `until` is over; at once where
   * there is one server.
   */
  elected(leader: string, until: number): Promise<void>;
  /** Lets about so many milliseconds pass; rejects when the link is closed. */
  rest(ms: number): Promise<void>;
  close(): void;
}

/** Hears when the link breaks. */
export interface Listener {
  down(error: Error): void;
  /** A consumer has another leader, which knows nothing of the pulls that wait. */
  moved?(stream: string, consumer: string): void;
}

/** A subject of ours. */
export interface Inbox {
  readonly subject: string;
  /** Ends it at once: nothing is on its way. */
  drop(): void;
  /**
   * Ends it when the messages on their way have come. Another server of a cluster may not have heard of a message yet,
   * or that this subject is not listened to any more: a job that it still sends there would be lost until a lease is
   * over. So it ends some seconds later there, unless that is to be `now`.
   */
  end(now: boolean): Promise<void>;
}

/** The link to the server. */
export interface Link {
  readonly settings: Settings;
  /** End with the link. */
  readonly alarms: Alarms;
  /** Whether messages can be sent now. */
  readonly up: boolean;
  /** The server's information about itself, once there was one. */
  readonly info: NatsInfo | undefined;
  /** Milliseconds that the first question of the connection and its answer took; 0 until then. */
  readonly roundTrip: number;
  /** Counts connections: a question to an earlier one is not known to a later one. */
  readonly epoch: number;
  readonly listeners: Set<Listener>;
  /** Resolves when messages can be sent; rejects when they cannot by `until` (on the monotonic clock). */
  ready(until: number, action: string): Promise<void>;
  /**
   * Resolves when the server has got all messages that were sent before, and all have come that it sent before its
   * answer.
   */
  flush(): Promise<void>;
  /** Sends a message that is not answered. */
  send(message: Outgoing, reply?: string): void;
  /** Sends a message, and tells its one answer. */
  ask(message: Outgoing, until: number, answered: Answered): void;
  /** Sends a message, and resolves with its one answer. */
  request(message: Outgoing, until: number): Promise<NatsMessage>;
  /** The subject of a call of the JetStream API. */
  apiSubject(subject: string): string;
  /** Calls the JetStream API; rejects with an `ApiError` when the server refuses the call. */
  api<T>(subject: string, body: object | undefined, until: number): Promise<T>;
  /** Whether several servers keep the stored messages, so that one may die and the others go on. */
  readonly clustered: boolean;
  readonly elections: Elections;
  /**
   * Calls `end` when the link breaks, the server permits no message to the subject, or the time is over; returns a
   * function that ends the watch.
   */
  watch(subject: string, until: number, end: (error: Error) => void): () => void;
  /**
   * A subject with a subscription of its own, so that the server hears when it ends; `refused` where it permits none.
   */
  subscribe(hear: (message: NatsMessage) => void, refused?: (error: Error) => void): Inbox;
  close(): Promise<void>;
}

/** Milliseconds between two questions at first and at most, half of which are left to chance. */
export const PAUSE_MIN = 50;
const PAUSE_MAX = 1_000;

/** The pause that comes after a pause. */
export function pauseAfter(pause: number): number {
  return Math.min(PAUSE_MAX, 2 * pause);
}

/** The leader of a stream. */
export function streamLeader(stream: string): string {
  return `STREAM.INFO.${stream}`;
}

/** The leader of a consumer. */
export function consumerLeader(stream: string, consumer: string): string {
  return `CONSUMER.INFO.${stream}.${consumer}`;
}
