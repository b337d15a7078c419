/**
 * The events of a relay and its workers: one list of typed events through an `EventTarget`. Loggers, metrics and hooks
 * are listeners of it. An event without listeners costs nothing, and a listener that throws changes no job's fate.
 *
 * @module
 */

import { errorOf } from "../errors.ts";
import type { DeadChannel } from "../jobs/job.ts";
import {
  createRunWatch,
  type Observed,
  type ObservedRun,
  type RunDetail,
  type RunEnd,
  type RunEvent,
  type RunObserver,
  type RunWatch,
  type Told,
} from "./runs.ts";

export type { Observed, ObservedRun, RunDetail, RunEnd, RunObserver };

/**
 * Options of a listener, as every `EventTarget` takes them; a shape of our own, as not every set of types has the
 * web's.
 */
export interface ListenOptions {
  /** Part of a listener's identity; a relay's events have no phases. Default false. */
  readonly capture?: boolean;
  /** The listener hears one event and is taken away. Default false. */
  readonly once?: boolean;
  /** Changes nothing here: no event of a relay can be cancelled. Default false. */
  readonly passive?: boolean;
  /** Takes the listener away when it aborts. Default: none. */
  readonly signal?: AbortSignal;
}

/** How long a run took. */
export interface Timed {
  /** Milliseconds from the call of its handler to the end; 0 where no handler was called. */
  readonly duration: number;
}

/** Every event with its detail; times and delays are milliseconds. */
export interface EventMap {
  /** A job was stored, or refused as a duplicate. */
  readonly dispatched: {
    readonly id: string;
    readonly name: string;
    readonly queue: string;
    readonly status: "stored" | "duplicate";
  };
  /** A handler is about to be called; `wait` is how long the job had been due by the clock of this process. */
  readonly started: RunDetail & { readonly wait: number };
  /** A job is done. */
  readonly completed: RunDetail & Timed;
  /** A run failed, and the job will run again after the delay. */
  readonly retrying: RunDetail & Timed & { readonly error: Error; readonly delay: number };
  /** A job is dead; with the reason `returned`: its run failed, and its broker may deliver it again. */
  readonly failed: RunDetail & Timed & {
    readonly error: Error;
    readonly reason: string;
    readonly channel: DeadChannel;
  };
  /**
   * A job will run again, and did not fail. `payload`: the bytes that its next run gets, where the handler gave others;
   * no logger of ours prints them.
   */
  readonly rescheduled: RunDetail & Timed & {
    readonly delay?: number;
    readonly at?: number;
    readonly payload?: Uint8Array;
  };
  /**
   * A job was given back without counting; `busy`: reserved ahead, and no slot became free for it in time; `suspect`:
   * one more lost lease would be its death, and another such job is running here, or no slot is free; `full`: the store
   * had no room for the record of its run.
   */
  readonly released: RunDetail & {
    readonly reason: "stop" | "busy" | "suspect" | "unknown" | "invalid" | "version" | "full";
  };
  /** A delivery that had lost its lease tried to settle or extend; nothing was changed. */
  readonly stale: { readonly id: string; readonly queue: string; readonly during: "settle" | "extend" };
  /** A job came back from a lost lease. */
  readonly lost: { readonly id: string; readonly queue: string; readonly lost: number };
  /**
   * A handler ignores its signal: it keeps its slot, and its result will be discarded. `close`: a stop or close waited
   * for its worker's `grace`, in a runtime that cannot tell whether this run itself waits for that; it goes on, and
   * counts.
   */
  readonly stuck: RunDetail & { readonly reason: "timeout" | "stop" | "close" };
  /** A worker found nothing to do. */
  readonly idle: { readonly queues: readonly string[] };
  /** The transport went away or came back; told once per change. */
  readonly connection: { readonly state: "down" | "up"; readonly error?: Error };
  /**
   * A worker of this relay moved a schedule on from a tick. `duplicate`: there is no job, as that of an earlier tick is
   * live (`overlap: "skip"`). `unknown`: a worker died while it pushed the job, which was not pushed again.
   */
  readonly tick: {
    readonly key: string;
    readonly queue: string;
    readonly name: string;
    readonly id: string;
    readonly tick: number;
    readonly result: "stored" | "duplicate" | "unknown";
  };
  /** Ticks of a schedule went by while no worker was up, and have no job: from the first to the last of them. */
  readonly missed: {
    readonly key: string;
    readonly queue: string;
    readonly name: string;
    readonly missed: "once" | "skip" | "all";
    readonly from: number;
    readonly to: number;
    /** How many, up to 1,000. */
    readonly count: number;
  };
  /**
   * A queue cannot be reserved from while others can, the group that it is the queue of cannot be bound or was bound no
   * more, or the store refuses settlements or extensions of its jobs; or it works again. Told once per change; it is
   * tried again after pauses that grow.
   */
  readonly queue: {
    readonly queue: string;
    readonly state: "down" | "up";
    readonly during: "reserve" | "bind" | "settle" | "extend";
    readonly error?: Error;
  };
  /** Something went wrong that no caller waits for. */
  readonly error: { readonly error: Error; readonly during: string };
}

