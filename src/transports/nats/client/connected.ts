/**
 * The connection itself: opened by the first call that needs it, its answers told apart by one subscription, and every
 * call on it ended when the link breaks or its time is over.
 *
 * @module
 */

import { type Alarms, createAlarms } from "../../../flow/alarms.ts";
import { errorOf, messageOf, TransportClosed, TransportError } from "../../../errors.ts";
import { briefly } from "../../../flow/deadline.ts";
import { hush } from "../../../promises.ts";
import type { NatsInfo, NatsMessage, NatsSubscription } from "./connection.ts";
import { createElections } from "./elections.ts";
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
import {
  type Answered,
  type Elections,
  type Inbox,
  type Link,
  type Listener,
  type Outgoing,
  PAUSE_MIN,
  pauseAfter,
  type Settings,
} from "./link.ts";
import { leave, open, type Opened } from "./open.ts";
import { type Ask, askOf, Asks } from "./requests.ts";

/** Milliseconds that one attempt to connect may take, and where another server may be tried instead. */
const CONNECT_TIMEOUT = 5_000;
const NEXT_TIMEOUT = 2_000;
/** Milliseconds that the last messages may take on their way when the link is closed. */
const FLUSH = 1_000;
/** Milliseconds for which servers of a cluster may be late at most; half of it is left to chance. */
const LATE = 20_000;
/** Milliseconds for which a cluster may lack servers, as one that has just begun. */
const SHORT = 5_000;
/** The beginning of the subjects on which servers inform every client. */
const ADVISORY = "$JS.EVENT.ADVISORY.";
/**
 * The subject on which a cluster says that a consumer has another leader; the stream's and the consumer's names follow.
 */
const ELECTED = `${ADVISORY}CONSUMER.LEADER_ELECTED.`;
/** The client's error for a permission that is missing. */
const VIOLATION = "PermissionViolationError";
/** Calls of the API that may be sent twice. */
const REPEATABLE = /^[A-Z.]*(INFO|NAMES|GET|CREATE)/;
const decoder = new TextDecoder();

/** Makes the link; connects to nothing yet. */
export function createLink(settings: Settings): Link {
  return new Connected(settings);
}

class Connected implements Link {
  readonly settings: Settings;
  readonly alarms: Alarms;
  readonly listeners: Set<Listener> = new Set();
  readonly elections: Elections;
  readonly #asks: Asks;
  /** Calls that wait for the link, each told once. */
  readonly #waiting = new Set<(error?: Error) => void>();
  #opened: Opened | undefined;
  #opening = false;
  #mux: NatsSubscription | undefined;
  #advisories: NatsSubscription | undefined;
  #prefix = "";
  #tokens = 0;
  #up = false;
  /** The last server's information about itself: while the client dials the next one it knows of none. */
  #info: NatsInfo | undefined;
  #epoch = 0;
  #roundTrip = 0;
  #closed = false;

