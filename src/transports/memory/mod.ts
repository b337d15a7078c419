/**
 * The memory transport: jobs in this process and nowhere else. The reference that the other transports are compared
 * with, and the one that a relay uses when it is given none.
 *
 * @module
 */

import { TransportClosed } from "../../errors.ts";
import type { Call } from "../../jobs/exchange.ts";
import { guarded } from "../../guard/guard.ts";
import { checkInteger, checkKnown, checkRuntime, wrongRange } from "../../options.ts";
import { type Runtime, systemRuntime } from "../../runtime.ts";
import { createWaiters } from "../../store/waiters.ts";
import type { Features, Lacks, Transport } from "../../contract/transport.ts";
import { createClock } from "./clock.ts";
import { findingsOf } from "./diagnose.ts";
import { get, info, list, queueNames } from "./inspect.ts";
import { reload, remove } from "./admin.ts";
import { push } from "./push.ts";
import { extend, poll, settle } from "./reserve.ts";
import { createRecurring } from "./schedules.ts";
import { LIMITS, type Store } from "./context.ts";
import { bind, groups, unbind } from "./topics.ts";

/** How a memory transport is made. */
export interface MemoryOptions {
  /** Clock, timer and ids; replaced in tests. Default: the system's. */
  readonly runtime?: Runtime | undefined;
  /**
   * Jobs that it holds at most, dead ones too; a push beyond is refused with `TransportFull`. Set it where producers
   * may outrun the workers, as waiting jobs cost memory. Default: no limit.
   */
  readonly maxJobs?: number | undefined;
  /** Its name in events and errors. Default `memory`. */
  readonly name?: string | undefined;
}

const FEATURES: Features = {
  durable: false,
  shared: false,
  exactFence: true,
  exactInfo: true,
  atomicPush: true,
  remote: false,
  clock: "process",
  idLive: true,
  idWindow: true,
};

const LACKS: Lacks = {
  durable: "jobs are in the memory of this process",
  shared: "jobs are in the memory of this process",
  remote: "jobs are in the memory of this process",
  transactions: "there is no database to begin one on",
};

/**
 * Makes a transport that keeps jobs in memory; they end with the process.
 *
 * Due times, leases and windows are judged by the process's monotonic clock. A job's `at` is translated when it is
 * pushed: it runs as long after that as `at` is ahead of the wall clock then, wherever the wall clock is set later.
 * Payload arrays are kept, not copied: a caller that pushes one or gets one in a delivery must not write to it.
 * Payloads that `list` and `get` show are copies.
 *
 * @throws {RangeError | TypeError} for an option that is wrong or unknown.
 *
 * @example
 * ```ts
 * import { memory } from "@relevo/relevo";
 *
 * await using transport = memory({ maxJobs: 100_000 });
 * const job = { queue: "default", id: "1", name: "hello", payload: new Uint8Array(), meta: "" };
 * console.log(await transport.push([job], { deadline: 1_000 })); // [ "stored" ]
 * ```
 */
export function memory(options: MemoryOptions = {}): Transport {
  return guarded(unguarded(options));
}

/** The same without the guard, for a transport that has one around itself. */
export function unguarded(options: MemoryOptions): Transport {
  const { runtime, maxJobs, name } = checkOptions(options);
  const store = createStore(runtime, maxJobs);
  const recurring = createRecurring(store);
  let closed = false;

  function admit({ signal }: Call): void {
    if (closed) throw new TransportClosed(name);
    signal?.throwIfAborted();
  }

  /** Does the work at once, so that calls are carried out in their order; an error of it rejects. */
  function answer<T>(call: Call, work: () => T | Promise<T>): Promise<T> {
    try {
      admit(call);
      return Promise.resolve(work());
    } catch (error) {
      return Promise.reject(error);
    }
  }

  return {
    name,
    features: FEATURES,
    lacks: LACKS,
    limits: LIMITS,
    push: (jobs, call) => answer(call, () => push(store, jobs, call.atomic ?? false)),
    reserve: (queues, options) => answer(options, () => store.waiters.reserve(queues, options)),
    extend: (leases, call) => answer(call, () => extend(store, leases)),
    settle: (settlements, call) => answer(call, () => settle(store, settlements)),
    info: (queue, call) => answer(call, () => info(store, queue)),
    queues: (call) => answer(call, () => queueNames(store, recurring.queues())),
    list: (queue, channel, page, call) => answer(call, () => list(store, queue, channel, page)),
    get: (queue, ids, call) => answer(call, () => get(store, queue, ids)),
    reload: (queue, channel, select, call) =>
      answer(call, () => reload(store, queue, channel, select, call.reset)),
    remove: (queue, channel, select, call) => answer(call, () => remove(store, queue, channel, select)),
    diagnose: (call) => answer(call, () => ({ findings: findingsOf(store) })),
    topics: {
      bind: (topic, group, call) => answer(call, () => bind(store, topic, group)),
      unbind: (topic, group, call) => answer(call, () => unbind(store, topic, group)),
      groups: (topic, call) => answer(call, () => groups(store, topic)),
    },
    schedules: {
      put: (schedule, call) => answer(call, () => recurring.put(schedule)),
      get: (queue, key, call) => answer(call, () => recurring.get(queue, key)),
      list: (queue, page, call) => answer(call, () => recurring.list(queue, page)),
      remove: (queue, key, call) => answer(call, () => recurring.remove(queue, key)),
      pause: (queue, key, paused, note, call) =>
        answer(call, () => recurring.pause(queue, key, paused, note)),
      due: (queues, limit, call) => answer(call, () => recurring.due(queues, limit)),
      advance: (queue, key, tick, next, job, call) =>
        answer(call, () => recurring.advance(queue, key, tick, next, job)),
    },
    [Symbol.asyncDispose]() {
      closed = true;
      store.rooms.clear();
      store.groups.clear();
      return store.waiters.close(new TransportClosed(name));
    },
  };
}

function checkOptions(options: MemoryOptions): { runtime: Runtime; maxJobs: number; name: string } {
  const action = "make a memory transport";
  checkKnown(action, options, ["runtime", "maxJobs", "name"]);
  const { runtime = systemRuntime(), maxJobs, name = "memory" } = options;
  checkRuntime(action, runtime);
  if (typeof name !== "string" || name === "") {
    throw wrongRange(action, "'name'", "a non-empty string", name);
  }
  return {
    runtime,
    maxJobs: maxJobs === undefined
      ? Infinity
      : checkInteger(action, "maxJobs", maxJobs, 1, Number.MAX_SAFE_INTEGER),
    name,
  };
}

function createStore(runtime: Runtime, maxJobs: number): Store {
  const clock = createClock(runtime);
  // Drawn with the first token: where a module is loaded no random number may be drawn.
  let prefix: string | undefined;
  const store: Store = {
    clock,
    rooms: new Map(),
    groups: new Map(),
    waiters: createWaiters(runtime, { poll: (asked) => asked.done(poll(store, asked)) }),
    maxJobs,
    jobs: 0,
    seq: 0,
    deliveries: 0,
    get prefix(): string {
      prefix ??= `${runtime.id()}-`;
      return prefix;
    },
  };
  return store;
}
