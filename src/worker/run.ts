/**
 * One delivery is one record: it walks from the transport through a slot to its settlement, and carries the findings of
 * each step. Fields that only some handlers or listeners read are made when they are read.
 *
 * @module
 */

import type { Alarm } from "../flow/alarms.ts";
import type { HandledJob, HandlerContext } from "../jobs/context.ts";
import type { Definition } from "../jobs/definitions.ts";
import type { Registered } from "../jobs/handle.ts";
import type { RunDetail, RunEnd, Told } from "../events/runs.ts";
import type { Delivery } from "../jobs/exchange.ts";
import type { ErrorRecord, Job, Meta } from "../jobs/job.ts";
import type { Outcome } from "../jobs/outcome.ts";
import {
  attemptsOf,
  headerOf,
  jobOf,
  lostOf,
  type MetaReader,
  readMeta,
  requestIdOf,
  scheduleOf,
} from "../jobs/record.ts";
import type { OwnRun, PassingRun } from "../sides/own.ts";
import type { Step } from "../flow/trail.ts";
import type { Fate } from "./fate.ts";

/** Settles a run inside a transaction of its handler's. */
export type SettleWithin = (run: Run, transaction: object, outcome: Outcome | undefined) => Promise<void>;

/** Why the worker gave a run up before its handler ended. */
export type Abandoned = "lost" | "timeout" | "stop";

/** Where a context keeps its run: a symbol, as middlewares lay objects over it that see no private field of its own. */
const RUN: unique symbol = Symbol("run");

class Context implements HandlerContext {
  readonly attempt: number;
  /** Bound, as handlers take the context apart. */
  readonly settle: HandlerContext["settle"];
  readonly [RUN]: Run;

  constructor(run: Run, settle: SettleWithin) {
    this.attempt = run.attempt;
    this.settle = (transaction, outcome) => settle(run, transaction, outcome);
    this[RUN] = run;
  }

  get signal(): AbortSignal {
    return this[RUN].signal;
  }

  get job(): HandledJob {
    return this[RUN].job;
  }
}

/** A delivery on its way through the worker. */
export class Run implements Told, PassingRun {
  /**
   * One run and one context for good: when V8 sweeps memory while no object of a class is alive, it forgets their shape,
   * and with it all code that it made for it. A worker that rested, or a drain after another, would begin in slow code.
   */
  static readonly kept: readonly object[] = Run.#shapes();

  readonly delivery: Delivery;
  /** Its slot among those that its worker holds; -1: none. */
  held = -1;
  /** Its slot among those that run; -1: none. */
  running = -1;
  /** When its lease is over at the latest, by the monotonic clock, as far as the transport has answered. */
  leaseEnd: number = Infinity;
  /** The lease as it was last granted, in milliseconds. */
  lease: number;
  /** When its handler was called, by the monotonic clock. */
  startedAt = 0;
  /** Set once the payload was found to belong to a definition. */
  definition: Definition | undefined;
  /** Set with it. */
  handler: Registered | undefined;
  /** The error of its last failed run, where that was encrypted and could be read. */
  lastError: ErrorRecord | undefined;
  /** The alarm that bounds the run, if its job has a timeout. */
  alarm: Alarm | undefined;
  /** Its settlement is on the way: its lease is no longer of interest. */
  settling = false;
  /** Heartbeats that it has seen. */
  beats = 0;
  /** Extensions of its lease that were not answered yet. */
  unanswered = 0;
  /** When the last extension of its lease was sent, by the monotonic clock. */
  sent: number = -Infinity;
  /** When the last one that was answered had been sent. */
  answered: number = -Infinity;
  /** Given up: whatever its handler still returns is discarded. */
  abandoned: Abandoned | undefined;
  /**
   * The trail that the program's functions in it are part of; undefined before it began, and where the runtime cannot
   * tell.
   */
  step: Step | undefined;
  /** The outcome that its middlewares see in the place of a result that is none; undefined without middlewares. */
  shown: Outcome | undefined;
  /** Its handler's result, where {@linkcode shown} stands for it. */
  given: unknown;
  /** The own sides that it entered; undefined: none. */
  own: readonly OwnRun[] | undefined;
  /** What those of them began with that gave a token, by their places. */
  tokens: unknown[] | undefined;
  /** The job's timeout is over. */
  timedOut = false;
  /** The worker told the handler to stop. */
  stopped = false;
  /** How long its handler took, in milliseconds. */
  duration = 0;
  /** Whole milliseconds for which its job had been due when its handler was called; -1: it was not called. */
  wait = -1;
  /** How its delivery ended; undefined: not yet. */
  end: RunEnd | undefined;
  /** Its handler asked to settle it in a transaction. */
  settledWithin = false;
  /** Settled in a transaction of the handler's, and whether that is known to be committed. */
  within: { readonly fate: Fate; readonly committed: boolean } | undefined;
  readonly #reader: MetaReader | undefined;
  #meta: Meta | undefined;
  #job: HandledJob | undefined;
  #told: Job | undefined;
  #finished: readonly string[] | undefined;
  #controller: AbortController | undefined;
  #aborted: { readonly reason: unknown } | undefined;

