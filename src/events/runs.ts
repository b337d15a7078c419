/**
 * Runs as metrics hear of them: without an event for each.
 *
 * @module
 */

import type { Job } from "../jobs/job.ts";

/** The run of a job that an event is about. */
export interface RunDetail {
  /** The job as it was handed over, without its payload. */
  readonly job: Job;
  /** Which run it is: 1 for the first. */
  readonly attempt: number;
}

/** The events by which a run begins or ends. */
export type RunEvent = "started" | "completed" | "retrying" | "failed" | "rescheduled" | "released";

/** A run as its events are told: the job of their detail is made when a listener is there that gets it. */
export interface Told {
  readonly delivery: { readonly id: string; readonly name: string; readonly queue: string };
  readonly detail: RunDetail;
  /** Its number among the runs whose start was told to an observer of runs, from 1; 0: it was not, or its end was. */
  order: number;
}

/**
 * Hears of runs without their events: metrics read three fields of a job, and to make the rest would cost more than all
 * that they do.
 */
export interface RunObserver {
  /** A handler is about to be called; its job had been due for so many milliseconds. */
  began(job: Told["delivery"], wait: number): unknown;
  /**
   * A delivery ended. `begun`: this observer was told of its start, and is told of its end once. `end` is undefined
   * where no event says how.
   */
  ended(
    job: Told["delivery"],
    end: End,
    begun: boolean,
    more: { readonly duration?: number; readonly reason?: string },
  ): unknown;
}

/** The fields that observers of runs read of an event's detail, beside the job. */
interface RunMore {
  readonly duration?: number;
  readonly reason?: string;
}

/** How a delivery ended: by an event, because its lease was another's, or in a way that no event tells. */
type End = Exclude<RunEvent, "started"> | "stale" | undefined;

/** The observers of a relay's runs. */
export interface RunWatch {
  add(observer: RunObserver): Disposable;
  /** Whether there is one. */
  readonly isWatched: boolean;
  /** Tells all of them of a start. */
  began(run: Told, wait: number): void;
  /** Tells all of them of an end. */
  ended(end: End, run: Told, more: RunMore): void;
}

/** Makes one without observers; `failed` is told of one that throws, or whose promise rejects. */
export function createRunWatch(failed: (type: string, thrown: unknown) => void): RunWatch {
  let watches: readonly { readonly observer: RunObserver; readonly since: number }[] = [];
  let begun = 0;
  const heard = (type: string, result: unknown): void => {
    if (result instanceof Promise) result.catch((error) => failed(type, error));
  };
  return {
    add(observer) {
      const watch = { observer, since: begun };
      watches = [...watches, watch];
      return { [Symbol.dispose]: () => void (watches = watches.filter((other) => other !== watch)) };
    },
    get isWatched() {
      return watches.length > 0;
    },
    began(run, wait) {
      run.order = ++begun;
      for (const { observer } of watches) {
        try {
          const result = observer.began(run.delivery, wait);
          if (result !== undefined) heard("started", result);
        } catch (error) {
          failed("started", error);
        }
      }
    },
    ended(end, run, more) {
      if (watches.length === 0) return;
      const { delivery, order } = run;
      run.order = 0;
      for (const { observer, since } of watches) {
        try {
          const result = observer.ended(delivery, end, order > since, more);
          if (result !== undefined) heard(end ?? "run", result);
        } catch (error) {
          failed(end ?? "run", error);
        }
      }
    },
  };
}
