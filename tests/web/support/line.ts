/** A transport with a line in between that a test may cut, delay and look at. */
import { TransportError } from "../../../mod.ts";
import type { Transport } from "../../../mod.ts";

/** The verbs of a transport that are calls. */
export type Verb =
  | "push"
  | "reserve"
  | "extend"
  | "settle"
  | "info"
  | "queues"
  | "list"
  | "get"
  | "reload"
  | "remove";

/** What a test does to a call before it is made; a throw is its answer. */
export type Trick = (verb: Verb, items: readonly unknown[]) => void | Promise<void>;

/** A transport whose line a test holds in its hand. */
export interface Line extends Transport {
  /** The verbs of the calls that have no answer yet. */
  readonly pending: readonly Verb[];
  /** How many calls of a verb were made. */
  count(verb: Verb): number;
  /** Whether it was disposed of. */
  readonly disposed: boolean;
  /** From now on each call goes through the trick first. */
  rig(trick: Trick): void;
  /** Every call fails, those under way too, as if the broker had gone. */
  cut(make?: () => Error): void;
  /** All is well again. */
  mend(): void;
}

export function gone(): TransportError {
  return new TransportError("TRANSPORT_UNAVAILABLE", "Cannot reach the broker");
}

export function createLine(inner: Transport): Line {
  const pending: Verb[] = [];
  const counts = new Map<Verb, number>();
  let trick: Trick | undefined;
  let breaker = new AbortController();
  let disposed = false;

  async function through<T>(verb: Verb, items: readonly unknown[], call: () => Promise<T>): Promise<T> {
    pending.push(verb);
    counts.set(verb, (counts.get(verb) ?? 0) + 1);
    try {
      const tricked = trick?.(verb, items);
      // Calls keep their order, so that one that nobody tampers with is made at once.
      if (tricked !== undefined) await tricked;
      return await call();
    } finally {
      pending.splice(pending.indexOf(verb), 1);
    }
  }

  const withBreaker = (signal: AbortSignal | undefined): AbortSignal =>
    signal === undefined ? breaker.signal : AbortSignal.any([signal, breaker.signal]);

  const line: Line = {
    name: inner.name,
    features: inner.features,
    limits: inner.limits,
    ...(inner.transactions === undefined ? {} : { transactions: inner.transactions }),
    ...(inner.topics === undefined ? {} : { topics: inner.topics }),
    pending,
    count: (verb) => counts.get(verb) ?? 0,
    get disposed(): boolean {
      return disposed;
    },
    rig: (next) => void (trick = next),
    cut(make = gone) {
      trick = () => {
        throw make();
      };
      breaker.abort(make());
    },
    mend() {
      trick = undefined;
      breaker = new AbortController();
    },
    push: (jobs, call) => through("push", jobs, () => inner.push(jobs, call)),
    reserve: (queues, options) =>
      through(
        "reserve",
        queues,
        () => inner.reserve(queues, { ...options, signal: withBreaker(options.signal) }),
      ),
    extend: (leases, call) => through("extend", leases, () => inner.extend(leases, call)),
    settle: (settlements, call) => through("settle", settlements, () => inner.settle(settlements, call)),
    info: (...rest) => through("info", [], () => inner.info(...rest)),
    queues: (...rest) => through("queues", [], () => inner.queues(...rest)),
    list: (...rest) => through("list", [], () => inner.list(...rest)),
    get: (queue, ids, call) => through("get", ids, () => inner.get(queue, ids, call)),
    reload: (...rest) => through("reload", [], () => inner.reload(...rest)),
    remove: (...rest) => through("remove", [], () => inner.remove(...rest)),
    async [Symbol.asyncDispose]() {
      if (disposed) return;
      disposed = true;
      await inner[Symbol.asyncDispose]();
    },
  };
  return line;
}
