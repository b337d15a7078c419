/**
 * The guard that stands before every transport: it refuses wrong input before any of it reaches a store, so that no
 * transport has checks of its own, and none stores input that another refuses.
 *
 * @module
 */

import { AtomicLimitError } from "../errors.ts";
import type { Call } from "../jobs/exchange.ts";
import { DEAD_CHANNELS } from "../jobs/job.ts";
import { checkGroup, checkName, checkQueueName, isQueueName } from "../names.ts";
import { checkBoolean, checkInteger, checkObject } from "../options.ts";
import type { Schedules } from "../contract/recurring.ts";
import type { Topics, Transactions, Transport } from "../contract/transport.ts";
import {
  checkBytes,
  checkCall,
  checkFlag,
  checkIds,
  checkInstant,
  checkKey,
  checkList,
  checkPage,
  checkPlace,
  checkQueues,
  checkSelection,
  checkString,
  createReserveCheck,
} from "./checks.ts";
import { type FaultOf, faultOfExtension, faultOfJob, faultOfSettlement } from "./items.ts";

/** A transport whose calls reject, or answer with an error for an item, where their input is wrong. */
export function guarded(inner: Transport): Transport {
  const { name, features, lacks, maxAttempts, topics, schedules, transactions } = inner;
  return {
    name,
    features,
    lacks,
    // A server tells its limits when it is first reached.
    get limits() {
      return inner.limits;
    },
    ...(maxAttempts === undefined ? {} : { maxAttempts }),
    ...jobs(inner),
    ...operator(inner),
    ...(inner.subscribe === undefined ? {} : { subscribe: guardedSubscribe(inner.subscribe) }),
    ...(inner.diagnose === undefined ? {} : { diagnose: guardedDiagnose(inner.diagnose) }),
    ...(topics === undefined ? {} : { topics: guardedTopics(topics) }),
    ...(schedules === undefined ? {} : { schedules: guardedSchedules(schedules, inner) }),
    ...(transactions === undefined ? {} : { transactions: guardedTransactions(transactions, inner) }),
    [Symbol.asyncDispose]: inner[Symbol.asyncDispose],
  };
}

function guardedSubscribe(inner: NonNullable<Transport["subscribe"]>): NonNullable<Transport["subscribe"]> {
  const action = "subscribe to queues";
  return checked((queues, call) => {
    checkQueues(action, queues);
    checkCall(action, call);
  }, inner);
}

function guardedDiagnose(inner: NonNullable<Transport["diagnose"]>): NonNullable<Transport["diagnose"]> {
  return checked((call) => checkCall("diagnose the store", call), inner);
}

type Jobs = Pick<Transport, "push" | "reserve" | "extend" | "settle">;
type Operator = Pick<Transport, "info" | "queues" | "list" | "get" | "reload" | "remove">;

function jobs(inner: Transport): Jobs {
  const faultOfPush = faultOfJob(inner);
  const faultOfExtend = faultOfExtension();
  const faultOfSettle = faultOfSettlement(inner);
  const checkReserve = createReserveCheck();
  return {
    push: refusing((batch, call) => {
      checkPush(inner, batch, call);
      return sift(
        batch,
        faultOfPush,
        (fit) => inner.push(fit, call),
        call.atomic === true ? "withheld" : undefined,
      );
    }),
    reserve: refusing((queues, options) => {
      checkReserve(queues, options);
      return inner.reserve(queues, options);
    }),
    extend: refusing((leases, call) => {
      checkBatch("extend leases", "leases", inner, leases, call);
      return sift(leases, faultOfExtend, (fit) => inner.extend(fit, call));
    }),
    settle: refusing((settlements, call) => {
      checkBatch("settle jobs", "settlements", inner, settlements, call);
      return sift(settlements, faultOfSettle, (fit) => inner.settle(fit, call));
    }),
  };
}

function operator(inner: Transport): Operator {
  return {
    info: refusing((queue, call) => {
      checkQueueName(queue, "show a queue");
      checkCall("show a queue", call);
      return inner.info(queue, call);
    }),
    queues: refusing(async (call) => {
      checkCall("list queues", call);
      // A name that no call can ask for is no queue, whatever other programs put there: each call about it would fail.
      return (await inner.queues(call)).filter(isQueueName);
    }),
    list: checked((queue, channel, page, call) => {
      const action = "list jobs";
      checkPlace(action, queue, channel);
      checkPage(action, page);
      checkInteger(action, "preview", page.preview, 0, Number.MAX_SAFE_INTEGER);
      checkCall(action, call);
    }, inner.list),
    get: checked((queue, ids, call) => {
      const action = "get jobs";
      checkQueueName(queue, action);
      checkIds(action, ids, inner.limits.bulk);
      checkCall(action, call);
    }, inner.get),
    reload: checked((queue, channel, select, call) => {
      const action = "reload jobs";
      checkPlace(action, queue, channel, DEAD_CHANNELS);
      checkSelection(action, select, channel);
      checkCall(action, call);
      checkBoolean(action, "reset", call.reset);
    }, inner.reload),
    remove: checked((queue, channel, select, call) => {
      const action = "remove jobs";
      checkPlace(action, queue, channel);
      checkSelection(action, select, channel);
      checkCall(action, call);
    }, inner.remove),
  };
}

