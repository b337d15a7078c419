/**
 * The memory transport: jobs in this process and nowhere else. The reference that the other transports are compared
 * with, and the one that a relay uses when it is given none.
 *
 * @module
 */

import { around } from "../../contract/around.ts";
import { guarded } from "../../guard/guard.ts";
import { checkInteger, checkKnown, checkLabel, checkRuntime } from "../../options.ts";
import { type Runtime, systemRuntime } from "../../runtime.ts";
import { createAnswering } from "../../store/answering.ts";
import { createWaiters } from "../../store/waiters.ts";
import type { Features, Lacks, Transport } from "../../contract/transport.ts";
import { createClock } from "./clock.ts";
import { findingsOf } from "./diagnose.ts";
import { get, info, list, queueNames } from "./inspect.ts";
import { reload, remove } from "./admin.ts";
import { push } from "./push.ts";
import { extend } from "./extend.ts";
import { poll } from "./reserve.ts";
import { settle } from "./settle.ts";
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
  const { answer, close } = createAnswering(name);
  return around({
    name,
    features: FEATURES,
    lacks: LACKS,
    limits: LIMITS,
    push: (jobs, { atomic = false }) => push(store, jobs, atomic),
    reserve: store.waiters.reserve,
    extend: (leases) => extend(store, leases),
    settle: (settlements) => settle(store, settlements),
    info: (queue) => info(store, queue),
    queues: () => queueNames(store, recurring.queues()),
    list: (queue, channel, page) => list(store, queue, channel, page),
    get: (queue, ids) => get(store, queue, ids),
    reload: (queue, channel, select, { reset }) => reload(store, { queue, channel, select }, reset),
    remove: (queue, channel, select) => remove(store, { queue, channel, select }),
    diagnose: () => ({ findings: findingsOf(store) }),
    topics: {
      bind: (topic, group) => bind(store, topic, group),
      unbind: (topic, group) => unbind(store, topic, group),
      groups: (topic) => groups(store, topic),
    },
    schedules: recurring,
    [Symbol.asyncDispose]() {
      store.rooms.clear();
      store.groups.clear();
      return store.waiters.close(close());
    },
  }, answer);
}

function checkOptions(options: MemoryOptions): { runtime: Runtime; maxJobs: number; name: string } {
  const action = "make a memory transport";
  checkKnown(action, options, ["runtime", "maxJobs", "name"]);
  const { runtime = systemRuntime(), maxJobs, name = "memory" } = options;
  checkRuntime(action, runtime);
  checkLabel(action, "name", name);
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
