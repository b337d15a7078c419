/**
 * The one connection: opened by the first call that needs it, its answers told apart by one subscription, and every
 * call on it ended when the link breaks or its time is over.
 *
 * @module
 */

import { type Alarms, createAlarms } from "../../alarms.ts";
import { errorOf, messageOf, TransportClosed } from "../../errors.ts";
import { hush } from "../../promises.ts";
import { type Answered, type Ask, askOf, createAsks, type Outgoing } from "./asks.ts";
import { briefly } from "./brief.ts";
import { leave, open, type Opened } from "./client.ts";
import type { NatsInfo, NatsMessage, NatsSubscription } from "./connection.ts";
import {
  AnswerLost,
  ApiError,
  type ApiFault,
  connectFault,
  isPassing,
  isShort,
  NoResponders,
  unavailable,
} from "./errors.ts";
import { createLeaders, type Leaders, PAUSE_MIN, pauseAfter } from "./leaders.ts";
import type { Settings } from "./options.ts";

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
  /**
   * Ends it when what is on its way has come. Another server of a cluster may not have heard of a message yet, or of who
   * listens no more: what it still sends there would be nobody's until a lease is over. So it ends some seconds later
   * there, unless that is to be `now`.
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
  /** Whether several servers keep what is stored, so that one may die and the others go on. */
  readonly clustered: boolean;
  readonly leaders: Leaders;
  /** Ends something when the link breaks or its time is over; returns what calls that off. */
  watch(subject: string, until: number, end: (error: Error) => void): () => void;
  /**
   * Hears what the server tells everybody under a subject, once for each subject, where permissions allow it and until
   * the connection ends.
   */
  overhear(subject: string, hear: (message: NatsMessage) => void): void;
  /** A subject with a subscription of its own, so that the server hears when it ends. */
  subscribe(hear: (message: NatsMessage) => void): Inbox;
  close(): Promise<void>;
}

/** Milliseconds that one attempt to connect may take, and where another server may be tried instead. */
const CONNECT_TIMEOUT = 5_000;
const NEXT_TIMEOUT = 2_000;
/** Milliseconds that the last messages may take on their way when the link is closed. */
const FLUSH = 1_000;
/** Milliseconds for which servers of a cluster may be late at most; half of it is left to chance. */
const LATE = 20_000;
/** Milliseconds for which a cluster may lack servers, as one that has just begun. */
const SHORT = 5_000;
const decoder = new TextDecoder();
/** What servers tell everybody begins so. */
export const ADVISORY = "$JS.EVENT.ADVISORY.";
/** What a cluster says when a consumer has another leader; the stream's and the consumer's names follow. */
const ELECTED = `${ADVISORY}CONSUMER.LEADER_ELECTED.`;

