/**
 * A relay for tests: a real one, over memory and a clock that the test moves, with claims about dispatched jobs, and
 * with the accidents that a queue brings.
 *
 * @module
 */

import { json } from "../../payload/json.ts";
import { raw } from "../../payload/codec.ts";
import {
  type Fitting,
  type Jobs,
  type NameOf,
  type PayloadOf,
  readDefinitions,
} from "../../jobs/definitions.ts";
import { MAX_DELAY } from "../../defaults.ts";
import type { HandleOptions } from "../../jobs/handle.ts";
import type { AddedBy, AnyMiddleware } from "../../sides/middleware.ts";
import { checkInteger, checkTime, quote } from "../../options.ts";
import { createRelay, type Relay } from "../../relay/relay.ts";
import type { RelayOptions } from "../../relay/relay_options.ts";
import { memory } from "../../transports/memory/mod.ts";
import type { WorkerOptions } from "../../worker/settings.ts";
import type { Drained } from "../../worker/state.ts";
import { createFakeRuntime, type FakeRuntime, type FakeRuntimeOptions } from "../fake_runtime.ts";
import { show } from "../conformance/assert.ts";
import { countEnds, type JobRun, since } from "./ends.ts";
import { createLeases } from "./leases.ts";
import { createOutbox, type DispatchedJob } from "./outbox.ts";
import { type Registration, runJob, type RunJobOptions } from "./run_job.ts";

/** The options of a test's relay: those of `createRelay`, but for the parts that the kit brings. */
export interface TestRelayOptions<Use extends readonly AnyMiddleware[] = readonly AnyMiddleware[]>
  extends
    Omit<RelayOptions<Jobs, Use>, "jobs" | "transport" | "runtime">,
    Pick<FakeRuntimeOptions, "now" | "seed"> {}

/** A payload that is looked for: equal in structure, or one of which a function is true. */
export type Wanted<Payload> = Payload | ((payload: Payload) => boolean);

/** A relay over memory whose clock the test moves. Nothing runs until the test says so, unless it is `inline`. */
export interface TestRelay<J extends Jobs, Added = unknown> extends Relay<J, Added> {
  /**
   * Its clock, which handlers may sleep by. `relay.advance` moves it with workers at work, `runtime.advance` without.
   */
  readonly runtime: FakeRuntime;
  /**
   * Claims that a job of this name was dispatched, with this payload where one is given; answers all that fit, in their
   * order. Ticks of schedules count, duplicates and refused jobs do not.
   *
   * @throws {Error} named `ClaimError`, which shows the jobs that were dispatched instead.
   * @throws {UnknownJobError} for a name that no definition has.
   */
  dispatched<Name extends NameOf<J>>(
    name: Name,
    payload?: Wanted<PayloadOf<J, Name>>,
  ): readonly DispatchedJob<PayloadOf<J, Name>>[];
  /** Claims the opposite; without a name, that nothing was dispatched at all. Throws as `dispatched` does. */
  notDispatched<Name extends NameOf<J>>(name?: Name, payload?: Wanted<PayloadOf<J, Name>>): void;
  /**
   * Runs one handler once, apart from all queues: with validation, codec, middlewares and timeout, as the run that
   * `attempt` says. Resolves with how it ended, also where the handler throws.
   *
   * @throws {InvalidPayloadError} when the schema refuses the payload.
   * @throws {TypeError} when there is no handler, or several groups have one and none was named.
   */
  runJob<Name extends NameOf<J>>(
    name: Name,
    payload: PayloadOf<J, Name>,
    options?: RunJobOptions,
  ): Promise<JobRun>;
  /**
   * Lets so many milliseconds go by with a worker at work: jobs run when they fall due and schedules at their ticks,
   * each at its own instant. Counts runs as `drain` does. Handlers are waited for; one that waits for the clock goes on
   * when it has got there. A handler that takes longer than 100 real milliseconds is taken to wait for the clock.
   *
   * @throws {RangeError | TypeError} for wrong milliseconds or options, and while another `advance` is under way.
   */
  advance(ms: number, options?: WorkerOptions): Promise<Drained>;
  /** Lets the next `n` runs fail in the place of their handlers, with this error where one is given. Default 1. */
  failNext(n?: number, error?: Error): void;
  /**
   * Takes the lease of a running job away, as when its worker was cut off: the job goes to whichever worker asks next,
   * and the first run's settlement is `stale`. As in a real store, the worker learns of it when it settles or extends:
   * the handler's signal aborts at the next heartbeat, a third of the lease later.
   *
   * @throws {Error} when no worker holds a job with this id.
   */
  loseLease(id: string): Promise<void>;
  /** Closes as `Relay.close` does, but moves the clock meanwhile, so that a handler that hangs holds nothing up. */
  close(options?: { readonly grace?: number | undefined }): Promise<void>;
}

/**
 * Makes a relay for a test: no server, no waiting, and the same run every time.
 *
 * @example
 * ```ts
 * import { testRelay } from "@relevo/relevo/testing";
 * import * as v from "valibot";
 *
 * await using relay = testRelay({ "email.welcome": v.object({ userId: v.number() }) });
 * relay.handle("email.welcome", () => {});
 * await relay.dispatch("email.welcome", { userId: 42 }, { delay: 60_000 });
 * relay.dispatched("email.welcome", { userId: 42 });
 * console.log((await relay.advance(60_000)).completed); // 1
 * ```
 *
 * @throws {TypeError | RangeError} as `createRelay` does.
 */