/** The names of events. */
export type EventName = keyof EventMap;

/** Where listeners are added. */
export interface JobEvents {
  /**
   * Adds a listener; one that throws, or whose promise rejects, becomes an `error` event and changes no job's fate.
   */
  addEventListener<Name extends EventName>(
    type: Name,
    listener: (event: CustomEvent<EventMap[Name]>) => unknown,
    options?: ListenOptions | boolean,
  ): void;
  /** Takes a listener away that was added with the same `type`; does nothing if there is none. */
  removeEventListener<Name extends EventName>(
    type: Name,
    listener: (event: CustomEvent<EventMap[Name]>) => unknown,
    options?: Pick<ListenOptions, "capture"> | boolean,
  ): void;
}

/** Hears the details of one type of event. */
export type Observer<Name extends EventName> = (detail: EventMap[Name]) => unknown;

/** The core's end: it asks whether there are listeners before it makes an event. */
export interface Events {
  readonly target: JobEvents;
  /** Tells of the start of a run, whose detail is made where a listener hears it. */
  began(run: Told): void;
  /** The same for its end; `more` is the detail beside the run and its duration. */
  tell<Name extends Exclude<RunEvent, "started">>(
    type: Name,
    run: Told,
    more?: Omit<EventMap[Name], keyof RunDetail | "duration">,
  ): void;
  /** Tells observers of runs of an end that is no event of a run's. */
  over(run: Told, end?: "stale" | "untold"): void;
  /** Adds a worker to those whose runs are observed, by a look at the runs that it holds; returns how to take it away. */
  join(held: () => Iterable<ObservedRun>): () => void;
  /** Whether a listener or observer of this type was ever added. */
  hears(type: EventName): boolean;
  /** Whether the program itself listens to this type now; observers of {@linkcode observe} do not count. */
  attended(type: EventName): boolean;
  emit<Name extends EventName>(type: Name, detail: EventMap[Name]): void;
}

/** A registered symbol, so that metrics of one copy of this package hear the relays of another. */
const OBSERVE = Symbol.for("relevo.observe");

/**
 * Hears events as one of Relevo's own: its logs, metrics and traces are no listeners of the program's, which is told of
 * failures on the console until it listens itself. Observers come before listeners, and get the bare detail.
 */
export function observe<Name extends EventName>(
  events: JobEvents,
  type: Name,
  observer: Observer<Name>,
): Disposable {
  const own: unknown = Reflect.get(events, OBSERVE);
  if (typeof own === "function") return Reflect.apply(own, events, [type, observer]);
  const listener = (event: CustomEvent<EventMap[Name]>): unknown => observer(event.detail);
  events.addEventListener(type, listener);
  return { [Symbol.dispose]: () => events.removeEventListener(type, listener) };
}

/** The same for the observers of runs. */
const OBSERVE_RUNS = Symbol.for("relevo.observe_runs");

/** Hears the runs of a relay as one of Relevo's own; those of events that are no relay's are none. */
export function observeRuns(events: JobEvents, observer: RunObserver): Observed {
  const own: unknown = Reflect.get(events, OBSERVE_RUNS);
  if (typeof own === "function") return Reflect.apply(own, events, [observer]);
  return { underWay: () => [], [Symbol.dispose]: () => undefined };
}

type Listener = (event: Event) => unknown;

/**
 * Told of an error that no event can tell, as a listener of `error` made it: the type of event, and the thrown value.
 */
export type Report = (type: string, thrown: unknown) => void;

/** Makes an event list. */
export function createEvents(report: Report): Events {
  const target = new GuardedTarget(report);
  const { runs } = target;
  return {
    target,
    hears: (type) => target.heard.has(type),
    began: (run) => {
      if (target.isTold("started")) target.tell("started", { ...run.detail, wait: run.wait });
    },
    tell: (type, run, more) => {
      runs.ended(type, run);
      if (!target.isTold(type)) return;
      const timed = type === "released" ? undefined : { duration: run.duration };
      target.tell(type, { ...run.detail, ...timed, ...more });
    },
    over: (run, end = "untold") => runs.ended(end, run),
    join: (held) => runs.join(held),
    attended: (type) => target.attended(type),
    emit: (type, detail) => {
      if (target.heard.has(type)) target.tell(type, detail);
    },
  };
}

/** An observer of any type of event. */
type Observe = (detail: unknown) => unknown;

const NONE: readonly Observe[] = [];

/** The options of a listener as an object; `null` is none, as to every `EventTarget`. */
function read(options: ListenOptions | boolean | null | undefined): ListenOptions {
  return typeof options === "boolean" ? { capture: options } : options ?? {};
}