  /** `reader` reads its metadata. */
  constructor(delivery: Delivery, reader?: MetaReader) {
    this.delivery = delivery;
    this.#reader = reader;
    this.lease = delivery.lease;
  }

  static #shapes(): readonly object[] {
    const texts = { queue: "", token: "", id: "", name: "", meta: "" };
    const delivery = { ...texts, payload: new Uint8Array(0), lost: 0, reset: false, due: 0, lease: 0 };
    const run = new Run(delivery);
    // Fractions, as the clock gives them: a field that is whole first has another shape.
    run.startedAt = run.duration = 0.5;
    return [run, run.context(() => Promise.resolve())];
  }

  /** @throws when the metadata cannot be read. */
  get meta(): Meta {
    const { meta } = this.delivery;
    this.#meta ??= this.#reader === undefined ? readMeta(meta) : this.#reader.read(meta);
    return this.#meta;
  }

  /** Whether the metadata can be read. */
  get isLegible(): boolean {
    try {
      return this.meta !== undefined;
    } catch {
      return false;
    }
  }

  /** The metadata, or a stand-in for one that cannot be read. */
  get safeMeta(): Meta {
    try {
      return this.meta;
    } catch {
      return { v: 1 };
    }
  }

  /** Runs that counted before this one. */
  get attempts(): number {
    return attemptsOf(this.delivery, this.safeMeta);
  }

  /** Which run it is: 1 for the first. */
  get attempt(): number {
    return this.attempts + 1;
  }

  get requestId(): string {
    return requestIdOf(this.delivery, this.safeMeta);
  }

  get schedule(): string | undefined {
    return scheduleOf(this.safeMeta);
  }

  header(name: string): string | undefined {
    return headerOf(this.safeMeta, name);
  }

  /** Leases lost on the job so far. */
  get lost(): number {
    return lostOf(this.delivery, this.safeMeta);
  }

  /** The run as events tell it: with the same job in all of them, which is none of its handler's. */
  get detail(): RunDetail {
    this.#told ??= jobOf(this.delivery, this.safeMeta);
    return { job: this.#told, attempt: this.attempt };
  }

  /** The job as its handler sees it, with the bytes in a copy of its own. */
  get job(): HandledJob {
    this.#job ??= {
      ...jobOf(this.delivery, this.meta),
      ...(this.lastError === undefined ? {} : { lastError: this.lastError }),
      payload: this.delivery.payload.slice(),
    };
    return this.#job;
  }

  /** Names of listeners that finished, in this run or in those before. */
  get finished(): readonly string[] {
    if (this.#finished !== undefined) return this.#finished;
    // Any program may have written the record: a value that is no list of names remembers nothing.
    const stored: unknown = this.safeMeta.finished;
    return Array.isArray(stored) ? stored.filter((name) => typeof name === "string") : [];
  }

  /** A listener finished that is to be remembered. */
  finish(name: string): void {
    this.#finished = [...this.finished, name];
  }

  /** The fields that this run adds to a record that follows it. */
  get progress(): Pick<Meta, "finished"> | undefined {
    return this.#finished === undefined ? undefined : { finished: this.#finished };
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) this.#controller.abort(this.#aborted.reason);
    }
    return this.#controller.signal;
  }

  /** Tells the handler to end; the first reason stays. A listener of the signal is a part of the run. */
  abort(reason: unknown): void {
    this.#aborted ??= { reason };
    const controller = this.#controller;
    if (controller !== undefined) this.follow(() => controller.abort(reason));
  }

  /** Makes a call as a part of the run: one that ends the run's worker does not wait for the run. */
  follow<Result>(call: () => Result): Result {
    const { step } = this;
    return step === undefined ? call() : step.into.enter(step, call);
  }

  /** The job as the handler sees it. */
  context(settle: SettleWithin): HandlerContext {
    return new Context(this, settle);
  }
}
