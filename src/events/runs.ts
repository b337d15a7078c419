/**
 * Runs as metrics hear of them: without an event for each, by lists of those that ended, and by a look at those under
 * way.
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

/**
 * How a delivery ended: by an event, because its lease was another's, or in a way that no event tells, such as a
 * settlement that was never answered.
 */
export type RunEnd = Exclude<RunEvent, "started"> | "stale" | "untold";

/** A run as observers see it. */
export interface ObservedRun {
  readonly delivery: { readonly id: string; readonly name: string; readonly queue: string };
  /** Whole milliseconds for which its job had been due when its handler was called; -1: it was not called. */
  readonly wait: number;
  /** Milliseconds that its handler took; 0 while it runs, and where none was called. */
  readonly duration: number;
  /** Undefined: its delivery has not ended. */
  readonly end: RunEnd | undefined;
}

/** A run as its events are told: the job of their detail is made when a listener is there that gets it. */
export interface Told extends ObservedRun {
  end: RunEnd | undefined;
  readonly detail: RunDetail;
}

/** Told of an observer's fault; `end` is that of the run that it failed to count, or `run` where that is not known. */
export type Failed = (end: RunEnd | "run", thrown: unknown) => void;

/**
 * Hears of runs without their events: metrics read a few fields of each, and to make the rest would cost more than all
 * that they do. Called once for all deliveries that ended in one go, just after that: a call for each is a part of a
 * quick job's time, too.
 */
export type RunObserver = (ended: readonly ObservedRun[], failed: Failed) => void;

/** An observer that is there until it is disposed of. */
export interface Observed extends Disposable {
  /** Tells the observer at once of all that ended, and returns the runs whose handlers run or are being settled. */
  underWay(): readonly ObservedRun[];
}

/** The observers of a relay's runs, and the workers whose runs they are. */
export interface RunWatch {
  add(observer: RunObserver): Observed;
  /** Adds a worker, by a look at the runs that it holds; returns how to take it away. */
  join(held: () => Iterable<ObservedRun>): () => void;
  /** A delivery ended. */
  ended(end: RunEnd, run: Told): void;
}

/** Makes one without observers; `failed` is told of one that throws. */
export function createRunWatch(failed: Failed): RunWatch {
  const workers = new Set<() => Iterable<ObservedRun>>();
  /** Replaced when it changes: it may be read just then. */
  let observers: readonly RunObserver[] = [];
  let gathered: ObservedRun[] = [];

  function flush(): void {
    if (gathered.length === 0) return;
    const ended = gathered;
    gathered = [];
    for (const observer of observers) {
      try {
        observer(ended, failed);
      } catch (error) {
        failed("run", error);
      }
    }
  }

  return {
    add(observer) {
      // It hears of what ends from now on.
      flush();
      const own: RunObserver = (ended, fault) => observer(ended, fault);
      observers = [...observers, own];
      return {
        underWay() {
          flush();
          return observers.includes(own)
            ? [...workers].flatMap((held) => [...held()].filter(isUnderWay))
            : [];
        },
        [Symbol.dispose]() {
          flush();
          observers = observers.filter((other) => other !== own);
        },
      };
    },
    join(held) {
      workers.add(held);
      return () => void workers.delete(held);
    },
    ended(end, run) {
      // Of a run that is told twice, as its lease was lost and its handler's end was another's, the first end counts.
      const again = run.end !== undefined;
      if (!again) run.end = end;
      if (observers.length === 0) return;
      if (gathered.length === 0) void Promise.resolve().then(flush);
      gathered.push(again ? { delivery: run.delivery, wait: -1, duration: 0, end } : run);
    },
  };
}

function isUnderWay({ wait, end }: ObservedRun): boolean {
  return wait >= 0 && end === undefined;
}