/** One registration of the program's, as far as it says whether the listener is still there. */
interface Own {
  readonly guard: Listener;
  readonly capture: boolean;
  readonly once: boolean;
}

/**
 * On some runtimes a listener that throws ends the process, so each is called inside a guard. Its error becomes an
 * `error` event; that of an `error` listener is reported, as no listener is left to tell.
 */
class GuardedTarget extends EventTarget {
  readonly heard: Set<string> = new Set();
  readonly #guards: WeakMap<object, Listener> = new WeakMap();
  readonly #own: Map<string, Set<Own>> = new Map();
  /** Each list is replaced when it changes: it may be read just then. */
  readonly #observers: Map<string, readonly Observe[]> = new Map();
  /** Tells the observers of runs. */
  readonly runs: RunWatch = createRunWatch((end, error) => this.#failed(end, error));
  readonly #report: Report;

  constructor(report: Report) {
    super();
    this.#report = report;
  }

  override addEventListener(
    type: string,
    listener: unknown,
    options?: ListenOptions | boolean,
  ): void {
    if (listener === null || listener === undefined) return;
    const guard = this.#guard(listener);
    this.heard.add(type);
    super.addEventListener(type, guard, options);
    const { capture = false, once = false, signal } = read(options);
    if (signal?.aborted || this.#find(type, guard, capture) !== undefined) return;
    const own = { guard, capture, once };
    this.#own.set(type, (this.#own.get(type) ?? new Set()).add(own));
    signal?.addEventListener("abort", () => this.#own.get(type)?.delete(own), { once: true });
  }

  override removeEventListener(
    type: string,
    listener: unknown,
    options?: Pick<ListenOptions, "capture"> | boolean,
  ): void {
    const guard = isObject(listener) ? this.#guards.get(listener) : undefined;
    super.removeEventListener(type, guard ?? null, options);
    const { capture = false } = read(options);
    const own = guard === undefined ? undefined : this.#find(type, guard, capture);
    if (own !== undefined) this.#own.get(type)?.delete(own);
  }

  attended(type: string): boolean {
    return (this.#own.get(type)?.size ?? 0) > 0;
  }

  /** Tells observers, then listeners. */
  tell(type: string, detail: unknown): void {
    for (const observer of this.#observers.get(type) ?? NONE) {
      try {
        const result = observer(detail);
        if (result instanceof Promise) result.catch((error) => this.#failed(type, error));
      } catch (error) {
        this.#failed(type, error);
      }
    }
    const own = this.#own.get(type);
    if (own === undefined || own.size === 0) return;
    const over = [...own].filter(({ once }) => once);
    this.dispatchEvent(new CustomEvent(type, { detail }));
    for (const each of over) own.delete(each);
  }

  [OBSERVE](type: string, observer: Observe): Disposable {
    const each: Observe = (detail) => observer(detail);
    this.heard.add(type);
    this.#observers.set(type, [...this.#observers.get(type) ?? NONE, each]);
    return {
      [Symbol.dispose]: () => {
        this.#observers.set(type, (this.#observers.get(type) ?? NONE).filter((other) => other !== each));
      },
    };
  }

  [OBSERVE_RUNS](observer: RunObserver): Observed {
    return this.runs.add(observer);
  }

  /** Whether a listener or observer gets the detail of this type. */
  isTold(type: string): boolean {
    // Asked twice a run, and of most relays no type of event was ever heard.
    if (!this.heard.has(type)) return false;
    return this.attended(type) || (this.#observers.get(type)?.length ?? 0) > 0;
  }

  #find(type: string, guard: Listener, capture: boolean): Own | undefined {
    for (const own of this.#own.get(type) ?? []) {
      if (own.guard === guard && own.capture === capture) return own;
    }
    return undefined;
  }

  #guard(listener: unknown): Listener {
    if (!isObject(listener)) {
      throw new TypeError("Cannot listen as a listener must be a function or an object");
    }
    const known = this.#guards.get(listener);
    if (known !== undefined) return known;
    const guard: Listener = (event) =>
      this.#guarded(
        event.type,
        () =>
          typeof listener === "function"
            ? Reflect.apply(listener, this, [event])
            : "handleEvent" in listener && typeof listener.handleEvent === "function"
            ? listener.handleEvent(event)
            : undefined,
      );
    this.#guards.set(listener, guard);
    return guard;
  }

  #guarded(type: string, call: () => unknown): void {
    try {
      const result = call();
      if (result instanceof Promise) result.catch((error) => this.#failed(type, error));
    } catch (error) {
      this.#failed(type, error);
    }
  }

  #failed(type: string, thrown: unknown): void {
    if (type === "error") return this.#report(type, thrown);
    this.tell("error", { error: errorOf(thrown), during: `a listener of '${type}'` });
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "function" || (typeof value === "object" && value !== null);
}
