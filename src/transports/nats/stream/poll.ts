/**
 * Polls: pulls that get the messages that are there, and end.
 *
 * @module
 */

import type { Alarm } from "../../../flow/alarms.ts";
import { errorOf } from "../../../errors.ts";
import { hush } from "../../../promises.ts";
import type { NatsHeaders, NatsMessage } from "../client/connection.ts";
import { isStreamGone } from "../client/errors.ts";
import { consumerLeader, type Inbox, type Link } from "../client/link.ts";
import { wasLetGo } from "./acknowledge.ts";
import { stateOf } from "./consumer_state.ts";
import type { QueueStreams } from "./context.ts";
import type { Reader } from "./header.ts";
import type { Incoming, Share } from "./incoming.ts";
import { deliveredOf, pack, unpack } from "./message.ts";
import { tooLarge } from "./publish.ts";
import { bareError, isComplete, isMoved, isTooMuch, leftOf, statusError, UNANSWERED } from "./pull_status.ts";
import type { Pulse } from "./pulse.ts";
import type { QueueStream } from "./queue_stream.ts";
import { Received, worthUntil } from "./received.ts";
import { isLiveSubject, type PullState, rawId } from "./subjects.ts";

/** The parts that pulls share. */
export interface Puller {
  readonly link: Link;
  readonly streams: QueueStreams;
  readonly pulse: Pulse;
  readonly incoming: Incoming;
  readonly reader: Reader;
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
/** Bytes of a message beside its payload and its metadata, about. */
const AROUND = 512;

export function leaderOf({ stream, consumers }: QueueStream, state: PullState): string {
  return consumerLeader(stream, consumers[state]);
}

/** Where a consumer is asked for jobs. */
export function pullOf(link: Link, { stream, consumers }: QueueStream, state: PullState): string {
  return link.apiSubject(`CONSUMER.MSG.NEXT.${stream}.${consumers[state]}`);
}

/** A message that came. */
export function receivedOf(
  { reader, link }: Puller,
  queueStream: QueueStream,
  state: PullState,
  message: NatsMessage,
  reply: string,
  at: number,
): Received {
  const delivered = deliveredOf(reply);
  const { seq, count } = delivered;
  const { data, subject } = message;
  const header = reader.headerOf(message, data);
  const record = unpack(header, queueStream.rawName, seq);
  if (seq > queueStream.seen[state]) queueStream.seen[state] = seq;
  // A foreign entry may share its subject with others, which no condition tells apart. Through an account that imports
  // JetStream a message bears the subject of the answer.
  const isForeign = subject.startsWith(queueStream.base)
    ? !isLiveSubject(queueStream.base, subject, state, record.id)
    : header === "";
  const again = count > 1 && !wasLetGo(queueStream, seq, count) ? "lost" : undefined;
  if (!isForeign) {
    return new Received(queueStream, state, at, again, reply, delivered, record, reader.keep(data));
  }
  const own = { ...record, id: rawId(seq) };
  // One that fills all that the server accepts finds no room for our header line: it is handed over as it lies there.
  const returns = tooLarge(link, queueStream, pack(own), data, 0) === undefined ? "raw" : again;
  return new Received(queueStream, state, at, returns, reply, delivered, own, reader.keep(data));
}

/** The jobs that a poll asks for. */
export interface Asked {
  readonly queueStream: QueueStream;
  readonly state: PullState;
  readonly batch: number;
  readonly until: number;
}

/** Gets the messages that are there. */
export function poll(puller: Puller, asked: Asked): Promise<Received[]> {
  return new Promise((resolve, reject) => {
    puller.pulse.compare(asked.queueStream);
    new Poll(puller, asked, resolve, reject).begin();
  });
}

class Poll {
  readonly #puller: Puller;
  readonly #queueStream: QueueStream;
  readonly #state: PullState;
  readonly #batch: number;
  readonly #until: number;
  readonly #resolve: (all: Received[]) => void;
  readonly #reject: (error: Error) => void;
  readonly #all: Received[] = [];
  readonly #inbox: Inbox;
  readonly #share: Share;
  /** When it first asked for what comes. */
  #at = Infinity;
  /** Bytes that have come, about. */
  #came = 0;
  #over = false;
  /** How many jobs come, and whether the server has said so: else as many as it asked for at most. */
  #wanted: number;
  #told = false;
  #pause = SILENCE;
  #heard = -Infinity;
  #electing = false;
  /** It has asked for one job of any size, and was not silent since; and whether its share is all that there is. */
  #asksOne = false;
  #isAlone = false;
  #silence: Alarm | undefined;
  #unwatch: (() => void) | undefined;

