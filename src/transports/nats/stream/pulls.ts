/**
 * Pulls: how messages come. A poll gets the messages that are there and ends; an open pull waits at the server until a
 * message comes.
 *
 * @module
 */

import { errorOf } from "../../../errors.ts";
import { hush } from "../../../promises.ts";
import type { NatsHeaders, NatsMessage } from "../client/connection.ts";
import { isStreamGone } from "../client/errors.ts";
import { consumerLeader, type Inbox, type Link } from "../client/link.ts";
import { stateOf } from "./consumer_state.ts";
import { wasLetGo } from "./acknowledge.ts";
import { createKeeper, headerOf } from "./header.ts";
import { deliveredOf, pack, unpack } from "./message.ts";
import { tooLarge } from "./publish.ts";
import type { QueueStream } from "./queue_stream.ts";
import type { OpenPull, PullListener, Pulls, QueueStreams } from "./context.ts";
import { HEARTBEAT, isComplete, isMoved, isTooMuch, leftOf, statusError, UNANSWERED } from "./pull_status.ts";
import { Received, worthUntil } from "./received.ts";
import { liveSubject, type PullState, rawId } from "./subjects.ts";
import type { Alarm } from "../../../flow/alarms.ts";
import { createPulse, type Pulse } from "./pulse.ts";

/** The parts that pulls share. */
interface Puller {
  readonly link: Link;
  readonly streams: QueueStreams;
  readonly pulse: Pulse;
  readonly keep: (body: Uint8Array) => Uint8Array;
  /** Takes in messages that come behind the end of their poll. */
  readonly stray: (received: Received) => void;
}

/**
 * Milliseconds without a word from the server: where another pull got the message that it saw, it waits for more, and
 * says nothing. So it is asked again, half as often each time: its silence never means that nothing is there.
 */
const SILENCE = 250;
/** As long at most in a cluster, where the server that was asked may have died. */
const SILENCE_MOST = 2_000;
/** Milliseconds that an open pull waits at the server. */
const OPEN = 120_000;
/** Milliseconds after which it is taken for over, though the server has not said so. */
const FORGOTTEN = OPEN + 5_000;
/** Milliseconds between two signs of an open pull's leader in a cluster, and until the pull is given up. */
const BEAT = 3_000;
const MISSED = 7_500;
/** Bytes of messages that a poll asks for: a server cuts a connection that it cannot empty. */
const BYTES = 512 * 1024;
const NANOS = 1_000_000;

/** Makes pulls of a link. */
export function createPulls(
  link: Link,
  streams: QueueStreams,
  stray: (received: Received) => void,
): Pulls {
  const pulse = createPulse(link);
  const puller: Puller = { link, streams, pulse, keep: createKeeper(), stray };
  return {
    get roundTrip() {
      return pulse.roundTrip;
    },
    poll: (queueStream, state, batch, until) =>
      new Promise((resolve, reject) => {
        pulse.compare(queueStream);
        new Poll(puller, queueStream, state, batch, until, resolve, reject).begin();
      }),
    open: (queueStream, state, listener) => new Open(puller, queueStream, state, listener).begin(),
  };
}

function receivedOf(
  { keep, link }: Puller,
  queueStream: QueueStream,
  state: PullState,
  message: NatsMessage,
  reply: string,
  at: number,
): Received {
  const delivered = deliveredOf(reply);
  const { seq, count } = delivered;
  const { data, subject } = message;
  const header = headerOf(message, data);
  const record = unpack(header, queueStream.rawName, seq);
  if (seq > queueStream.seen[state]) queueStream.seen[state] = seq;
  // A foreign entry may share its subject with others, which no condition tells apart. Through an account that imports
  // JetStream a message bears the subject of the answer.
  const isForeign = subject.startsWith(queueStream.base)
    ? subject !== liveSubject(queueStream.base, state, record.id)
    : header === "";
  const again = count > 1 && !wasLetGo(queueStream, seq, count) ? "lost" : undefined;
  if (!isForeign) return new Received(queueStream, state, at, again, reply, delivered, record, keep(data));
  const own = { ...record, id: rawId(seq) };
  // One that fills all that the server accepts finds no room for our header line: it is handed over as it lies there.
  const returns = tooLarge(link, queueStream, pack(own), data, 0) === undefined ? "raw" : again;
  return new Received(queueStream, state, at, returns, reply, delivered, own, keep(data));
}

