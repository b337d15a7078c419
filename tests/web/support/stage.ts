/** Where the cases of the promises play: relays and workers over clients of one store, under a clock moved by hand. */
import { expect } from "vitest";
import {
  createRelay,
  type EventMap,
  type EventName,
  type Fitting,
  type JobDefinition,
  type Jobs,
  type PushJob,
  type Relay,
  type RelayOptions,
  type SchemaResult,
  type StandardSchema,
  type Transport,
  type Worker,
  type WorkerOptions,
} from "../../../mod.ts";
import type { FakeRuntime } from "../../../src/testing/mod.ts";
import { EXACT, type Pace } from "./kit.ts";
import { createLine, type Line } from "./line.ts";

/** An empty store. */
export interface Place {
  /** The clock of the store and of all who use it. */
  readonly runtime: FakeRuntime;
  /** Default: exact. */
  readonly pace?: Pace;
  /** A client of the store, as each process has its own. */
  connect(): Promise<Transport>;
  /** Called after the last client was closed. */
  destroy(): Promise<void>;
}

/** Where a handler waits until its test says go on. */
export interface Barrier {
  /** Resolves when the barrier is opened. */
  readonly opened: Promise<void>;
  open(): void;
}

/** A worker that runs. */
export interface Running {
  readonly worker: Worker;
  /** What `run` returned. */
  readonly done: Promise<void>;
  /** Whether `run` has resolved or rejected. */
  readonly over: boolean;
  /** Aborts the signal that `run` was given. */
  abort(reason?: unknown): void;
}

/** What a case has at hand. */
export interface Stage {
  readonly runtime: FakeRuntime;
  readonly pace: Pace;
  /** The client that relays use unless told otherwise. */
  readonly line: Line;
  /** Another client of the same store. */
  client(): Promise<Line>;
  relay<const J extends Jobs>(
    jobs: J & Fitting<J>,
    options?: Partial<Omit<RelayOptions<J>, "jobs">>,
  ): Relay<J>;
  /** Runs a worker; it polls once an hour unless told otherwise, as each poll is a step of the clock. */
  run(relay: Pick<Relay<Jobs>, "worker">, options?: WorkerOptions): Running;
  /** A barrier that is opened at the latest when the case ends. */
  barrier(): Barrier;
  /** Puts a job in as it would lie there after another program's dispatch. */
  put(job: Partial<PushJob>): Promise<void>;
  /** Lets time go by until a promise settles. */
  within<T>(promise: Promise<T>, ms: number): Promise<T>;
}

/** Everything that a relay told. */
export interface Told {
  readonly names: readonly EventName[];
  /** The names of what became of runs and leases: all but dispatches and idling. */
  readonly course: readonly EventName[];
  of<Name extends EventName>(name: Name): readonly EventMap[Name][];
  /** All details as text, errors with their messages and causes. */
  text(): string;
}

/** Every event that there is. */
export const EVENTS: readonly EventName[] = [
  "dispatched",
  "started",
  "completed",
  "retrying",
  "failed",
  "rescheduled",
  "released",
  "stale",
  "lost",
  "stuck",
  "idle",
  "connection",
  "tick",
  "missed",
  "error",
];

/** A schema that a function decides. */
export function schema<Input, Output = Input>(
  validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>,
): StandardSchema<Input, Output> {
  return { "~standard": { version: 1, vendor: "test", validate } };
}

/** A schema that takes whatever comes as what it claims to be. */
export function any<Input>(): StandardSchema<Input> {
  return schema<Input>((value) => ({ value: value as Input }));
}

/** Takes numbers only, and says of anything else that it is none, without repeating it. */
export const number: StandardSchema<number> = schema((value) =>
  typeof value === "number" ? { value } : { issues: [{ message: "must be a number" }] }
);

/** The one job of cases that need no particular one. */
export const TASK: { readonly task: JobDefinition<StandardSchema<unknown>> } = {
  task: { schema: any<unknown>() },
};