  constructor(
    puller: Puller,
    { queueStream, state, batch, until }: Asked,
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
    this.#share = puller.incoming.share();
    // A message bears the subject it was published to, so that each pull needs a subscription of its own.
    this.#inbox = puller.link.subscribe((message) => this.#hear(message));
  }

  begin(): void {
    const { link } = this.#puller;
    // A link that is down ends it at once.
    this.#unwatch = link.watch(
      pullOf(link, this.#queueStream, this.#state),
      this.#until,
      (error) => this.#end(error),
    );
    if (this.#over) return this.#unwatch();
    this.#askAll();
  }

  #askAll(): void {
    this.#share.take(this.#batch, this.#queueStream.mean, (bytes) => {
      this.#start();
      this.#ask({ batch: this.#batch, max_bytes: bytes });
    });
  }

  /**
   * The lease of what comes begins no earlier: the wait for other polls is no part of it, nor of a round trip. Where the
   * server was silent, what it was asked before may be answered still.
   */
  #start(): void {
    if (this.#pause === SILENCE) this.#at = this.#puller.link.settings.runtime.monotonic();
    this.#listen(SILENCE);
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
    this.#share.leave(this.#came);
    this.#learn();
    const isShort = this.#all.length < this.#wanted && this.#queueStream.replicas > 1;
    const isLate = error !== undefined || this.#pause > SILENCE;
    if (isLate || isShort) hush(this.#hearOn(isLate));
    else this.#inbox.drop();
    if (error === undefined) return this.#resolve(this.#all);
    for (const received of this.#all) this.#puller.stray(received);
    this.#reject(error);
  }

  /** Takes in how large the jobs of this queue are. */
  #learn(): void {
    const { mean } = this.#queueStream;
    if (this.#all.length === 0) return;
    const size = this.#came / this.#all.length;
    this.#queueStream.mean = mean === 0 ? size : (3 * mean + size) / 4;
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
    const bare = bareError(this.#queueStream, message, this.#puller.link.settings.runtime.monotonic());
    if (bare !== undefined) return this.#unfit(bare);
    const received = receivedOf(this.#puller, this.#queueStream, this.#state, message, reply, this.#at);
    if (this.#over) return this.#puller.stray(received);
    this.#came += received.payload.length + received.record.meta.length + AROUND;
    this.#all.push(received);
    if (this.#all.length >= this.#wanted) return this.#end();
    this.#heard = this.#puller.link.settings.runtime.monotonic();
    // One anew for each message would cost more than to read it.
    if (this.#all.length === 1) this.#listen(SILENCE);
  }

  #status(headers: NatsHeaders | undefined): void {
    const { link } = this.#puller;
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
    if (gone === undefined) this.#end();
    else this.#unfit(gone);
  }

  /** The next reserve checks the stream and its consumers anew. */
  #unfit(error: Error): void {
    this.#puller.streams.forget(this.#queueStream);
    this.#end(error);
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
    // A leader that died sends no more of what it told, and other queues' may be well.
    if (this.#pause >= SILENCE_MOST) {
      this.#told = false;
      if (link.clustered) this.#giveWay();
    }
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

  /** Asks for one job of any size, once nothing else is on its way. */
  #askOne(): void {
    if (this.#asksOne) return;
    this.#asksOne = true;
    this.#told = false;
    this.#wanted = 1;
    if (this.#isAlone) return this.#ask({ batch: 1 });
    this.#isAlone = true;
    this.#silence?.cancel();
    this.#share.takeAll(() => {
      this.#start();
      this.#ask({ batch: 1 });
    });
  }

  /** Other polls need not wait for this one any more. */
  #giveWay(): void {
    this.#share.pause();
    this.#isAlone = false;
  }

  #election(): void {
    if (this.#electing) return;
    this.#electing = true;
    this.#silence?.cancel();
    // Nothing comes until there is a leader.
    this.#giveWay();
    this.#asksOne = false;
    this.#wanted = this.#batch;
    const { link } = this.#puller;
    link.elections.elected(leaderOf(this.#queueStream, this.#state), this.#until).then(() => {
      this.#electing = false;
      if (!this.#over) this.#askAll();
    }, (error) => {
      if (isStreamGone(error)) this.#unfit(errorOf(error));
      else this.#end(errorOf(error));
    });
  }
}