/** One poll. */
class Poll {
  readonly #puller: Puller;
  readonly #queueStream: QueueStream;
  readonly #state: PullState;
  readonly #batch: number;
  readonly #until: number;
  readonly #resolve: (all: Received[]) => void;
  readonly #reject: (error: Error) => void;
  readonly #at: number;
  readonly #all: Received[] = [];
  readonly #inbox: Inbox;
  #over = false;
  /** How many jobs come, and whether the server has said so: else as many as it asked for at most. */
  #wanted: number;
  #told = false;
  #pause = SILENCE;
  #heard = -Infinity;
  #electing = false;
  /** It has asked for one job of any size, and was not silent since. */
  #asksOne = false;
  #silence: Alarm | undefined;
  #unwatch: (() => void) | undefined;

  constructor(
    puller: Puller,
    queueStream: QueueStream,
    state: PullState,
    batch: number,
    until: number,
    resolve: (all: Received[]) => void,
    reject: (error: Error) => void,
  ) {
    this.#puller = puller;
    this.#queueStream = queueStream;
    this.#state = state;
    this.#batch = this.#wanted = batch;
    this.#until = until;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#at = puller.link.settings.runtime.monotonic();
    // A message bears the subject it was published to, so that each pull needs a subscription of its own.
    this.#inbox = puller.link.subscribe((message) => this.#hear(message));
  }

