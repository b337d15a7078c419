/**
 * Transports with one fault each, made of the sound memory transport: the suite must find each fault, by the case
 * that names it.
 */
import type { Delivery, PushJob, Settlement } from "../../../src/jobs/exchange.ts";
import type { Transport } from "../../../src/contract/transport.ts";

/** One fault, and the case that must find it. */
export interface Mutant {
  readonly fault: string;
  /** The name of a case of the suite. */
  readonly found: string;
  readonly wrap: (inner: Transport) => Transport;
}

/** The transport with some of its calls replaced. */
export function around(inner: Transport, part: Partial<Transport>): Transport {
  return {
    name: inner.name,
    features: inner.features,
    lacks: inner.lacks,
    limits: inner.limits,
    push: (jobs, call) => inner.push(jobs, call),
    reserve: (queues, options) => inner.reserve(queues, options),
    extend: (leases, call) => inner.extend(leases, call),
    settle: (settlements, call) => inner.settle(settlements, call),
    info: (queue, call) => inner.info(queue, call),
    queues: (call) => inner.queues(call),
    list: (queue, channel, page, call) => inner.list(queue, channel, page, call),
    get: (queue, ids, call) => inner.get(queue, ids, call),
    reload: (queue, channel, select, call) => inner.reload(queue, channel, select, call),
    remove: (queue, channel, select, call) => inner.remove(queue, channel, select, call),
    ...(inner.diagnose === undefined ? {} : { diagnose: inner.diagnose }),
    ...(inner.topics === undefined ? {} : { topics: inner.topics }),
    ...(inner.schedules === undefined ? {} : { schedules: inner.schedules }),
    // The same function, as the relays on it are users of the one inside.
    [Symbol.asyncDispose]: inner[Symbol.asyncDispose],
    ...part,
  };
}

/** Sees every delivery before it is handed over. */
export function watching(inner: Transport, see: (delivery: Delivery) => Delivery): Transport["reserve"] {
  return async (queues, options) => (await inner.reserve(queues, options)).map(see);
}

/** Changes every pushed job. */
export function pushing(inner: Transport, change: (job: PushJob) => PushJob): Transport {
  return around(inner, { push: (jobs, call) => inner.push(jobs.map(change), call) });
}

/** Changes every settlement. */
export function settling(inner: Transport, change: (settlement: Settlement) => Settlement): Transport {
  return around(inner, { settle: (settlements, call) => inner.settle(settlements.map(change), call) });
}
