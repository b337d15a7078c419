/**
 * Pulls: how messages come. A poll gets the messages that are there and ends; an open pull waits at the server until a
 * message comes.
 *
 * @module
 */

import type { Alarm } from "../../../flow/alarms.ts";
import { briefly } from "../../../flow/deadline.ts";
import { DeadlineExceeded, errorOf } from "../../../errors.ts";
import type { NatsHeaders, NatsMessage } from "../client/connection.ts";
import { isStreamGone } from "../client/errors.ts";
import type { Inbox, Link } from "../client/link.ts";
import type { OpenPull, PullListener, Pulls, QueueStreams } from "./context.ts";
import { createReader } from "./header.ts";
import { createIncoming } from "./incoming.ts";
import { leaderOf, poll, type Puller, pullOf, receivedOf } from "./poll.ts";
import { bareError, HEARTBEAT, isComplete, isTooMuch, statusError, UNANSWERED } from "./pull_status.ts";
import { createPulse } from "./pulse.ts";
import type { QueueStream } from "./queue_stream.ts";
import type { Received } from "./received.ts";
import type { PullState } from "./subjects.ts";

/** Milliseconds that an open pull waits at the server. */
const OPEN = 120_000;
/** Milliseconds after which it is taken for over, though the server has not said so. */
const FORGOTTEN = OPEN + 5_000;
/** Milliseconds between two signs of an open pull's leader in a cluster, and until the pull is given up. */
const BEAT = 3_000;
const MISSED = 7_500;
const NANOS = 1_000_000;
/** Milliseconds for which a poll under way is waited for when its pull is given up. */
const LAST = 1_000;
/** Milliseconds in which jobs on their way come, and go back, at least and at most; and round trips that each takes. */
const PATIENCE = 250;
const PATIENCE_MOST = 3_000;
const TRIPS = 4;

/** Makes pulls of a link. */
export function createPulls(
  link: Link,
  streams: QueueStreams,
  stray: (received: Received) => void,
): Pulls {
  const pulse = createPulse(link);
  const incoming = createIncoming(link);
  const puller: Puller = { link, streams, pulse, incoming, reader: createReader(), stray };
  return {
    get roundTrip() {
      return pulse.roundTrip;
    },
    get patience() {
      return Math.max(PATIENCE, Math.min(PATIENCE_MOST, TRIPS * pulse.atMost));
    },
    poll: (queueStream, state, batch, until) => poll(puller, { queueStream, state, batch, until }),
    open: (queueStream, state, pulls, listener) =>
      new Open(puller, queueStream, state, incoming.ofOpen(pulls), listener).begin(),
  };
}

/** One open pull. */
class Open {
  readonly #puller: Puller;
  readonly #queueStream: QueueStream;
  readonly #state: PullState;
  /** Bytes that it may bring: a job that is larger is polled for. */
  readonly #bytes: number;
  readonly #listener: PullListener;
  readonly #begun: number;
  readonly #inbox: Inbox;
  #left = false;
  /** The server has sent all that it will. */
  #told = false;
  /** The poll for a job that is too large for it. */
  #polling: Promise<void> | undefined;
  #heard: number;
  #watchdog: Alarm | undefined;
  #unwatch: (() => void) | undefined;

  constructor(
    puller: Puller,
    queueStream: QueueStream,
    state: PullState,
    bytes: number,
    listener: PullListener,
  ) {
    this.#puller = puller;
    this.#queueStream = queueStream;
    this.#state = state;
    this.#bytes = bytes;
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
    const body = { batch: 1, max_bytes: this.#bytes, expires: OPEN * NANOS, ...beat };
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
    const bare = bareError(this.#queueStream, message, this.#heard);
    if (bare !== undefined) return this.#left ? undefined : this.#ended(bare);
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
    if (isTooMuch(headers)) {
      // The poll ends by itself; another pull beside it would ask for the same job.
      this.#watchdog?.cancel();
      return void (this.#polling = this.#poll());
    }
    this.#ended(statusError(this.#queueStream, headers));
  }

  /** The job that came is larger than what it asked for: until it is here, this pull counts as open. */
  async #poll(): Promise<void> {
    const until = this.#puller.link.settings.runtime.monotonic() + OPEN;
    const asked = { queueStream: this.#queueStream, state: this.#state, batch: 1, until };
    let gone: Error | undefined;
    try {
      for (const received of await poll(this.#puller, asked)) this.#listener.arrived(received);
    } catch (error) {
      gone = error instanceof DeadlineExceeded ? undefined : errorOf(error);
    }
    // All pulls are dropped with the link.
    if (this.#puller.link.up && !this.#left) this.#ended(gone);
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
    if (this.#polling === undefined) return Promise.resolve();
    // It may wait for other queues' polls: no close waits for those.
    return briefly(this.#puller.link.settings.runtime, LAST, this.#polling);
  }
}
