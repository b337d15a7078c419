/**
 * The context of a transport: the parts that its calls share.
 *
 * @module
 */

import type { Alarms } from "../../flow/alarms.ts";
import type { ReserveOptions } from "../../jobs/exchange.ts";
import type { Link } from "./client/link.ts";
import type { Batches } from "./stream/batch.ts";
import type { Deaths } from "./stream/deaths.ts";
import type { Deliveries } from "./stream/deliveries.ts";
import type { InFlight } from "./stream/in_flight.ts";
import type { Pulls } from "./stream/pulls.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import type { QueueStreams } from "./stream/queue_streams.ts";
import type { Received } from "./stream/received.ts";
import type { Room } from "./stream/room.ts";
import type { ServerClock } from "./stream/server_clock.ts";
import type { PullState } from "./stream/subjects.ts";

/** A reserve call that waits. */
export interface Waiter {
  readonly queueStreams: readonly QueueStream[];
  readonly slots: number;
  /**
   * Waited for before this process takes back a delivery that it holds itself: the worker may settle or extend it
   * first.
   */
  readonly ready: ReserveOptions["ready"];
  /** A first job came: it is the waiter's, which waits no more. */
  got(received: Received): void;
  /** There is nothing to wait for any more. */
  failed(error: Error): void;
}

/** The reserve calls that wait, and their open pulls. */
export interface Waiters {
  readonly alarms: Alarms;
  /** Whether a state is known to be empty, as a pull is open for it. */
  isOpen(queueStream: QueueStream, state: PullState): boolean;
  /** Opens pulls for states of a queue. */
  open(queueStream: QueueStream, states: readonly PullState[]): void;
  join(waiter: Waiter): void;
  leave(waiter: Waiter): void;
  /** Takes out jobs that came while no call waited. */
  spare(queueStream: QueueStream, limit: number, slots: number): Received[];
  /** Resolves when something comes while no call waits, or so many milliseconds later. */
  comes(queueStream: QueueStream, ms: number): Promise<void>;
  /** Resolves when the moves that this process makes by itself have ended; undefined when it makes none. */
  moving(queueStream: QueueStream): Promise<unknown> | undefined;
  /** Takes in a job that came for no call in particular. */
  stray(received: Received): void;
  /** Forgets the open pulls, as the link to their server is lost. */
  reset(): void;
  /** Opens pulls anew where a consumer has another leader. */
  moved(stream: string, consumer: string): void;
  close(): Promise<void>;
}

/** The parts of one transport. */
export interface Context {
  readonly link: Link;
  readonly clock: ServerClock;
  readonly streams: QueueStreams;
  readonly deliveries: Deliveries;
  readonly pulls: Pulls;
  readonly batches: Batches;
  readonly waiters: Waiters;
  readonly inFlight: InFlight;
  readonly deaths: Deaths;
  readonly room: Room;
  /** Maintains queues now and then. */
  readonly tend: (queueStreams: readonly QueueStream[]) => void;
}