export function testRelay<
  const J extends Jobs,
  const Use extends readonly AnyMiddleware[] = readonly AnyMiddleware[],
>(jobs: J & Fitting<J>, options: TestRelayOptions<Use> = {}): TestRelay<J, AddedBy<Use>> {
  const { now, seed, use = [], ...given } = options;
  const leases = createLeases();
  const runtime = createFakeRuntime({
    now,
    seed,
    outside: { moved: () => undefined, quiet: leases.atRest },
  });
  const outbox = createOutbox(readDefinitions(jobs, [json, raw, ...given.codecs ?? []]));
  const failures = createFailures();
  const shared = { log: false, ...given, jobs, runtime } as const;
  const relay = createRelay<J, readonly AnyMiddleware[]>({
    ...shared,
    transport: leases.watch(memory({ runtime })),
    use: [...use, { dispatch: outbox.dispatch }, failures.middleware],
  });
  const registrations = new Set<Registration>();
  const place = {
    options: { ...shared, inline: false, use: [...use, failures.middleware] },
    registrations,
    watch: leases.watch,
  };
  const advance = advancing(relay, runtime);
  const close = closing(relay, runtime);

  const kit: Omit<TestRelay<Jobs>, keyof Relay<Jobs>> = {
    runtime,
    dispatched(name, payload) {
      const found = outbox.find(name, payload);
      if (found.length === 0) throw outbox.claim(`a dispatch of '${name}'${withPayload(payload)}`);
      return found;
    },
    notDispatched(name, payload) {
      const found = name === undefined ? outbox.size : outbox.find(name, payload).length;
      if (found === 0) return;
      throw outbox.claim(
        name === undefined ? "no dispatch" : `no dispatch of '${name}'${withPayload(payload)}`,
      );
    },
    runJob: (name, payload, run = {}) => runJob(place, name, payload, run),
    advance,
    failNext: failures.add,
    async loseLease(id) {
      if (await leases.lose(id)) return;
      throw new Error(`Cannot take the lease of job ${quote(id)} away as no worker holds one`);
    },
  };
  return {
    ...relay,
    ...kit,
    handle: registering(relay, registrations),
    close,
    [Symbol.asyncDispose]: () => close(),
    // The additions of middlewares are theirs alone; those of the kit add nothing.
  } as TestRelay<J, AddedBy<Use>>;
}

function withPayload(payload: unknown): string {
  if (payload === undefined) return "";
  return typeof payload === "function" ? " of whose payload the function is true" : ` with ${show(payload)}`;
}

/** Registers handlers, and keeps them for `runJob`. */
function registering<J extends Jobs>(
  relay: Relay<J>,
  registrations: Set<Registration>,
): (name: string, handler: unknown, options?: HandleOptions) => Disposable {
  return (name, handler, options = {}) => {
    const registered: Disposable = Reflect.apply(relay.handle, relay, [name, handler, options]);
    for (const each of registrations) {
      if (each.name === name && each.options.group === options.group) registrations.delete(each);
    }
    const registration = { name, handler, options };
    registrations.add(registration);
    return {
      [Symbol.dispose]: () => {
        registered[Symbol.dispose]();
        registrations.delete(registration);
      },
    };
  };
}

/** Moves the clock with a worker at work. */
function advancing<J extends Jobs>(relay: Relay<J>, runtime: FakeRuntime): TestRelay<J>["advance"] {
  const counts = countEnds(relay.events);
  let underWay = false;
  return async (ms, options = {}) => {
    checkTime("advance", "ms", ms);
    if (underWay) throw new TypeError("Cannot advance while another 'advance' is under way");
    underWay = true;
    const before = counts();
    let failed: { readonly error: unknown } | undefined;
    try {
      // It is woken by jobs that fall due: between that and the next there is nothing to look for.
      const worker = relay.worker({ poll: MAX_DELAY, prefetch: 0, ...options });
      worker.run().catch((error) => {
        failed = { error };
      });
      await runtime.advance(ms);
      const stopped = worker.stop();
      stopped.catch(() => undefined);
      await runtime.settle();
    } finally {
      underWay = false;
    }
    if (failed !== undefined) throw failed.error;
    return since(counts(), before);
  };
}

/** Milliseconds by the moved clock after which a close is left to itself, beyond its grace and that of its workers. */
const LONGEST_CLOSE = 600_000;

/** Closes, and moves the clock to whatever the close waits for. */
function closing<J extends Jobs>(relay: Relay<J>, runtime: FakeRuntime): TestRelay<J>["close"] {
  return async (options = { grace: 0 }) => {
    const end = runtime.monotonic() + (options.grace ?? 0) + LONGEST_CLOSE;
    let over = false;
    const closed = relay.close(options).finally(() => {
      over = true;
    });
    while (!over && runtime.monotonic() < end && await runtime.next());
    await closed;
  };
}

/** Runs that are to fail, and the middleware that fails them. */
function createFailures(): {
  readonly add: (n?: number, error?: Error) => void;
  readonly middleware: AnyMiddleware;
} {
  const waiting: Error[] = [];
  return {
    add(n = 1, error = new Error("Failed by failNext")) {
      checkInteger("let runs fail", "n", n, 1, 10_000);
      for (let i = 0; i < n; i++) waiting.push(error);
    },
    middleware: {
      run: (next) => () => {
        const error = waiting.shift();
        if (error !== undefined) throw error;
        return next();
      },
    },
  };
}
