/**
 * The little that is used of a NATS client, whoever made it, and the import of the one that we make.
 *
 * @module
 */

import { TransportError } from "../../errors.ts";
import type { Settings } from "./options.ts";
import { openSocket } from "./websocket.ts";

/** Header lines of a message. */
export interface NatsHeaders {
  /** The status of a message that has one, else 0. */
  readonly code: number;
  /** What the status means. */
  readonly description: string;
  /** The first value of a line; empty when there is none. */
  get(name: string): string;
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
  /** Ends it when what is on its way has come. */
  drain(): Promise<void>;
}

/** What a server says of itself. */
export interface NatsInfo {
  /** As in `2.9.10`. */
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
  /** What becomes of the link. */
  status(): AsyncIterable<{ readonly type: string; readonly error?: Error }>;
  /** Resolves when the server has got what was sent before. */
  flush(): Promise<void>;
  /** Ends it. */
  close(): Promise<void>;
  /** Resolves when it has ended. */
  closed(): Promise<void | Error>;
  /** Whether it has ended. */
  isClosed(): boolean;
}

/** A client's module. */
interface Module {
  connect(options: object): Promise<NatsConnection>;
  wsconnect(options: object): Promise<NatsConnection>;
  headers(): NatsHeaders;
}

/** A connection, and how headers are made for it. */
export interface Opened {
  readonly connection: NatsConnection;
  readonly headers: () => NatsHeaders;
}

/** Milliseconds between two attempts to come back, and what is added to them by chance. */
const RECONNECT_WAIT = 100;
const RECONNECT_JITTER = 150;
/** Milliseconds between two looks whether the server still answers; after two without an answer the link is cut. */
const PING_INTERVAL = 2_500;

/** Connects, or takes the connection that was handed over. */
export async function open(settings: Settings, timeout: number): Promise<Opened> {
  const { connection, servers, credentials, name } = settings;
  const web = connection !== undefined || servers.some((server) => /^wss?:/i.test(server));
  const module = await load(web ? "@nats-io/nats-core" : "@nats-io/transport-node");
  const { headers } = module;
  if (connection !== undefined) return { connection, headers };
  const options = {
    ...credentials,
    servers: [...servers],
    name,
    timeout: Math.max(1, Math.ceil(timeout)),
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_WAIT,
    reconnectJitter: RECONNECT_JITTER,
    reconnectJitterTLS: RECONNECT_JITTER,
    pingInterval: PING_INTERVAL,
  };
  const made = web ? module.wsconnect({ ...options, wsFactory: openSocket }) : module.connect(options);
  return { connection: await made, headers };
}

async function load(name: "@nats-io/nats-core" | "@nats-io/transport-node"): Promise<Module> {
  try {
    // Literal names, so that bundlers and registries find them.
    return name === "@nats-io/nats-core"
      ? await import("@nats-io/nats-core") as unknown as Module
      : await import("@nats-io/transport-node") as unknown as Module;
  } catch (cause) {
    throw new TransportError(
      "TRANSPORT_UNAVAILABLE",
      `Cannot use NATS as the package '${name}' cannot be loaded: install it beside @relevo/relevo`,
      { cause },
    );
  }
}
