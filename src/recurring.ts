/**
 * The ability to store recurring jobs: what is to be pushed again and again, and at which instant next. There is no
 * leader; whoever finds a schedule due moves it on, and its tick is pushed by one of them.
 *
 * @module
 */

import type { Call, PushJob } from "./exchange.ts";

/** A recurring job as it is stored; the transport understands nothing of it but its tick. */
export interface Schedule {
  /** Where its jobs go, and where it is stored itself: a queue, or a topic's own queue. */
  readonly queue: string;
  /** Unique among the schedules of its queue. */
  readonly key: string;
  /** The instant of its next job, in milliseconds since the epoch. */
  readonly tick: number;
  /** Whether it rests: it is never due. */
  readonly paused: boolean;
  /** The core's own: the recurrence, the job's name and its options. */
  readonly text: string;
  /** What its jobs carry: exactly the codec's bytes. */
  readonly payload: Uint8Array;
}

/** A page of schedules. */
export interface SchedulePage {
  /** Sorted by key. */
  readonly schedules: readonly Schedule[];
  /** Asks for the next page; absent on the last. */
  readonly cursor?: string;
}

/** What is due. */
export interface DueSchedules {
  /** Those whose tick has come, the earliest first. */
  readonly schedules: readonly Schedule[];
  /** Milliseconds until the next one is due, beside those; absent when none will be. */
  readonly next?: number;
}

/** Recurring jobs, stored with the queue of their jobs. Instants are judged by the transport's clock. */
export interface Schedules {
  /**
   * Stores a schedule. One with the same key and the same text and payload is left as it is, its tick included, so that
   * every start of a program may say what it wants; one that differs is replaced, and stays paused if it was.
   */
  put(schedule: Omit<Schedule, "paused">, call: Call): Promise<"created" | "replaced" | "same">;
  /** The schedules of a queue, by key. */
  list(
    queue: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
    call: Call,
  ): Promise<SchedulePage>;
  /** False when there was none. Jobs that it pushed stay. */
  remove(queue: string, key: string, call: Call): Promise<boolean>;
  /** Lets a schedule rest, or go on with the tick that it has; false when there was none. */
  pause(queue: string, key: string, paused: boolean, call: Call): Promise<boolean>;
  /** What is due in these queues, at most `limit`. */
  due(queues: readonly string[], limit: number, call: Call): Promise<DueSchedules>;
  /**
   * Pushes the job of a tick, or none, and moves the schedule on to its next one, or ends it: in one step where the
   * transport can. `stale`: its tick is another one by now, or it rests or is gone, and nothing was changed. `missed`:
   * somebody died while pushing this tick, longer ago than the broker remembers what it was given; whether it was
   * stored is not known, it was not pushed again, and the schedule moved on.
   */
  advance(
    queue: string,
    key: string,
    tick: number,
    next: number | undefined,
    job: PushJob | undefined,
    call: Call,
  ): Promise<"advanced" | "stale" | "missed">;
}
