/**
 * The bridge to a bare broker: whatever can publish and subscribe becomes a transport. Its deliveries wait in the
 * memory of this process, with due times, leases, retries, dead letters and groups as on the memory transport.
 *
 * @module
 */

import { createAlarms } from "../../flow/alarms.ts";
import { CALL_TIMEOUT } from "../../defaults.ts";
import type { Call, Delivery, ReserveOptions, Settlement } from "../../jobs/exchange.ts";
import { isDead } from "../../jobs/job.ts";
import { around, type Prompt } from "../../contract/around.ts";
import { guarded } from "../../guard/guard.ts";
import { groupQueue, NUMBERED, partsOf, topicQueue } from "../../names.ts";
import { checkBoolean, checkKnown, checkLabel, checkRuntime, wrongType } from "../../options.ts";
import { type Runtime, systemRuntime } from "../../runtime.ts";
import type { Features, Lacks, Topics, Transport } from "../../contract/transport.ts";
import { createAnswering } from "../../store/answering.ts";
import { parted } from "../../store/pages.ts";
import { createIds } from "./ids.ts";
import { createLedger, type Ledger } from "./ledger.ts";
import { type Message, read, restOf } from "./message.ts";
import { createPublisher, type Publish, type Publisher } from "./publish.ts";
import { createSubscriptions, type Subscribe, type Subscriptions } from "./subscriptions.ts";
import { unguarded } from "../memory/mod.ts";

/** A bare broker. */
export interface BrokerOptions {
  /**
   * Publishes a body to a topic, which is a queue's name; resolves, or returns, when the broker has it. A throw rejects
   * the dispatch. `call` holds the milliseconds that it may take (`deadline`), and may hold a `signal`.
   */
  readonly publish: Publish;
  /**
   * Calls `receive` with each body of a topic from now on; returns, or resolves with, a way to end that, if
   * there is one: a function, or something disposable. The promise of `receive` resolves when the job is done or dead, and
   * rejects when the body should come again: with `handlesRetries` for each failed run, and when this transport is
   * closed. Whether it does come again is the broker's matter. A throw, or a rejection, in the first round of a run's
   * subscriptions rejects `run`, and none of that round stays subscribed; one that comes later is tried again.
   */
  readonly subscribe: Subscribe;
  /**
   * The broker delivers failed jobs again, as often as it likes: a failed run rejects the promise of `receive`, with
   * the job's error, and Relevo's own retries are off. Default false.
   */
  readonly handlesRetries?: boolean | undefined;
  /** Its name in events and errors. Default `broker`. */
  readonly name?: string | undefined;
  /** Clock, timer and ids; replaced in tests. Default: the system's. */
  readonly runtime?: Runtime | undefined;
}

/** The parts of one transport. */
interface Parts {
  readonly name: string;
  readonly runtime: Runtime;
  readonly inner: Transport;
  readonly ledger: Ledger;
  readonly publisher: Publisher;
  readonly subscriptions: Subscriptions;
  /** The groups that are bound to each topic. */
  readonly bound: Map<string, Set<string>>;
  readonly copies: (topic: string) => readonly string[];
}

const PAGE = 1_000;
/** For calls to the memory inside, which answers at once. */
const CALL: Call = { deadline: CALL_TIMEOUT };

/**
 * Makes a transport of any broker that can publish and subscribe.
 *
 * Jobs are kept as the broker keeps them: a job that it loses while no process is subscribed is lost, and one that it
 * delivers to several processes runs in each. Delivered jobs are in this process and end with it; `info`, `list` and
 * the other calls of operators show that and no more. A queue is subscribed with the first reserve from it, a topic
 * with the first group that is bound.
 *
 * @throws {TypeError} for an option that is wrong or unknown.
 *
 * @example
 * ```ts
 * import { createRelay, fromBroker } from "@relevo/relevo";
 * import * as v from "valibot";
 *
 * const target = new EventTarget();
 * const transport = fromBroker({
 *   publish: (topic, body) => void target.dispatchEvent(new CustomEvent(topic, { detail: body })),
 *   subscribe(topic, receive) {
 *     const listener = (event: Event) => void receive((event as CustomEvent<Uint8Array>).detail);
 *     target.addEventListener(topic, listener);
 *     return () => target.removeEventListener(topic, listener);
 *   },
 * });
 * const relay = createRelay({ jobs: { hello: v.string() }, transport });
 * relay.handle("hello", (name) => console.log(`Hello, ${name}!`));
 * await relay.drain(); // subscribes
 * await relay.dispatch("hello", "Ada");
 * await relay.drain();
 * await relay.close();
 * ```
 */