  constructor(settings: Settings) {
    this.settings = settings;
    this.alarms = createAlarms(settings.runtime);
    this.#asks = new Asks(settings.runtime, this.alarms, (token, message) => {
      if (this.#up) this.send(message, this.#prefix + token);
    });
    this.elections = createElections(settings, {
      clustered: () => this.clustered,
      look: (leader, until) => this.api(leader, undefined, until),
    });
  }

  get up(): boolean {
    return this.#up;
  }

  get roundTrip(): number {
    return this.#roundTrip;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get info(): NatsInfo | undefined {
    return this.#info;
  }

  get clustered(): boolean {
    return this.#info?.cluster !== undefined;
  }

  ready(until: number, action: string): Promise<void> {
    if (this.#closed) return Promise.reject(new TransportClosed(this.settings.name));
    if (this.#up) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const told = (error?: Error): void => {
        if (!this.#waiting.delete(told)) return;
        alarm.cancel();
        if (error === undefined) resolve();
        else reject(error);
      };
      this.#waiting.add(told);
      const rest = Math.max(0, until - this.settings.runtime.monotonic());
      const alarm = this.alarms.set(
        rest,
        () => told(unavailable(`Cannot ${action} as no server of NATS can be reached`)),
      );
      if (this.#opened === undefined && !this.#opening) hush(this.#connect());
    });
  }

  flush(): Promise<void> {
    return this.#opened?.connection.flush() ?? Promise.reject(new Error("There is no link"));
  }

  send({ subject, data, lines }: Outgoing, reply: string = ""): void {
    if (this.#opened === undefined) return;
    const { connection, headersOf } = this.#opened;
    connection.publish(subject, data, lines === undefined ? { reply } : { reply, headers: headersOf(lines) });
  }

  ask(message: Outgoing, until: number, answered: Answered): void {
    const { leader } = message;
    const again = message.again === true && this.clustered;
    const ask = askOf(message, { since: this.settings.runtime.monotonic(), until, again }, answered);
    // It would be sent for nothing, and before those that wait.
    if (leader !== undefined && this.elections.missing(leader)) this.#unanswered(ask);
    else this.#put(ask);
  }

  request(message: Outgoing, until: number): Promise<NatsMessage> {
    return new Promise((resolve, reject) =>
      this.ask(message, until, (answer, error) => {
        if (answer === undefined) reject(error);
        else resolve(answer);
      })
    );
  }

  apiSubject(subject: string): string {
    return `${this.settings.apiPrefix}.${subject}`;
  }

  async api<T>(subject: string, body: object | undefined, until: number): Promise<T> {
    const { runtime } = this.settings;
    const data = body === undefined ? "" : JSON.stringify(body);
    const message = { subject: this.apiSubject(subject), data, again: REPEATABLE.test(subject) };
    const begun = runtime.monotonic();
    for (let pause = PAUSE_MIN;; pause = pauseAfter(pause)) {
      try {
        const answer = await this.request(message, until);
        const result: T & { readonly error?: ApiFault } = JSON.parse(decoder.decode(answer.data));
        if (result.error !== undefined) throw new ApiError(result.error);
        return result;
      } catch (error) {
        const passes = isPassing(error) ? until : isShort(error) ? Math.min(until, begun + SHORT) : begun;
        if (!this.clustered || runtime.monotonic() + pause >= passes) throw error;
        await this.elections.rest(pause);
      }
    }
  }

  watch(subject: string, until: number, end: (error: Error) => void): () => void {
    if (!this.#up) {
      end(unavailable("Cannot reach NATS as the link is down"));
      return () => {};
    }
    const since = this.settings.runtime.monotonic();
    const ended: Answered = (_, error) => end(error ?? unavailable("The link is lost"));
    const token = this.#asks.add(askOf({ subject }, { since, until, again: false }, ended));
    return () => void this.#asks.take(token);
  }

  subscribe(hear: (message: NatsMessage) => void, refused: (error: Error) => void = () => {}): Inbox {
    const subject = `${this.#prefix}s${(this.#tokens++).toString(36)}.x`;
    /** Taken away at the end: the client's table of subscriptions may remember this one for long. */
    let hears: typeof hear | undefined = hear;
    const subscription = this.#opened?.connection.subscribe(subject, {
      callback(error, message) {
        if (error === null) hears?.(message);
        else if (hears !== undefined) refused(notPermitted("subscribe to", subject, error));
      },
    });
    return {
      subject,
      drop() {
        hears = undefined;
        subscription?.unsubscribe();
      },
      end: async (now) => {
        // When the link is closed it has listened for long enough.
        if (this.clustered && !now) await this.elections.rest(LATE).catch(() => undefined);
        await subscription?.drain();
        hears = undefined;
      },
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { settings } = this;
    const last = this.#opened;
    if (this.#up && last !== undefined) await briefly(settings.runtime, FLUSH, last.connection.flush());
    this.#up = false;
    this.elections.close();
    // Those that were sent may have been carried out.
    this.#fail(new AnswerLost(new TransportClosed(settings.name)));
    for (const told of [...this.#waiting]) told(new TransportClosed(settings.name));
    this.alarms.clear();
    if (settings.connection !== undefined) {
      for (const subscription of [this.#mux, this.#advisories]) subscription?.unsubscribe();
    }
    if (last !== undefined) await leave(settings, last);
    this.#opened = undefined;
  }

  #heard(error: Error | null, message: NatsMessage): void {
    if (error !== null) return;
    const ask = this.#asks.take(message.subject.slice(this.#prefix.length));
    if (ask === undefined) return;
    if (message.headers?.code === 503) this.#unanswered(ask);
    else ask.answered(message, undefined, ask.again);
  }

  /** No server accepted a message. Where a leader was to, it is sent to the next. */
  #unanswered(ask: Ask): void {
    const { message: { subject, leader }, until, answered } = ask;
    const absent = new NoResponders(`use '${subject}'`);
    if (leader === undefined || !this.clustered) return answered(undefined, absent, ask.again);
    this.elections.elected(leader, until).then(
      () => this.#put(ask),
      (error) => answered(undefined, errorOf(error), ask.again),
    );
  }

  /** Hears answers; begun anew where the server did not permit it. */
  #listen(): void {
    this.#mux ??= this.#opened?.connection.subscribe(`${this.#prefix}*`, {
      callback: (error, message) => this.#heard(error, message),
    });
  }

  /** Sends a message. */
  #put(ask: Ask): void {
    const { message: { subject }, until, answered } = ask;
    const failed = (error: unknown): void => answered(undefined, errorOf(error), ask.again);
    if (!this.#up && !this.clustered) return failed(unavailable("Cannot reach NATS as the link is down"));
    // Another server may be reached in a moment.
    if (!this.#up) return void this.ready(until, `use '${subject}'`).then(() => this.#put(ask), failed);
    const token = this.#asks.add(ask);
    try {
      this.#listen();
      this.send(ask.message, this.#prefix + token);
    } catch (error) {
      this.#asks.take(token);
      failed(error);
    }
  }

  /** A consumer has another leader, which knows nothing of the pulls that wait. */
  #hearElections(): void {
    if (!this.clustered || this.#advisories !== undefined) return;
    this.#advisories = this.#opened?.connection.subscribe(`${ELECTED}*.*`, {
      callback: (error, message) => {
        if (error !== null) return;
        const [stream = "", consumer = ""] = message.subject.slice(ELECTED.length).split(".");
        for (const listener of [...this.listeners]) listener.moved?.(stream, consumer);
      },
    });
  }

  #fail(error: Error, fits: (ask: Ask) => boolean = () => true): void {
    for (const { answered, again } of this.#asks.takeAll(fits)) answered(undefined, error, again);
  }

  #rise(): void {
    this.#up = true;
    this.#info = this.#opened?.connection.info ?? this.#info;
    this.#epoch++;
    hush(this.#measure());
    this.#hearElections();
    this.#asks.repeat();
    for (const told of [...this.#waiting]) told();
  }

  async #measure(): Promise<void> {
    const { runtime } = this.settings;
    const since = runtime.monotonic();
    await this.flush();
    this.#roundTrip = runtime.monotonic() - since;
  }

  #fall(cause: unknown): void {
    if (!this.#up) return;
    this.#up = false;
    const error = unavailable(`The link to NATS is lost: ${messageOf(cause)}`);
    this.#fail(new AnswerLost(error), ({ pause }) => pause === 0);
    for (const listener of [...this.listeners]) listener.down(error);
  }

  async #connect(): Promise<void> {
    const { settings } = this;
    this.#opening = true;
    let made: Opened | undefined;
    try {
      made = await open(settings, settings.servers.length > 1 ? NEXT_TIMEOUT : CONNECT_TIMEOUT);
      if (this.#closed) return await leave(settings, made);
      this.#opened = made;
      this.#prefix = `${settings.inboxPrefix}.${settings.runtime.id()}.`;
      this.#listen();
      hush(this.#watchStatus(made));
      hush(this.#ending(made));
      // It may be broken, as one that was handed over, and come back later.
      if (made.connection.info !== undefined) this.#rise();
    } catch (error) {
      if (made !== undefined) {
        this.#lost(made, error);
        await leave(settings, made);
      }
      const fault = connectFault(error);
      for (const told of [...this.#waiting]) told(fault);
    } finally {
      this.#opening = false;
    }
  }

  async #ending(which: Opened): Promise<void> {
    this.#lost(which, await which.connection.closed());
  }

  /** The connection has ended for good: the next call makes another. */
  #lost(which: Opened, error: unknown): void {
    if (this.#opened !== which) return;
    this.#fall(error ?? "the connection was closed");
    this.#fail(new AnswerLost(error ?? "the connection was closed"));
    this.#opened = undefined;
    this.#mux = undefined;
    this.#advisories = undefined;
  }

  async #watchStatus({ connection }: Opened): Promise<void> {
    // A server that ends a connection says why before, as where the user's token has expired.
    let why: Error | undefined;
    for await (const { type, error } of connection.status()) {
      if (type === "disconnect" || type === "staleConnection") this.#fall(why ?? type);
      else if (type === "reconnect" && !this.#up) this.#rise();
      else if (type === "error" && error !== undefined) this.#forbidden(error);
      why = type === "error" && error?.name !== VIOLATION ? error : undefined;
    }
  }

  /** A permission that is missing is told beside the message that lacked it, which gets no answer. */
  #forbidden(error: Error): void {
    if (error.name !== VIOLATION) return;
    const subject = "subject" in error ? error.subject : undefined;
    // Without the advisories a pull of which no leader knows is given up when its time is over.
    if (typeof subject === "string" && subject.startsWith(ADVISORY)) return;
    if (subject === `${this.#prefix}*`) this.#mux = undefined;
    const sending = "operation" in error && error.operation === "publish";
    this.#fail(
      notPermitted(sending ? "publish to" : "subscribe to", String(subject), error),
      ({ message }) => !sending || message.subject === subject,
    );
  }
}

function notPermitted(verb: string, subject: string, cause: Error): Error {
  return new TransportError(
    "TRANSPORT_FORBIDDEN",
    `Cannot ${verb} '${subject}' as the server permits it not`,
    { cause },
  );
}
