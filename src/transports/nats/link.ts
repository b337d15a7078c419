/**
 * The one connection: opened by the first call that needs it, its answers told apart by one subscription, and every
 * call on it ended when the link breaks or its time is over.
 *
 * @module
 */

import { type Alarms, createAlarms } from "../../alarms.ts";
import { DeadlineExceeded, errorOf, messageOf, TransportClosed } from "../../errors.ts";
import { hush } from "../../promises.ts";
import { open, type Opened } from "./client.ts";
import type { NatsHeaders, NatsInfo, NatsMessage, NatsSubscription } from "./connection.ts";
import { AnswerLost, ApiError, type ApiFault, connectFault, noResponders, unavailable } from "./errors.ts";
import type { Settings } from "./options.ts";

/** What an answer is, or why none comes. */
export type Answered = (message: NatsMessage | undefined, error: Error | undefined) => void;

/** A message to be sent. */
export interface Outgoing {
  readonly subject: string;
  readonly data?: Uint8Array | string | undefined;
  /** Header lines; none is sent when there are none. */
  readonly lines?: readonly (readonly [string, string])[] | undefined;
}

/** Those who must know when the link breaks and when it is back. */
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
  /** Ends it when what is on its way has come. */
  end(): Promise<void>;
}

/** The link to the server. */
export interface Link {
  readonly settings: Settings;
  /** End with the link. */
  readonly alarms: Alarms;
  /** Whether messages can be sent now. */
  readonly up: boolean;
  /** The server's words about itself, once there was one. */
  readonly info: NatsInfo | undefined;
  /** Counts connections: what was asked of an earlier one is not known to a later one. */
  readonly epoch: number;
  readonly listeners: Set<Listener>;
  /** Resolves when messages can be sent; rejects when they cannot by `until` (on the monotonic clock). */
  ready(until: number, action: string): Promise<void>;
  /** Sends a message that nobody answers. */
  send(message: Outgoing, reply?: string): void;
  /** Sends a message, and tells its one answer. */
  ask(message: Outgoing, until: number, answered: Answered): void;
  /** Sends a message, and resolves with its one answer. */
  request(message: Outgoing, until: number): Promise<NatsMessage>;
  /** Calls the JetStream API; rejects with an `ApiError` for what the server refuses. */
  api<T>(subject: string, body: object | undefined, until: number): Promise<T>;
  /** Ends something when the link breaks or its time is over; returns what calls that off. */
  watch(subject: string, until: number, end: (error: Error) => void): () => void;
  /** A subject with a subscription of its own, so that the server hears when it ends. */
  subscribe(hear: (message: NatsMessage) => void): Inbox;
  close(): Promise<void>;
}

interface Ask {
  readonly subject: string;
  readonly since: number;
  readonly until: number;
  readonly answered: Answered;
}

/** Milliseconds that one attempt to connect may take. */
const CONNECT_TIMEOUT = 5_000;
/** Milliseconds that the last messages may take on their way when the link is closed. */
const FLUSH = 1_000;
const LEAST_VERSION = [2, 9] as const;
/** What a cluster says when a consumer has another leader; the stream's and the consumer's names follow. */
const ADVISORY = "$JS.EVENT.ADVISORY.";
const ELECTED = `${ADVISORY}CONSUMER.LEADER_ELECTED.`;

