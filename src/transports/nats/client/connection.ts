/**
 * The little that is used of a NATS client of any kind.
 *
 * @module
 */

/** Header lines of a message. */
export interface NatsHeaders {
  /** The status of a message that has one, else 0. */
  readonly code: number;
  /** The meaning of the status. */
  readonly description: string;
  /** The first value of a line; empty when there is none. */
  get(name: string): string;
}

/** The same of a message to be sent. */
export interface NatsLines extends NatsHeaders {
  /** Sets a line. */
  set(name: string, value: string): void;
}

/** A message as it comes. */
export interface NatsMessage {
  /** Where it was published. */
  readonly subject: string;
  /** Its body. */
  readonly data: Uint8Array;
  /** Where an answer goes. */
  readonly reply?: string | undefined;
  /** Absent when it has none. */
  readonly headers?: NatsHeaders | undefined;
}

/** A subscription. */
export interface NatsSubscription {
  /** Ends it at once. */
  unsubscribe(): void;
  /** Ends it when the messages on their way have come. */
  drain(): Promise<void>;
}

/** A server's information about itself. */
export interface NatsInfo {
  /** As in `2.15.1`. */
  readonly version: string;
  /** Bytes of one message, headers included. */
  readonly max_payload: number;
  /** The cluster's name, where the server is part of one. */
  readonly cluster?: string;
}

/** The part of a `NatsConnection` (of `@nats-io/transport-node`, `wsconnect` or another) that is used. */
export interface NatsConnection {
  /** Absent while there is no server. */
  readonly info?: NatsInfo | undefined;
  /** Sends a message. */
  publish(
    subject: string,
    payload?: Uint8Array | string,
    options?: { readonly reply?: string; readonly headers?: NatsHeaders },
  ): void;
  /** Hears messages. */
  subscribe(
    subject: string,
    options: { readonly callback: (error: Error | null, message: NatsMessage) => void },
  ): NatsSubscription;
  /** The events of the link. */
  status(): AsyncIterable<{ readonly type: string; readonly error?: Error }>;
  /** Resolves when the server has got all messages that were sent before. */
  flush(): Promise<void>;
  /** Ends it. */
  close(): Promise<void>;
  /** Resolves when it has ended. */
  closed(): Promise<void | Error>;
  /** Whether it has ended. */
  isClosed(): boolean;
}