  begin(): void {
    const { link } = this.#puller;
    this.#listen(SILENCE);
    // A link that is down ends it at once.
    this.#unwatch = link.watch(
      pullOf(link, this.#queueStream, this.#state),
      this.#until,
      (error) => this.#end(error),
    );
    if (this.#over) this.#unwatch();
    else this.#ask({ batch: this.#batch, max_bytes: BYTES });
  }

  #ask(body: object): void {
    const { link } = this.#puller;
    const subject = pullOf(link, this.#queueStream, this.#state);
    link.send({ subject, data: JSON.stringify({ ...body, no_wait: true }) }, this.#inbox.subject);
  }

  /**
   * Messages of a second question, or of a server that was silent, come late: they are heard meanwhile. So are those
   * of a consumer with copies: they come once most copies know that they are handed over, and words do not wait.
   */
  #end(error?: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#silence?.cancel();
    this.#unwatch?.();
    const isShort = this.#all.length < this.#wanted && this.#queueStream.replicas > 1;
    const isLate = error !== undefined || this.#pause > SILENCE;
    if (isLate || isShort) hush(this.#hearOn(isLate));
    else this.#inbox.drop();
    if (error === undefined) return this.#resolve(this.#all);
    for (const received of this.#all) this.#puller.stray(received);
    this.#reject(error);
  }

  /** Hears messages that come late, unless none can. */
  async #hearOn(isLate: boolean): Promise<void> {
    const { link } = this.#puller;
    const queueStream = this.#queueStream;
    queueStream.late++;
    try {
      const soon = link.settings.runtime.monotonic() + SILENCE_MOST;
      const known = isLate
        ? undefined
        : await stateOf({ link, queueStream, until: soon }, this.#state).catch(() => undefined);
      if (known !== undefined && known.delivered.stream_seq <= queueStream.seen[this.#state]) {
        return this.#inbox.drop();
      }
      await this.#inbox.end(false);
    } finally {
      queueStream.late--;
    }
  }

  #hear(message: NatsMessage): void {
    const { reply } = message;
    // Later ones may be answers to the same question.
    if (this.#all.length === 0 && this.#pause === SILENCE && !this.#over) {
      const { pulse, link: { settings: { runtime } } } = this.#puller;
      pulse.took(runtime.monotonic() - this.#at);
    }
    if (reply === undefined || reply === "") return this.#status(message.headers);
    const received = receivedOf(this.#puller, this.#queueStream, this.#state, message, reply, this.#at);
    if (this.#over) return this.#puller.stray(received);
    this.#all.push(received);
    if (this.#all.length >= this.#wanted) return this.#end();
    this.#heard = this.#puller.link.settings.runtime.monotonic();
    // One anew for each message would cost more than to read it.
    if (this.#all.length === 1) this.#listen(SILENCE);
  }

  #status(headers: NatsHeaders | undefined): void {
    const { link, streams } = this.#puller;
    const none = this.#all.length === 0;
    if (this.#over || (none && isMoved(headers))) return;
    const left = leftOf(headers);
    if (left !== undefined && !isMoved(headers)) {
      this.#told = true;
      this.#wanted = this.#batch - left;
    }
    // What it was sent is on its way.
    if (isComplete(headers) || (this.#told && this.#all.length < this.#wanted)) return;
    if (none && headers?.code === UNANSWERED && link.clustered) return this.#election();
    // The first that waits is larger than all that was asked for.
    if (none && isTooMuch(headers)) return this.#askOne();
    const gone = statusError(this.#queueStream, headers);
    if (gone !== undefined) streams.forget(this.#queueStream);
    this.#end(gone);
  }

  #listen(ms: number): void {
    this.#silence?.cancel();
    this.#silence = this.#puller.link.alarms.set(ms, () => this.#quiet());
  }

  #quiet(): void {
    const { link } = this.#puller;
    const rest = this.#heard + SILENCE - link.settings.runtime.monotonic();
    if (rest > 0) return this.#listen(rest);
    this.#pause = link.clustered ? Math.min(SILENCE_MOST, 2 * this.#pause) : 2 * this.#pause;
    // A leader that died sends no more of what it told.
    if (this.#pause >= SILENCE_MOST) this.#told = false;
    const [first] = this.#all;
    const worth = first === undefined ? Infinity : worthUntil(first) - link.settings.runtime.monotonic();
    if (first !== undefined && (!this.#told || worth <= 0)) return this.#end();
    this.#listen(Math.min(this.#pause, worth));
    if (this.#told) return;
    this.#wanted = this.#batch;
    this.#asksOne = false;
    // No job is as small: a server that was frozen answers all questions at once, and only one with a job.
    this.#ask({ batch: 1, max_bytes: 1 });
  }

  #askOne(): void {
    if (this.#asksOne) return;
    this.#asksOne = true;
    this.#told = false;
    this.#wanted = 1;
    this.#ask({ batch: 1 });
  }

  #election(): void {
    if (this.#electing) return;
    this.#electing = true;
    this.#silence?.cancel();
    const { link, streams } = this.#puller;
    link.elections.elected(leaderOf(this.#queueStream, this.#state), this.#until).then(() => {
      this.#electing = false;
      if (this.#over) return;
      this.#listen(SILENCE);
      this.#ask({ batch: this.#batch, max_bytes: BYTES });
    }, (error) => {
      if (isStreamGone(error)) streams.forget(this.#queueStream);
      this.#end(errorOf(error));
    });
  }
}

/** One open pull. */
class Open {
  readonly #puller: Puller;
  readonly #queueStream: QueueStream;
  readonly #state: PullState;
  readonly #listener: PullListener;
  readonly #begun: number;
  readonly #inbox: Inbox;
  #left = false;
  /** The server has sent all that it will. */
  #told = false;
  #heard: number;
  #watchdog: Alarm | undefined;
  #unwatch: (() => void) | undefined;

  constructor(puller: Puller, queueStream: QueueStream, state: PullState, listener: PullListener) {
    this.#puller = puller;
    this.#queueStream = queueStream;
    this.#state = state;
    this.#listener = listener;
    this.#begun = this.#heard = puller.link.settings.runtime.monotonic();
    // Without its inbox it would wait for a message that it cannot hear until its time is over.
    this.#inbox = puller.link.subscribe(
      (message) => this.#hear(message),
      (refusal) => this.#left || this.#ended(refusal),
    );
  }

  begin(): OpenPull {
    const { link, pulse } = this.#puller;
    pulse.add(this, this.#queueStream.ackWait);
    this.#watch();
    // A question that the server permits not gets no answer. All pulls are dropped with the link.
    const refused = (error: Error): void => {
      if (link.up && !this.#left) this.#ended(error);
    };
    this.#unwatch = link.watch(pullOf(link, this.#queueStream, this.#state), Infinity, refused);
    this.#wait();
    return { end: (now) => this.#finish(now) };
  }

  #wait(): void {
    const { link } = this.#puller;
    const beat = link.clustered ? { idle_heartbeat: BEAT * NANOS } : {};
    const body = { batch: 1, expires: OPEN * NANOS, ...beat };
    const subject = pullOf(link, this.#queueStream, this.#state);
    link.send({ subject, data: JSON.stringify(body) }, this.#inbox.subject);
  }

  #leave(): void {
    this.#left = true;
    this.#puller.pulse.remove(this);
    this.#watchdog?.cancel();
    this.#unwatch?.();
  }

  #ended(gone?: Error): void {
    this.#leave();
    if (isStreamGone(gone)) this.#puller.streams.forget(this.#queueStream);
    this.#listener.over(gone);
  }

  #hear(message: NatsMessage): void {
    const { link, pulse } = this.#puller;
    const { reply } = message;
    this.#heard = link.settings.runtime.monotonic();
    if (reply === undefined || reply === "") return this.#status(message.headers);
    const at = Math.max(this.#begun, pulse.answered);
    const received = receivedOf(this.#puller, this.#queueStream, this.#state, message, reply, at);
    const wasLeft = this.#left;
    this.#told = true;
    if (!wasLeft) this.#leave();
    this.#listener.arrived(received);
    if (!wasLeft) this.#listener.over();
  }

  #status(headers: NatsHeaders | undefined): void {
    const { link } = this.#puller;
    if (headers?.code === HEARTBEAT || isComplete(headers) || this.#left) return;
    if (headers?.code === UNANSWERED && link.clustered) {
      return void link.elections.elected(leaderOf(this.#queueStream, this.#state), this.#begun + OPEN).then(
        () => this.#left || this.#wait(),
        (error) => this.#left || this.#ended(errorOf(error)),
      );
    }
    this.#told = true;
    this.#ended(statusError(this.#queueStream, headers));
  }

  /** A leader that died has told nothing, nor has one that could not reach this process for a moment. */
  #watch(): void {
    const { link } = this.#puller;
    const end = link.clustered ? this.#heard + MISSED : this.#begun + FORGOTTEN;
    const rest = end - link.settings.runtime.monotonic();
    if (rest <= 0) return this.#ended();
    this.#watchdog = link.alarms.set(rest, () => this.#watch());
  }

  #finish(now: boolean): Promise<void> {
    this.#leave();
    if (!this.#told) return this.#inbox.end(now);
    this.#inbox.drop();
    return Promise.resolve();
  }
}

function leaderOf({ stream, consumers }: QueueStream, state: PullState): string {
  return consumerLeader(stream, consumers[state]);
}

/** Where a consumer is asked for jobs. */
function pullOf(link: Link, { stream, consumers }: QueueStream, state: PullState): string {
  return link.apiSubject(`CONSUMER.MSG.NEXT.${stream}.${consumers[state]}`);
}