/** Makes the link; connects to nothing yet. */
export function createLink(settings: Settings): Link {
  const { runtime } = settings;
  const alarms = createAlarms(runtime);
  const asks = new Map<string, Ask>();
  const listeners = new Set<Listener>();
  /** Those who wait for the link, each told once. */
  const waiting = new Set<(error?: Error) => void>();
  let opened: Opened | undefined;
  let opening = false;
  let mux: NatsSubscription | undefined;
  let elections: NatsSubscription | undefined;
  let prefix = "";
  let tokens = 0;
  let up = false;
  let epoch = 0;
  let closed = false;
  let ringAt = Infinity;

  function heard(error: Error | null, message: NatsMessage): void {
    if (error !== null) return;
    const token = message.subject.slice(prefix.length);
    const ask = asks.get(token);
    if (ask === undefined) return;
    asks.delete(token);
    if (message.headers?.code === 503) ask.answered(undefined, noResponders(`use '${ask.subject}'`));
    else ask.answered(message, undefined);
  }

  function elected(error: Error | null, message: NatsMessage): void {
    if (error !== null) return;
    const [stream = "", consumer = ""] = message.subject.slice(ELECTED.length).split(".");
    for (const listener of [...listeners]) listener.moved?.(stream, consumer);
  }

  function fail(error: Error): void {
    const failed = [...asks.values()];
    asks.clear();
    for (const { answered } of failed) answered(undefined, error);
  }

  /** Ends the asks whose time is over, and sleeps until the next one's is. */
  function ring(): void {
    ringAt = Infinity;
    const now = runtime.monotonic();
    for (const [token, { since, until, answered, subject }] of asks) {
      if (until <= now) {
        asks.delete(token);
        answered(
          undefined,
          new DeadlineExceeded(`get NATS's answer for '${subject}'`, Math.round(until - since)),
        );
      } else {
        ringAt = Math.min(ringAt, until);
      }
    }
    if (ringAt < Infinity) alarms.set(ringAt - now, ring);
  }

  function arm(until: number): void {
    if (until >= ringAt) return;
    ringAt = until;
    alarms.set(Math.max(0, until - runtime.monotonic()), ring);
  }

  function rise(): void {
    up = true;
    epoch++;
    for (const told of [...waiting]) told();
  }

  function fall(cause: unknown): void {
    if (!up) return;
    up = false;
    const error = unavailable(`The link to NATS is lost: ${messageOf(cause)}`);
    fail(new AnswerLost(error));
    for (const listener of [...listeners]) listener.down(error);
  }

  async function connect(): Promise<void> {
    opening = true;
    try {
      const made = await open(settings, CONNECT_TIMEOUT);
      if (closed) return void (settings.connection === undefined && await made.connection.close());
      checkVersion(made.connection.info);
      opened = made;
      prefix = `${settings.inboxPrefix}.${runtime.id()}.`;
      mux = made.connection.subscribe(`${prefix}*`, { callback: heard });
      if (made.connection.info?.cluster !== undefined) {
        elections = made.connection.subscribe(`${ELECTED}*.*`, { callback: elected });
      }
      hush(watch(made));
      hush(made.connection.closed().then((error) => lost(made, error)));
      rise();
    } catch (error) {
      const fault = connectFault(error);
      for (const told of [...waiting]) told(fault);
    } finally {
      opening = false;
    }
  }

  /** The connection has ended for good: the next call makes another. */
  function lost(which: Opened, error: unknown): void {
    if (opened !== which) return;
    fall(error ?? "the connection was closed");
    opened = undefined;
    mux = undefined;
    elections = undefined;
  }

  async function watch({ connection }: Opened): Promise<void> {
    for await (const { type, error } of connection.status()) {
      if (type === "disconnect" || type === "staleConnection") fall(type);
      else if (type === "reconnect" && !up) rise();
      else if (type === "error" && error !== undefined) forbidden(error);
    }
  }

  /** A permission that is missing is told beside the message that lacked it, which gets no answer. */
  function forbidden(error: Error): void {
    if (error.name !== "PermissionViolationError") return;
    const subject = "subject" in error ? error.subject : undefined;
    // Without the advisories a pull that nobody remembers is given up when its time is over.
    if (typeof subject === "string" && subject.startsWith(ADVISORY)) return;
    const sending = "operation" in error && error.operation === "publish";
    for (const [token, ask] of [...asks]) {
      if (sending && ask.subject !== subject) continue;
      asks.delete(token);
      const verb = sending ? "publish to" : "subscribe to";
      ask.answered(
        undefined,
        unavailable(`Cannot ${verb} '${String(subject)}' as the server permits it not`, error),
      );
    }
  }

  function headersOf({ lines = [] }: Outgoing): NatsHeaders | undefined {
    if (lines.length === 0 || opened === undefined) return undefined;
    const headers = opened.headers();
    for (const [name, value] of lines) headers.set(name, value);
    return headers;
  }

  const link: Link = {
    settings,
    alarms,
    listeners,
    get up(): boolean {
      return up;
    },
    get epoch(): number {
      return epoch;
    },
    get info(): NatsInfo | undefined {
      return opened?.connection.info;
    },
    ready(until, action) {
      if (closed) return Promise.reject(new TransportClosed(settings.name));
      if (up) return Promise.resolve();
      return new Promise((resolve, reject) => {
        const told = (error?: Error): void => {
          if (!waiting.delete(told)) return;
          alarm.cancel();
          if (error === undefined) resolve();
          else reject(error);
        };
        waiting.add(told);
        const rest = Math.max(0, until - runtime.monotonic());
        const alarm = alarms.set(
          rest,
          () => told(unavailable(`Cannot ${action} as no server of NATS can be reached`)),
        );
        if (opened === undefined && !opening) hush(connect());
      });
    },
    send(message, reply) {
      const headers = headersOf(message);
      opened?.connection.publish(message.subject, message.data, {
        ...(reply === undefined ? {} : { reply }),
        ...(headers === undefined ? {} : { headers }),
      });
    },
    ask(message, until, answered) {
      if (!up) return answered(undefined, unavailable("Cannot reach NATS as the link is down"));
      const token = (tokens++).toString(36);
      asks.set(token, { subject: message.subject, since: runtime.monotonic(), until, answered });
      arm(until);
      try {
        link.send(message, prefix + token);
      } catch (error) {
        asks.delete(token);
        answered(undefined, errorOf(error));
      }
    },
    request(message, until) {
      return new Promise((resolve, reject) =>
        link.ask(message, until, (answer, error) => {
          if (answer === undefined) reject(error);
          else resolve(answer);
        })
      );
    },
    async api<T>(subject: string, body: object | undefined, until: number): Promise<T> {
      const data = body === undefined ? "" : JSON.stringify(body);
      const answer = await link.request({ subject: `$JS.API.${subject}`, data }, until);
      const result: T & { readonly error?: ApiFault } = JSON.parse(new TextDecoder().decode(answer.data));
      if (result.error !== undefined) throw new ApiError(result.error);
      return result;
    },
    watch(subject, until, end) {
      const token = (tokens++).toString(36);
      if (!up) end(unavailable("Cannot reach NATS as the link is down"));
      const answered: Answered = (_, error) => end(error ?? unavailable("The link is lost"));
      asks.set(token, { subject, since: runtime.monotonic(), until, answered });
      arm(until);
      return () => void asks.delete(token);
    },
    subscribe(hear) {
      const subject = `${prefix}s${(tokens++).toString(36)}.x`;
      const subscription = opened?.connection.subscribe(subject, {
        callback: (error, message) => error === null ? hear(message) : undefined,
      });
      return {
        subject,
        drop: () => subscription?.unsubscribe(),
        end: async () => await subscription?.drain(),
      };
    },
    async close() {
      if (closed) return;
      closed = true;
      const { connection } = opened ?? {};
      const own = settings.connection === undefined;
      const ending = new AbortController();
      if (up && connection !== undefined) {
        const flushed = connection.flush().catch(() => undefined);
        await Promise.race([flushed, runtime.sleep(FLUSH, ending.signal).catch(() => undefined)]);
        ending.abort();
      }
      fail(new TransportClosed(settings.name));
      for (const told of [...waiting]) told(new TransportClosed(settings.name));
      alarms.clear();
      up = false;
      if (own) await connection?.close();
      else for (const subscription of [mux, elections]) subscription?.unsubscribe();
      opened = undefined;
    },
  };
  return link;
}

function checkVersion(info: NatsInfo | undefined): void {
  const [major = 0, minor = 0] = (info?.version ?? "").split(".").map(Number);
  if (major > LEAST_VERSION[0] || (major === LEAST_VERSION[0] && minor >= LEAST_VERSION[1])) return;
  throw unavailable(
    `Cannot use NATS as the server must be 2.9 or later: current version is ${info?.version ?? "unknown"}`,
  );
}