function guardedTopics(inner: Topics): Topics {
  const check = (action: string, topic: string, group: string, call: Call): void => {
    checkName("topic", topic, action);
    checkGroup(topic, group, action);
    checkCall(action, call);
  };
  return {
    bind: checked((topic, group, call) => check("bind a group", topic, group, call), inner.bind),
    unbind: checked((topic, group, call) => check("unbind a group", topic, group, call), inner.unbind),
    groups: checked((topic, call) => {
      checkName("topic", topic, "list the groups");
      checkCall("list the groups", call);
    }, inner.groups),
  };
}

function guardedSchedules(inner: Schedules, of: Transport): Schedules {
  const faultOf = faultOfJob(of);
  const check = (action: string, queue: string, key: string, call: Call): void => {
    checkQueueName(queue, action);
    checkKey(action, key);
    checkCall(action, call);
  };
  return {
    put: checked((schedule, call) => {
      const action = "store a schedule";
      checkObject(action, "the schedule", schedule);
      check(action, schedule.queue, schedule.key, call);
      checkInstant(action, "tick", schedule.tick);
      const { from = "none" } = schedule;
      if (from !== "none") checkInstant(action, "from", from);
      checkString(action, "text", schedule.text);
      checkBytes(action, "payload", schedule.payload);
    }, inner.put),
    get: checked((queue, key, call) => check("get a schedule", queue, key, call), inner.get),
    list: checked((queue, page, call) => {
      checkQueueName(queue, "list schedules");
      checkPage("list schedules", page);
      checkCall("list schedules", call);
    }, inner.list),
    remove: checked((queue, key, call) => check("remove a schedule", queue, key, call), inner.remove),
    pause: checked((queue, key, paused, note, call) => {
      check("pause a schedule", queue, key, call);
      checkBoolean("pause a schedule", "paused", paused);
      checkString("pause a schedule", "note", note);
    }, inner.pause),
    due: checked((queues, limit, call) => {
      const action = "look for due schedules";
      checkQueues(action, queues);
      checkInteger(action, "limit", limit, 1, Number.MAX_SAFE_INTEGER);
      checkCall(action, call);
    }, inner.due),
    advance: checked((queue, key, tick, next, job, call) => {
      const action = "move a schedule on";
      check(action, queue, key, call);
      checkInstant(action, "tick", tick);
      if (next !== undefined) checkInstant(action, "next", next);
      const fault = job === undefined ? undefined : faultOf(job);
      if (fault !== undefined) throw fault;
    }, inner.advance),
  };
}

function guardedTransactions(inner: Transactions, of: Transport): Transactions {
  const faultOfPush = faultOfJob(of);
  const faultOfSettle = faultOfSettlement(of);
  return {
    push: refusing((transaction, batch, call) => {
      checkObject("push jobs", "'transaction'", transaction);
      checkPush(of, batch, call);
      const atomic = call.atomic === true ? "withheld" : undefined;
      return sift(batch, faultOfPush, (fit) => inner.push(transaction, fit, call), atomic);
    }),
    settle: refusing((transaction, settlements, call) => {
      checkObject("settle jobs", "'transaction'", transaction);
      checkBatch("settle jobs", "settlements", of, settlements, call);
      return sift(settlements, faultOfSettle, (fit) => inner.settle(transaction, fit, call));
    }),
  };
}

function checkBatch(
  action: string,
  what: string,
  { limits }: Pick<Transport, "limits">,
  items: readonly unknown[],
  call: Call,
): void {
  checkList(action, what, items, limits.bulk);
  checkCall(action, call);
}

function checkPush(
  inner: Pick<Transport, "limits">,
  batch: readonly unknown[],
  call: Call & { readonly atomic?: boolean },
): void {
  checkBatch("push jobs", "jobs", inner, batch, call);
  checkFlag("push jobs", "atomic", call.atomic);
  const { atomic = Infinity } = inner.limits;
  if (call.atomic === true && batch.length > atomic) {
    throw new AtomicLimitError(atomic, `${batch.length} messages`);
  }
}

/** An error before a call begins rejects it; the call itself is made at once, so that calls keep their order. */
function refusing<Args extends readonly unknown[], T>(
  call: (...args: Args) => Promise<T>,
): (...args: Args) => Promise<T> {
  return (...args) => {
    try {
      return call(...args);
    } catch (error) {
      return Promise.reject(error);
    }
  };
}

/** A call that is made once its arguments were checked. */
function checked<Args extends readonly unknown[], T>(
  check: (...args: Args) => void,
  call: (...args: Args) => Promise<T>,
): (...args: Args) => Promise<T> {
  return refusing((...args: Args) => {
    check(...args);
    return call(...args);
  });
}

/** Sends the items without a fault, and answers for each in its place; `rest`: the answer of the others instead. */
function sift<Item, Answer>(
  items: readonly Item[],
  faultOf: FaultOf<Item>,
  send: (fit: readonly Item[]) => Promise<readonly Answer[]>,
  rest?: Answer,
): Promise<readonly (Answer | Error)[]> {
  let faults: Map<number, Error> | undefined;
  for (let index = 0; index < items.length; index++) {
    const fault = faultOf(items[index] as Item);
    if (fault !== undefined) (faults ??= new Map()).set(index, fault);
  }
  if (faults === undefined) return send(items);
  const found = faults;
  if (rest !== undefined || found.size === items.length) {
    return Promise.resolve(items.map((_, index) => found.get(index) ?? rest ?? noAnswer()));
  }
  return send(items.filter((_, index) => !found.has(index))).then((answers) => {
    let next = 0;
    return items.map((_, index) => found.get(index) ?? answers[next++] ?? noAnswer());
  });
}

function noAnswer(): Error {
  return new Error("A transport did not answer for every item of a batch");
}