export function fromBroker(options: BrokerOptions): Transport {
  const { publish, subscribe, handlesRetries, name, runtime } = checkOptions(options);
  const inner = unguarded({ runtime, name });
  const alarms = createAlarms(runtime);
  const ledger = createLedger();
  const bound: Parts["bound"] = new Map();
  const copies = (topic: string): readonly string[] => copiesOf(bound, topic);
  const publisher = createPublisher({ runtime, alarms, publish, ids: createIds(runtime, ledger), copies });
  const subscriptions = createSubscriptions({
    alarms,
    subscribe,
    accept: (topic, body) => accept(parts, topic, body),
  });
  const parts: Parts = { name, runtime, inner, ledger, publisher, subscriptions, bound, copies };
  const answering = createAnswering(name);
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    const error = answering.close();
    publisher.close(error);
    // Before callbacks are told: a broker that delivers again at once is to ask others.
    const unsubscribed = subscriptions.close(error, CALL_TIMEOUT);
    await inner[Symbol.asyncDispose]();
    try {
      await unsubscribed;
    } finally {
      ledger.close(error);
      alarms.clear();
    }
  }

  return guarded(around({
    name,
    features: featuresOf(handlesRetries),
    lacks: LACKS,
    limits: inner.limits,
    push: publisher.push,
    reserve: (queues, wanted) => reserve(parts, queues, wanted),
    subscribe: (queues, call) => subscriptions.need(queues.flatMap(sourcesOf), call),
    extend: inner.extend,
    settle: (settlements, call) => settle(parts, settlements, call),
    info: inner.info,
    queues: inner.queues,
    list: inner.list,
    get: inner.get,
    async reload(queue, channel, select, call) {
      const reloaded = await inner.reload(queue, channel, select, call);
      if (reloaded.reloaded > 0) await noteWaiting(parts, queue);
      return reloaded;
    },
    async remove(queue, channel, select, call) {
      const removed = await inner.remove(queue, channel, select, call);
      if (removed > 0) await dropGone(parts, queue);
      return removed;
    },
    ...(inner.topics && { topics: topicsOf(parts, inner.topics) }),
    [Symbol.asyncDispose]: () => closing ??= close(),
  }, answering.answer));
}

const IDS = "the broker does not say which jobs it keeps";
const LACKS: Lacks = {
  durable: "this library does not know how the broker keeps jobs",
  shared: "each process counts and shows what was delivered to it",
  remote: "delivered jobs are in the memory of this process",
  exactInfo: "jobs are not seen before the broker delivers them",
  atomicPush: "a broker takes one job at a time",
  idLive: IDS,
  idWindow: IDS,
  schedules: "a broker that publishes and subscribes keeps no schedules",
  transactions: "a broker that publishes and subscribes has none",
};

/** The topics that the jobs of a queue come from: a group's from its topic, too. */
function sourcesOf(queue: string): readonly string[] {
  const { topic, group } = partsOf(queue);
  return topic === undefined || group === "" ? [queue] : [queue, topicQueue(topic)];
}

function featuresOf(handlesRetries: boolean): Features {
  return {
    durable: false,
    shared: false,
    exactFence: true,
    exactInfo: false,
    atomicPush: false,
    remote: false,
    clock: "process",
    idLive: false,
    idWindow: false,
    ...(handlesRetries ? { handlesRetries } : {}),
  };
}

function checkOptions(
  options: BrokerOptions,
): Required<{ [O in keyof BrokerOptions]: NonNullable<BrokerOptions[O]> }> {
  const action = "make a transport of a broker";
  checkKnown(action, options, ["publish", "subscribe", "handlesRetries", "name", "runtime"]);
  const { publish, subscribe, handlesRetries = false, name = "broker", runtime = systemRuntime() } = options;
  checkRuntime(action, runtime);
  for (const [option, value] of Object.entries({ publish, subscribe })) {
    if (typeof value === "function") continue;
    throw wrongType(action, `'${option}'`, "a function", value);
  }
  checkBoolean(action, "handlesRetries", handlesRetries);
  checkLabel(action, "name", name);
  // Bound, as a broker may be an object with methods.
  return {
    publish: (topic, body, call) => options.publish(topic, body, call),
    subscribe: (topic, receive) => options.subscribe(topic, receive),
    handlesRetries,
    name,
    runtime,
  };
}