export function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** Listens to everything. */
export function listen(relay: Pick<Relay<Jobs>, "events">): Told {
  const told: { readonly name: EventName; readonly detail: unknown }[] = [];
  for (const name of EVENTS) {
    relay.events.addEventListener(name, ({ detail }) => void told.push({ name, detail }));
  }
  return {
    get names(): readonly EventName[] {
      return told.map(({ name }) => name);
    },
    get course(): readonly EventName[] {
      return told.map(({ name }) => name).filter((name) => name !== "dispatched" && name !== "idle");
    },
    of: <Name extends EventName>(wanted: Name) =>
      told.filter(({ name }) => name === wanted).map(({ detail }) => detail as EventMap[Name]),
    text: () => told.map(({ name, detail }) => `${name} ${textOf(detail)}`).join("\n"),
  };
}

/** A value as text with all that errors in it say. */
export function textOf(value: unknown): string {
  return JSON.stringify(
    value,
    (_, inner: unknown) =>
      inner instanceof Error
        ? { ...inner, message: inner.message, stack: inner.stack, cause: inner.cause, text: String(inner) }
        : inner,
  ) ?? "undefined";
}

/** What a promise was rejected with. */
export async function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  const answer = await promise.then(
    (value) => ({ value }),
    (reason: unknown) => ({ reason }),
  );
  if ("reason" in answer) return answer.reason;
  throw new Error(`It was not rejected but resolved with ${textOf(answer.value)}`);
}

/** Plays a case, and makes sure that nothing of ours is alive afterwards. */
export async function play(open: () => Promise<Place>, run: (stage: Stage) => Promise<void>): Promise<void> {
  const place = await open();
  const lines: Line[] = [];
  const relays: Pick<Relay<Jobs>, "close">[] = [];
  const barriers: Barrier[] = [];
  const client = async (): Promise<Line> => {
    const line = createLine(await place.connect());
    lines.push(line);
    return line;
  };
  const line = await client();
  const stage = createStage(place, { line, client, relays, barriers });
  let failed = true;
  try {
    await run(stage);
    failed = false;
  } finally {
    for (const barrier of barriers) barrier.open();
    for (const each of lines) each.mend();
    const closing = Promise.all(relays.map((relay) => relay.close({ grace: 0 })));
    const ended = stage.within(closing, 120_000);
    if (failed) await ended.catch(() => undefined);
    else await ended;
    for (const each of lines) await each[Symbol.asyncDispose]();
    await place.runtime.settle();
    await place.destroy();
  }
  expect(lines.flatMap(({ pending }) => pending), "calls that are still under way").toEqual([]);
  expect(place.runtime.sleepers, "timers that are still set").toBe(0);
}

interface Props {
  readonly line: Line;
  readonly client: () => Promise<Line>;
  readonly relays: Pick<Relay<Jobs>, "close">[];
  readonly barriers: Barrier[];
}

function createStage({ runtime, pace = EXACT }: Place, { line, client, relays, barriers }: Props): Stage {
  return {
    runtime,
    pace,
    line,
    client,
    relay<const J extends Jobs>(
      jobs: J & Fitting<J>,
      options: Partial<Omit<RelayOptions<J>, "jobs">> = {},
    ) {
      const relay = createRelay<J>({ jobs, transport: line, runtime, ...options });
      relays.push(relay);
      return relay;
    },
    run(relay, options = {}) {
      const controller = new AbortController();
      const worker = relay.worker({ poll: 3_600_000, ...options });
      const running = {
        worker,
        done: worker.run({ signal: controller.signal }),
        over: false,
        abort: (reason?: unknown) => controller.abort(reason),
      };
      const end = (): void => void (running.over = true);
      running.done.then(end, end);
      return running;
    },
    barrier() {
      let open = (): void => {};
      const opened = new Promise<void>((resolve) => open = resolve);
      const barrier = { opened, open: () => open() };
      barriers.push(barrier);
      return barrier;
    },
    async put(job) {
      const full = { queue: "default", id: "1", name: "task", payload: encode(null), meta: "", ...job };
      expect(await line.push([full], { deadline: 10_000 })).toEqual(["stored"]);
    },
    async within(promise, ms) {
      let settled = false;
      const end = (): void => void (settled = true);
      promise.then(end, end);
      await runtime.settle();
      for (let spent = 0; !settled; spent += 100) {
        if (spent > ms) throw new Error(`Nothing came of it within ${ms} ms`);
        await runtime.advance(100);
      }
      return await promise;
    },
  };
}
