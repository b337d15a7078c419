/**
 * The instant before which a message that comes cannot have been sent. Bytes may lie in a socket while this thread is
 * busy, or be under way on a link that stalls, and the lease of the job that they bring runs meanwhile. A server
 * answers a PING behind all that it has sent before: so a message that comes behind an answer was sent later than its
 * PING.
 *
 * @module
 */

import { hush } from "../../../promises.ts";
import type { Link } from "../client/link.ts";
import type { QueueStream } from "./queue_stream.ts";

/** Asks a server now and then, while a pull waits. */
export interface Pulse {
  /** When the last PING was sent whose answer has come, on the monotonic clock. */
  readonly answered: number;
  /** Milliseconds that a question and its answer take at least, by the last few; 0 while none is known. */
  readonly roundTrip: number;
  /** The same by as many as there were, that of the link's beginning among them: too long where this thread was busy. */
  readonly atMost: number;
  /** Takes in how long a question and its answer took. */
  took(ms: number): void;
  /** Warns once where the leases of a stream are short for the link. */
  compare(queueStream: Pick<QueueStream, "stream" | "ackWait">): void;
  /** A pull waits, of a queue with that lease. */
  add(pull: object, lease: number): void;
  remove(pull: object): void;
}

/** PINGs in the time of a lease, and the milliseconds between two at least and at most. */
const PINGS = 10;
const PAUSE_MIN = 20;
const PAUSE_MAX = 2_000;
/** Round trips by which the time of one is judged: the others may have waited for this thread. */
const LAST = 5;
/**
 * Round trips that a lease must be as long as at least: a delivery comes, its end or its extension goes, and is
 * answered.
 */
const TRIPS = 3;

/** Makes the pulse of a link. */
export function createPulse(link: Link): Pulse {
  const { runtime } = link.settings;
  const waiting = new Map<object, number>();
  const trips: number[] = [];
  const told = new Set<string>();
  let answered = -Infinity;
  let beating = false;

  function ping(): void {
    const sentAt = runtime.monotonic();
    const heard = (): void => {
      answered = Math.max(answered, sentAt);
      took(runtime.monotonic() - sentAt);
    };
    hush(link.flush().then(heard));
  }

  function took(ms: number): void {
    if (trips.push(ms) > LAST) trips.shift();
  }

  function roundTrip(): number {
    return trips.length < LAST ? 0 : Math.min(...trips);
  }

  function beat(): void {
    if (beating || waiting.size === 0) return;
    beating = true;
    link.alarms.set(Math.min(...waiting.values()), () => {
      beating = false;
      if (waiting.size > 0 && link.up) ping();
      beat();
    });
  }

  return {
    get answered() {
      return answered;
    },
    get roundTrip() {
      return roundTrip();
    },
    get atMost() {
      return Math.min(link.roundTrip, ...trips);
    },
    took,
    compare({ stream, ackWait }) {
      const wanted = Math.ceil(roundTrip() * TRIPS);
      if (wanted <= ackWait || told.has(stream)) return;
      told.add(stream);
      link.settings.warn(
        `A question to NATS and its answer take ${
          Math.round(roundTrip())
        } ms, which leaves jobs of stream '${stream}' ` +
          `little of their lease of ${ackWait} ms: set 'ackWait', and that of consumers that are there, to ${wanted} ms ` +
          `at least`,
      );
    },
    add(pull, lease) {
      waiting.set(pull, Math.max(PAUSE_MIN, Math.min(PAUSE_MAX, lease / PINGS)));
      beat();
    },
    remove: (pull) => void waiting.delete(pull),
  };
}
