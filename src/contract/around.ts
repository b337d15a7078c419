/**
 * Something around every call of a transport: the one place that goes through all verbs of the contract.
 *
 * @module
 */

import type { Call } from "../jobs/exchange.ts";
import type { Schedules } from "./recurring.ts";
import type { Topics, Transactions, Transport } from "./transport.ts";

/** Carries out a call; the action completes "Cannot ...". */
export type Around = <T>(action: string, call: Call, work: () => T | Promise<T>) => Promise<T>;

/** The same abilities, but a call may be answered at once. */
export type Prompt<T> = {
  readonly [Verb in keyof T]: T[Verb] extends ((...rest: infer Rest) => Promise<infer Answer>) | undefined
    ? (...rest: Rest) => Answer | Promise<Answer>
    : T[Verb] extends (...rest: never[]) => unknown ? T[Verb]
    : NonNullable<T[Verb]> extends object ? T[Verb] | Prompt<NonNullable<T[Verb]>>
    : T[Verb];
};

/** A transport with something around its calls, but for those of `apart`, which are as they are. */
export function around(inner: Prompt<Transport>, wrap: Around, apart?: Partial<Transport>): Transport {
  const { name, features, lacks, maxAttempts, subscribe, diagnose, topics, schedules, transactions } = inner;
  return {
    name,
    features,
    lacks,
    // A server tells its limits when it is first reached.
    get limits() {
      return inner.limits;
    },
    maxAttempts,
    push: (jobs, call) => wrap("push jobs", call, () => inner.push(jobs, call)),
    reserve: (queues, call) => wrap("reserve jobs", call, () => inner.reserve(queues, call)),
    extend: (leases, call) => wrap("extend leases", call, () => inner.extend(leases, call)),
    settle: (settlements, call) => wrap("settle jobs", call, () => inner.settle(settlements, call)),
    info: (queue, call) => wrap("show a queue", call, () => inner.info(queue, call)),
    queues: (call) => wrap("list queues", call, () => inner.queues(call)),
    list: (queue, channel, page, call) =>
      wrap("list jobs", call, () => inner.list(queue, channel, page, call)),
    get: (queue, ids, call) => wrap("get jobs", call, () => inner.get(queue, ids, call)),
    reload: (queue, channel, select, call) =>
      wrap("reload jobs", call, () => inner.reload(queue, channel, select, call)),
    remove: (queue, channel, select, call) =>
      wrap("remove jobs", call, () => inner.remove(queue, channel, select, call)),
    ...(subscribe && {
      subscribe: (queues, call) => wrap("subscribe to queues", call, () => subscribe(queues, call)),
    }),
    ...(diagnose && { diagnose: (call) => wrap("diagnose the store", call, () => diagnose(call)) }),
    ...(topics && { topics: aroundTopics(topics, wrap) }),
    ...(schedules && { schedules: aroundSchedules(schedules, wrap) }),
    ...(transactions && { transactions: aroundTransactions(transactions, wrap) }),
    [Symbol.asyncDispose]: inner[Symbol.asyncDispose],
    ...apart,
  };
}

function aroundTopics(inner: Prompt<Topics>, wrap: Around): Topics {
  return {
    bind: (topic, group, call) => wrap("bind a group", call, () => inner.bind(topic, group, call)),
    unbind: (topic, group, call) => wrap("unbind a group", call, () => inner.unbind(topic, group, call)),
    groups: (topic, call) => wrap("list the groups", call, () => inner.groups(topic, call)),
  };
}

function aroundSchedules(inner: Prompt<Schedules>, wrap: Around): Schedules {
  return {
    put: (schedule, call) => wrap("store a schedule", call, () => inner.put(schedule, call)),
    get: (queue, key, call) => wrap("get a schedule", call, () => inner.get(queue, key, call)),
    list: (queue, page, call) => wrap("list schedules", call, () => inner.list(queue, page, call)),
    remove: (queue, key, call) => wrap("remove a schedule", call, () => inner.remove(queue, key, call)),
    pause: (queue, key, paused, note, call) =>
      wrap("pause a schedule", call, () => inner.pause(queue, key, paused, note, call)),
    due: (queues, limit, call) => wrap("look for due schedules", call, () => inner.due(queues, limit, call)),
    advance: (queue, key, tick, next, job, call) =>
      wrap("move a schedule on", call, () => inner.advance(queue, key, tick, next, job, call)),
  };
}

function aroundTransactions(inner: Prompt<Transactions>, wrap: Around): Transactions {
  return {
    push: (transaction, jobs, call) => wrap("push jobs", call, () => inner.push(transaction, jobs, call)),
    settle: (transaction, settlements, call) =>
      wrap("settle jobs", call, () => inner.settle(transaction, settlements, call)),
  };
}
