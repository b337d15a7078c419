/**
 * A transport as a relay sees it: one whose calls end, even if it hangs. A half-open connection, or a server that was
 * stopped, may keep an adapter from noticing that its deadline is over; no waiting call may hang with it.
 *
 * `reserve` is left as it is: the fetch loop has a patience of its own, and gives back late deliveries.
 *
 * @module
 */

import type { Alarms } from "../flow/alarms.ts";
import { CALL_TIMEOUT } from "../defaults.ts";
import { patiently } from "../flow/deadline.ts";
import type { Call } from "../jobs/exchange.ts";
import type { Schedules } from "../contract/recurring.ts";
import type { Topics, Transactions, Transport } from "../contract/transport.ts";

type Wait = <T>(action: string, call: Call, answer: Promise<T>) => Promise<T>;

/** Makes one; its timer is one of the alarms. */
export function patient(transport: Transport, alarms: Alarms): Transport {
  const wait: Wait = (action, call, answer) => patiently(alarms, action, call, answer);
  const { name, features, lacks, maxAttempts, diagnose, topics, schedules, transactions } = transport;
  return {
    name,
    features,
    lacks,
    // A server tells its limits when it is first reached.
    get limits() {
      return transport.limits;
    },
    maxAttempts,
    push: (jobs, call) => wait("push jobs", call, transport.push(jobs, call)),
    reserve: (queues, options) => transport.reserve(queues, options),
    extend: (leases, call) => wait("extend leases", call, transport.extend(leases, call)),
    settle: (settlements, call) => wait("settle jobs", call, transport.settle(settlements, call)),
    info: (queue, call) => wait("show a queue", call, transport.info(queue, call)),
    queues: (call) => wait("list queues", call, transport.queues(call)),
    list: (queue, channel, page, call) => wait("list jobs", call, transport.list(queue, channel, page, call)),
    get: (queue, ids, call) => wait("get a job", call, transport.get(queue, ids, call)),
    reload: (queue, channel, select, call) =>
      wait("reload jobs", call, transport.reload(queue, channel, select, call)),
    remove: (queue, channel, select, call) =>
      wait("remove jobs", call, transport.remove(queue, channel, select, call)),
    ...(diagnose === undefined
      ? {}
      : { diagnose: (call: Call) => wait("diagnose the store", call, diagnose(call)) }),
    ...(topics === undefined ? {} : { topics: patientTopics(topics, wait) }),
    ...(schedules === undefined ? {} : { schedules: patientSchedules(schedules, wait) }),
    ...(transactions === undefined ? {} : { transactions: patientTransactions(transactions, wait) }),
    [Symbol.asyncDispose]: () =>
      wait(
        "close the transport",
        { deadline: CALL_TIMEOUT },
        Promise.resolve(transport[Symbol.asyncDispose]()),
      ),
  };
}

function patientTopics(topics: Topics, wait: Wait): Topics {
  return {
    bind: (topic, group, call) => wait("bind a group", call, topics.bind(topic, group, call)),
    unbind: (topic, group, call) => wait("unbind a group", call, topics.unbind(topic, group, call)),
    groups: (topic, call) => wait("list the groups", call, topics.groups(topic, call)),
  };
}

function patientSchedules(schedules: Schedules, wait: Wait): Schedules {
  return {
    put: (schedule, call) => wait("store a schedule", call, schedules.put(schedule, call)),
    get: (queue, key, call) => wait("get a schedule", call, schedules.get(queue, key, call)),
    list: (queue, page, call) => wait("list schedules", call, schedules.list(queue, page, call)),
    remove: (queue, key, call) => wait("remove a schedule", call, schedules.remove(queue, key, call)),
    pause: (queue, key, paused, note, call) =>
      wait("pause a schedule", call, schedules.pause(queue, key, paused, note, call)),
    due: (queues, limit, call) => wait("look for due schedules", call, schedules.due(queues, limit, call)),
    advance: (queue, key, tick, next, job, call) =>
      wait("move a schedule on", call, schedules.advance(queue, key, tick, next, job, call)),
  };
}

function patientTransactions(transactions: Transactions, wait: Wait): Transactions {
  return {
    push: (transaction, jobs, call) => wait("push jobs", call, transactions.push(transaction, jobs, call)),
    settle: (transaction, settlements, call) =>
      wait("settle jobs", call, transactions.settle(transaction, settlements, call)),
  };
}