/** Makes the link; connects to nothing yet. */
export function createLink(settings: Settings): Link {
  const { runtime } = settings;
  const alarms = createAlarms(runtime);
  const listeners = new Set<Listener>();
  /** Those who wait for the link, each told once. */
  const waiting = new Set<(error?: Error) => void>();
  let opened: Opened | undefined;
  let opening = false;
  let mux: NatsSubscription | undefined;
  /** What is overheard, by its subject. */
  const overheard = new Map<string, NatsSubscription>();
  let prefix = "";
  let tokens = 0;
  let up = false;
  /** What the last server said of itself: while the client dials the next one it knows of none. */
  let info: NatsInfo | undefined;
  let epoch = 0;
  let closed = false;

  const asks = createAsks(runtime, alarms, (token, message) => {
    if (up) link.send(message, prefix + token);
  });
  const leaders = createLeaders(settings, {
    clustered: () => link.clustered,
    look: (leader, until) => link.api(leader, undefined, until),
  });

  function heard(error: Error | null, message: NatsMessage): void {
    if (error !== null) return;
    const ask = asks.take(message.subject.slice(prefix.length));
    if (ask === undefined) return;
    if (message.headers?.code === 503) nobody(ask);
    else ask.answered(message, undefined, ask.again);
  }

  /** Nobody took a message. Where a leader was to, it is sent to the next. */
  function nobody(ask: Ask): void {
    const { message: { subject, leader }, until, answered } = ask;
    const absent = new NoResponders(`use '${subject}'`);
    if (leader === undefined || !link.clustered) return answered(undefined, absent, ask.again);
    leaders.elected(leader, until).then(
      () => put(ask),
      (error) => answered(undefined, errorOf(error), ask.again),
    );
  }

  /** Hears answers; begun anew where the server did not permit it. */
  function listen(): void {
    mux ??= opened?.connection.subscribe(`${prefix}*`, { callback: heard });
  }

  /** Sends a message. */
  function put(ask: Ask): void {
    const { message: { subject }, until, answered } = ask;
    const failed = (error: unknown): void => answered(undefined, errorOf(error), ask.again);
    if (!up && !link.clustered) return failed(unavailable("Cannot reach NATS as the link is down"));
    // Another server may be reached in a moment.
    if (!up) return void link.ready(until, `use '${subject}'`).then(() => put(ask), failed);
    const token = asks.add(ask);
    try {
      listen();
      link.send(ask.message, prefix + token);
    } catch (error) {
      asks.take(token);
      failed(error);
    }
  }

  function elected(message: NatsMessage): void {
    const [stream = "", consumer = ""] = message.subject.slice(ELECTED.length).split(".");
    for (const listener of [...listeners]) listener.moved?.(stream, consumer);
  }

  function fail(error: Error, fits: (ask: Ask) => boolean = () => true): void {
    for (const { answered, again } of asks.takeAll(fits)) answered(undefined, error, again);
  }

  function rise(): void {
    up = true;
    info = opened?.connection.info ?? info;
    epoch++;
    if (link.clustered) link.overhear(`${ELECTED}*.*`, elected);
    asks.repeat();
    for (const told of [...waiting]) told();
  }

  function fall(cause: unknown): void {
    if (!up) return;
    up = false;
    const error = unavailable(`The link to NATS is lost: ${messageOf(cause)}`);
    fail(new AnswerLost(error), ({ pause }) => pause === 0);
    for (const listener of [...listeners]) listener.down(error);
  }

  async function connect(): Promise<void> {
    opening = true;
    let made: Opened | undefined;
    try {
      made = await open(settings, settings.servers.length > 1 ? NEXT_TIMEOUT : CONNECT_TIMEOUT);
      if (closed) return await leave(settings, made);
      opened = made;
      prefix = `${settings.inboxPrefix}.${runtime.id()}.`;
      listen();
      hush(watch(made));
      hush(ending(made));
      // It may be broken, as one that was handed over, and come back later.
      if (made.connection.info !== undefined) rise();
    } catch (error) {
      if (made !== undefined) {
        lost(made, error);
        await leave(settings, made);
      }
      const fault = connectFault(error);
      for (const told of [...waiting]) told(fault);
    } finally {
      opening = false;
    }
  }

  async function ending(which: Opened): Promise<void> {
    lost(which, await which.connection.closed());
  }

  /** The connection has ended for good: the next call makes another. */
  function lost(which: Opened, error: unknown): void {
    if (opened !== which) return;
    fall(error ?? "the connection was closed");
    fail(new AnswerLost(error ?? "the connection was closed"));
    opened = undefined;
    mux = undefined;
    overheard.clear();
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
    // Without the advisories a pull that nobody remembers is given up when its time is over, and a job that the server
    // gave up is found by those who look for it.
    if (typeof subject === "string" && subject.startsWith(ADVISORY)) return;
    if (subject === `${prefix}*`) mux = undefined;
    const sending = "operation" in error && error.operation === "publish";
    const verb = sending ? "publish to" : "subscribe to";
    fail(
      unavailable(`Cannot ${verb} '${String(subject)}' as the server permits it not`, error),
      ({ message }) => !sending || message.subject === subject,
    );
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
      return info;
    },
    get clustered(): boolean {
      return info?.cluster !== undefined;
    },
    leaders,
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
    send({ subject, data, lines }, reply) {
      if (opened === undefined) return;
      const { connection } = opened;
      if (lines === undefined) {
        return connection.publish(subject, data, reply === undefined ? reply : { reply });
      }
      const headers = opened.headers();
      for (const [name, value] of lines) headers.set(name, value);
      connection.publish(subject, data, { reply: reply ?? "", headers });
    },
    ask(message, until, answered) {
      const { leader } = message;
      const again = message.again === true && link.clustered;
      const ask = askOf(message, { since: runtime.monotonic(), until, again }, answered);
      // It would be sent for nothing, and before those that wait.
      if (leader !== undefined && leaders.missing(leader)) nobody(ask);
      else put(ask);
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
      const message = {
        subject: `$JS.API.${subject}`,
        data,
        again: /^[A-Z.]*(INFO|NAMES|GET|CREATE)/.test(subject),
      };
      const begun = runtime.monotonic();
      for (let pause = PAUSE_MIN;; pause = pauseAfter(pause)) {
        try {
          const answer = await link.request(message, until);
          const result: T & { readonly error?: ApiFault } = JSON.parse(decoder.decode(answer.data));
          if (result.error !== undefined) throw new ApiError(result.error);
          return result;
        } catch (error) {
          const passes = isPassing(error) ? until : isShort(error) ? Math.min(until, begun + SHORT) : begun;
          if (!link.clustered || runtime.monotonic() + pause >= passes) throw error;
          await leaders.rest(pause);
        }
      }
    },
    watch(subject, until, end) {
      if (!up) {
        end(unavailable("Cannot reach NATS as the link is down"));
        return () => {};
      }
      const since = runtime.monotonic();
      const ended: Answered = (_, error) => end(error ?? unavailable("The link is lost"));
      const token = asks.add(askOf({ subject }, { since, until, again: false }, ended));
      return () => void asks.take(token);
    },
    overhear(subject, hear) {
      if (opened === undefined || overheard.has(subject)) return;
      const callback = (error: Error | null, message: NatsMessage): void => {
        if (error === null) hear(message);
      };
      overheard.set(subject, opened.connection.subscribe(subject, { callback }));
    },
    subscribe(hear) {
      const subject = `${prefix}s${(tokens++).toString(36)}.x`;
      /** Taken away at the end: the client's table of subscriptions may remember this one for long. */
      let hears: typeof hear | undefined = hear;
      const subscription = opened?.connection.subscribe(subject, {
        callback: (error, message) => error === null ? hears?.(message) : undefined,
      });
      return {
        subject,
        drop() {
          hears = undefined;
          subscription?.unsubscribe();
        },
        async end(now) {
          // When the link is closed it has listened for long enough.
          if (link.clustered && !now) await leaders.rest(LATE).catch(() => undefined);
          await subscription?.drain();
          hears = undefined;
        },
      };
    },
    async close() {
      if (closed) return;
      closed = true;
      const last = opened;
      if (up && last !== undefined) await briefly(runtime, FLUSH, last.connection.flush());
      up = false;
      leaders.close();
      fail(new TransportClosed(settings.name));
      for (const told of [...waiting]) told(new TransportClosed(settings.name));
      alarms.clear();
      if (settings.connection !== undefined) {
        for (const subscription of [mux, ...overheard.values()]) subscription?.unsubscribe();
      }
      if (last !== undefined) await leave(settings, last);
      opened = undefined;
    },
  };
  return link;
}
