/** Small tools of the cases: schemas without a library, listeners that write down, workers that run meanwhile. */
import type {
  EventMap,
  EventName,
  Issue,
  JobEvents,
  StandardSchema,
  Transport,
  Worker,
  WorkerOptions,
} from "../../../mod.ts";

/** A schema that takes any value, and types it. */
export function free<T>(): StandardSchema<T> {
  return { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value: value as T }) } };
}

/** A schema that asks a function for what is wrong with a value. */
export function checked<T>(issuesOf: (value: unknown) => readonly Issue[]): StandardSchema<T> {
  return {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) => {
        const issues = issuesOf(value);
        return issues.length === 0 ? { value: value as T } : { issues };
      },
    },
  };
}

/** What a promise rejects with; throws when it resolves. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error) return error;
    throw new Error(`Rejected with no error: ${String(error)}`);
  }
  throw new Error("Resolved, and should have been rejected");
}

/** What a function throws; throws when it returns. */
export function thrown(call: () => unknown): Error {
  try {
    call();
  } catch (error) {
    if (error instanceof Error) return error;
    throw new Error(`Threw no error: ${String(error)}`);
  }
  throw new Error("Returned, and should have thrown");
}

/** Writes down the details of one type of event. */
export function heard<Name extends EventName>(events: JobEvents, type: Name): EventMap[Name][] {
  const details: EventMap[Name][] = [];
  events.addEventListener(type, (event) => details.push(event.detail));
  return details;
}

/** A worker at work. */
export interface Running {
  readonly worker: Worker;
  /** Resolves or rejects as `run` does. */
  readonly done: Promise<void>;
  /** Ends the run as the worker's own signal does. */
  abort(reason?: unknown): Promise<void>;
  readonly ended: boolean;
}

/** Runs a worker meanwhile; whoever has an interest in its failure awaits `done`. */
export function running(
  relay: { worker(options?: WorkerOptions): Worker },
  options?: WorkerOptions,
): Running {
  const controller = new AbortController();
  const worker = relay.worker(options);
  let ended = false;
  const done = worker.run({ signal: controller.signal }).finally(() => ended = true);
  done.catch(() => undefined);
  return {
    worker,
    done,
    abort(reason = new Error("the test ends the worker")) {
      controller.abort(reason);
      return done;
    },
    get ended(): boolean {
      return ended;
    },
  };
}

/** A promise and how to resolve it: the event that a handler waits for. */
export interface Door {
  readonly opened: Promise<void>;
  open(): void;
}

export function door(): Door {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: () => resolve() };
}

/** A transport with some of its calls replaced; the rest goes to the one inside. */
export function wrapped(inner: Transport, replaced: (inner: Transport) => Partial<Transport>): Transport {
  return { ...inner, ...replaced(inner) };
}

/** How exactly a store keeps time; one in this process is exact in everything. */
export interface Pace {
  /** Milliseconds by which a due job may be late. */
  readonly late: number;
  /** Milliseconds for which the transport keeps a timer after the last who waited for a job has gone. */
  readonly linger: number;
}

/** The pace of a store in this process. */
export const EXACT: Pace = { late: 0, linger: 0 };

/** The bytes of a text as it is, or of any other value as JSON. */
export function bytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
}

/** The text of bytes. */
export function textOf(payload: Uint8Array): string {
  return new TextDecoder().decode(payload);
}