/** The queues in which the jobs of a topic, or of a plain queue, are when they have come. */
function copiesOf(bound: Parts["bound"], queue: string): readonly string[] {
  const { topic, group } = partsOf(queue);
  const groups = topic === undefined || group !== "" ? undefined : bound.get(topic);
  if (topic === undefined || groups === undefined || groups.size === 0) return [queue];
  return [...groups].map((name) => groupQueue(topic, name));
}

/** Takes in a delivery of the broker; resolves when it is done or dead. */
function accept(
  { runtime, inner, ledger, publisher, copies }: Parts,
  topic: string,
  body: Uint8Array,
): Promise<void> {
  const message = read(body) ?? foreign(runtime, topic, body);
  const { id, name, payload, meta, at } = message;
  const queues = copies(topic);
  const live = queues.filter((queue) => ledger.has(queue, id));
  if (live.length > 0) {
    // Delivered again while it waits or runs here: it ends when that job does.
    publisher.arrived(topic, id);
    return ledger.enter(live, id);
  }
  const ended = ledger.enter(queues, id);
  const delay = restOf(message, runtime.now());
  const job = { queue: topic, id, name, payload, meta, at, delay, idWindow: 0 };
  inner.push([job], CALL).then(([pushed]) => {
    if (!(pushed instanceof Error)) return publisher.arrived(topic, id);
    for (const queue of queues) ledger.drop(queue, id, pushed);
  }, (error) => {
    for (const queue of queues) ledger.drop(queue, id, error);
  });
  return ended;
}

/** A body that another program published. */
function foreign(runtime: Runtime, topic: string, body: Uint8Array): Message {
  return {
    id: `${NUMBERED}${runtime.id()}`,
    name: partsOf(topic).topic ?? topic,
    meta: "",
    payload: new Uint8Array(body),
  };
}

/** Subscribes to the queues, where that is still to be done, and reserves from the memory inside. */
function reserve(
  { inner, ledger, subscriptions }: Parts,
  queues: readonly string[],
  wanted: ReserveOptions,
): Promise<readonly Delivery[]> {
  const take = async (): Promise<readonly Delivery[]> => {
    const deliveries = await inner.reserve(queues, wanted);
    ledger.handed(deliveries);
    return deliveries;
  };
  return subscriptions.need(queues, wanted)?.then(take) ?? take();
}

async function settle(
  { inner, ledger }: Parts,
  settlements: readonly Settlement[],
  call: Call,
): ReturnType<Transport["settle"]> {
  const answers = await inner.settle(settlements.map(leave), call);
  settlements.forEach((settlement, index) => {
    if (answers[index] === "settled") ledger.settled(settlement);
  });
  return answers;
}

/** A job that the broker will deliver again must not lie dead here too. */
function leave(settlement: Settlement): Settlement {
  if (!("failure" in settlement) || settlement.failure === undefined) return settlement;
  const { queue, token } = settlement;
  return { queue, token, to: "done" };
}

/** Writes down waiting jobs that came by no message: their ids are refused, too. */
async function noteWaiting({ inner, ledger }: Parts, queue: string): Promise<void> {
  let cursor: string | undefined;
  do {
    const page = await inner.list(queue, "waiting", { limit: PAGE, preview: 0, cursor }, CALL);
    for (const { id } of page.entries) ledger.note(queue, id);
    cursor = page.cursor;
  } while (cursor !== undefined);
}

/** Ends the messages of jobs that an operator removed. */
async function dropGone({ inner, ledger }: Parts, queue: string): Promise<void> {
  for (const page of parted(ledger.ids(queue), PAGE)) {
    const entries = await inner.get(queue, page, CALL);
    page.forEach((id, index) => {
      const channel = entries[index]?.channel;
      if (channel === undefined || isDead(channel)) ledger.drop(queue, id);
    });
  }
}

function topicsOf({ ledger, subscriptions, bound }: Parts, topics: Topics): Prompt<Topics> {
  return {
    bind(topic, group, call) {
      const bind = (): Promise<void> => {
        const groups = bound.get(topic) ?? new Set();
        if (groups.size === 0) ledger.move(topicQueue(topic), groupQueue(topic, group));
        bound.set(topic, groups.add(group));
        return topics.bind(topic, group, call);
      };
      return subscriptions.need([topicQueue(topic)], call)?.then(bind) ?? bind();
    },
    unbind(topic, group, call) {
      bound.get(topic)?.delete(group);
      return topics.unbind(topic, group, call);
    },
    groups: topics.groups,
  };
}
