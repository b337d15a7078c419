/**
 * The one connection, as the rest of the transport sees it.
 *
 * @module
 */

import type { Alarms } from "../../../flow/alarms.ts";
import type { NatsInfo, NatsMessage } from "./connection.ts";
import type { Elections } from "./elections.ts";
import type { Settings } from "./options.ts";
import type { Answered, Outgoing } from "./requests.ts";

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
  /** Calls `end` when the link breaks or the time is over; returns a function that ends the watch. */
  watch(subject: string, until: number, end: (error: Error) => void): () => void;
  /**
   * A subject with a subscription of its own, so that the server hears when it ends; `refused` where it permits none.
   */
  subscribe(hear: (message: NatsMessage) => void, refused?: (error: Error) => void): Inbox;
  close(): Promise<void>;
}
