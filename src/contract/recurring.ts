/**
 * The ability to store recurring jobs: the jobs to be pushed again and again, and the next instant of each. There is no
 * leader: every worker moves on the schedules that it finds due, and one of them pushes the tick.
 *
 * @module
 */

import type { Call, PushJob } from "../jobs/exchange.ts";

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
  /** The core's own, given with `paused`: why it rests, and since when. Empty until `pause` gave another. */
  readonly note: string;
  /** The core's own: the recurrence, the job's name and its options. */
  readonly text: string;
  /** The payload of its jobs: exactly the codec's bytes. */
  readonly payload: Uint8Array;
}

/** A schedule to be stored. */
export interface NewSchedule extends Omit<Schedule, "paused" | "note"> {
  /**
   * The tick that the stored one must have to be replaced, or `none`: there must be none. Otherwise nothing is stored,
   * and the answer is `stale`; one that is there as it is put is `same` all the same. Absent: whatever is there.
   */
  readonly from?: number | "none" | undefined;
}

/** A page of schedules. */
export interface SchedulePage {
  /** Sorted by key. */
  readonly schedules: readonly Schedule[];
  /** Asks for the next page; absent on the last. */
  readonly cursor?: string;
}

/** Due schedules. */
export interface DueSchedules {
  /**
   * The instant by the clock that judged, in milliseconds since the epoch; an estimate where queues were asked for of
   * which none holds a schedule.
   */
  readonly now: number;
  /** Those whose tick has come, the earliest first. */
  readonly schedules: readonly Schedule[];
  /** Milliseconds until the next one is due, beside those; absent when none will be. */
  readonly next?: number;
}

/** The fate of a tick; see {@linkcode Schedules.advance}. */
export type Advanced = "pushed" | "duplicate" | "none" | "stale" | "missed";

/** Recurring jobs, stored with the queue of their jobs. Instants are judged by the transport's clock. */
export interface Schedules {
  /**
   * Stores a schedule. One with the same key and the same text and payload is left as it is, its tick included, so that
   * every start of a program may store its schedules; one that differs is replaced, and stays paused, with its note, if
   * it was.
   */
  put(schedule: NewSchedule, call: Call): Promise<"created" | "replaced" | "same" | "stale">;
  /** The schedule with this key. */
  get(queue: string, key: string, call: Call): Promise<Schedule | undefined>;
  /** The schedules of a queue, by key. */
  list(
    queue: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
    call: Call,
  ): Promise<SchedulePage>;
  /** False when there was none. Jobs that it pushed stay. */
  remove(queue: string, key: string, call: Call): Promise<boolean>;
  /** Lets a schedule rest, or go on with the tick that it has, with another note; false when there was none. */
  pause(queue: string, key: string, paused: boolean, note: string, call: Call): Promise<boolean>;
  /** Due schedules in these queues, at most `limit`. */
  due(queues: readonly string[], limit: number, call: Call): Promise<DueSchedules>;
  /**
   * Pushes the job of a tick, or none, and moves the schedule on to its next one, or ends it: in one step where the
   * transport can. The schedule moved on and the job was stored (`pushed`), was not, as its id is taken (`duplicate`),
   * or there was `none`. `stale`: its tick is another one by now, or it rests or is gone, and nothing was changed.
   * `missed`: a worker died while pushing this tick, longer ago than the broker remembers messages; whether it
   * was stored is not known, it was not pushed again, and the schedule moved on.
   */
  advance(
    queue: string,
    key: string,
    tick: number,
    next: number | undefined,
    job: PushJob | undefined,
    call: Call,
  ): Promise<Advanced>;
}
