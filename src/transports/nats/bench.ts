/**
 * What the rooms of this adapter work with, and the window that bounds what is on its way to the server.
 *
 * @module
 */

import type { Alarms } from "../../alarms.ts";
import type { ServerClock } from "./clock.ts";
import type { Deaths } from "./deaths.ts";
import type { Holding } from "./held.ts";
import type { Link } from "./link.ts";
import type { Line } from "./names.ts";
import type { Place } from "./place.ts";
import type { Places } from "./places.ts";
import type { Arrival } from "./arrival.ts";
import type { Pulls } from "./pulls.ts";

/** Somebody who waits. */
export interface Waiter {
  readonly places: readonly Place[];
  readonly slots: number;
  /** A first job came: it is the waiter's, who waits no more. */
  got(arrival: Arrival): void;
  /** There is nothing to wait at any more. */
  failed(error: Error): void;
}

/** The crowd. */
export interface Crowd {
  readonly alarms: Alarms;
  /** Whether a line is known to be empty, as somebody stands at it. */
  stands(place: Place, line: Line): boolean;
  /** Stands at the lines of a queue. */
  keep(place: Place, lines: readonly Line[]): void;
  join(waiter: Waiter): void;
  leave(waiter: Waiter): void;
  /** Takes jobs that came for nobody. */
  spare(place: Place, limit: number, slots: number): Arrival[];
  /** Resolves when something came for nobody, or so many milliseconds later. */
  hope(place: Place, ms: number): Promise<void>;
  /** Resolves when what this process moves by itself has been moved; undefined when it moves nothing. */
  moving(place: Place): Promise<unknown> | undefined;
  /** Takes in what came for nobody in particular. */
  stray(arrival: Arrival): void;
  /** Forgets what was known of the server. */
  reset(): void;
  /** Stands anew where a consumer has another leader. */
  moved(stream: string, consumer: string): void;
  close(): Promise<void>;
}

/** Jobs that the server has given up. */
export interface Stranded {
  /** Hears of them from now on. */
  listen(place: Place): void;
  /** Looks for them; how many were sent on, and how many there are of which it is not known yet which they are. */
  rescue(place: Place, until: number): Promise<{ readonly sent: number; readonly left: number }>;
  /** The same for those who ask often, but not again within a second. */
  glance(place: Place, until: number): Promise<void>;
}

/** Delayed jobs that are due soon. */
export interface Calendar {
  /** Takes in delayed jobs that were read: holds them until they are due, or parks them at the server. */
  take(arrivals: readonly Arrival[]): void;
  /** Goes on with a queue's after the link was down. */
  wake(place: Place): void;
  /**
   * Resolves when those of a queue that are due were moved; at the latest when a page of them was, or at `until` (on the
   * monotonic clock): whoever waits for the stream's leader there needs not hold up others.
   */
  flush(place: Place, until: number): Promise<void>;
  /** Does something while none of a queue is being moved, and so none is in two lines. */
  still<T>(place: Place, work: () => Promise<T>): Promise<T>;
  /** Those of a queue that are due and not yet moved: how many, and the earliest due time. */
  due(place: Place): { readonly count: number; readonly oldest: number };
  /** The link is down. */
  reset(): void;
  /** Gives all to others. */
  close(): void;
}

/** The parts of one transport. */
export interface Bench {
  readonly link: Link;
  readonly clock: ServerClock;
  readonly places: Places;
  readonly holding: Holding;
  readonly pulls: Pulls;
  readonly crowd: Crowd;
  readonly calendar: Calendar;
  readonly window: Window;
  readonly deaths: Deaths;
  readonly stranded: Stranded;
  /** Looks after queues now and then. */
  readonly tend: (places: readonly Place[]) => void;
}

/** Bounds the jobs and bytes that were sent and not answered: a server refuses what it cannot keep up with. */
export interface Window {
  /** Undefined when there is room, else a promise of room; counted from then on. */
  enter(bytes: number): Promise<void> | undefined;
  leave(bytes: number): void;
}

const MAX_JOBS = 1_000;
const MAX_BYTES = 16 * 1024 * 1024;

/** Makes an empty window. */
export function createWindow(): Window {
  const waiting: { readonly bytes: number; readonly resolve: () => void }[] = [];
  let jobs = 0;
  let size = 0;

  function fits(bytes: number): boolean {
    return jobs === 0 || (jobs < MAX_JOBS && size + bytes <= MAX_BYTES);
  }

  function count(bytes: number): void {
    jobs++;
    size += bytes;
  }

  return {
    enter(bytes) {
      if (waiting.length === 0 && fits(bytes)) return void count(bytes);
      return new Promise((resolve) => waiting.push({ bytes, resolve }));
    },
    leave(bytes) {
      jobs--;
      size -= bytes;
      for (let next = waiting[0]; next !== undefined && fits(next.bytes); next = waiting[0]) {
        waiting.shift();
        count(next.bytes);
        next.resolve();
      }
    },
  };
}
