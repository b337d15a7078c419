/**
 * Subscriptions: each begins with the first call that needs it and ends with the transport. Those that begin together
 * begin whole or not at all.
 *
 * @module
 */

import type { Alarms } from "../../flow/alarms.ts";
import { unlessLate } from "../../flow/deadline.ts";
import { DeadlineExceeded, errorOf, RelevoError, TransportError } from "../../errors.ts";
import type { Call } from "../../jobs/exchange.ts";
import { isByteArray } from "../../kinds.ts";
import { wrongType } from "../../options.ts";
import { hush, isPromise } from "../../promises.ts";

/** Takes a body; resolves when its job is done or dead. */
export type Receive = (body: Uint8Array) => Promise<void>;

/** How a subscription ends: a function to call, something to dispose of, or nothing. */
export type Unsubscribe = (() => unknown) | Disposable | AsyncDisposable | void;

/** Asks the broker for the bodies of a topic. */
export type Subscribe = (topic: string, receive: Receive) => Unsubscribe | Promise<Unsubscribe>;

/** The subscriptions of one transport. */
export interface Subscriptions {
  /** Makes sure of some topics; nothing when they are subscribed already. */
  need(topics: readonly string[], call: Call): Promise<void> | undefined;
  /** Ends all, within so many milliseconds; rejects with the faults, when all was tried. */
  close(error: Error, ms: number): Promise<void>;
}

/** The parts that subscribing needs. */
export interface Desk {
  readonly alarms: Alarms;
  readonly subscribe: Subscribe;
  /** Takes a body in; it is not used again. */
  readonly accept: (topic: string, body: Uint8Array) => Promise<void>;
}

interface Subscription {
  readonly topic: string;
  /** Resolves when this one and those that began with it are subscribed. */
  readonly ready: Promise<void>;
  /** Tells the calls that wait for it that it will never be. */
  readonly cancel: (error: Error) => void;
  live: boolean;
  /** Why it takes nothing any more. */
  over: Error | undefined;
  stop: (() => unknown) | undefined;
}

const ACTION = "subscribe to the broker";

/** Makes the subscriptions of a transport. */
export function createSubscriptions({ alarms, subscribe, accept }: Desk): Subscriptions {
  const byTopic = new Map<string, Subscription>();

  async function open(subscription: Subscription): Promise<void> {
    const stop = stopOf(await subscribe(subscription.topic, (body) => receive(accept, subscription, body)));
    if (subscription.over === undefined) subscription.stop = stop;
    // It was given up meanwhile, and no call waits for it any more.
    else await stop?.();
  }

  function start(topics: readonly string[], deadline: number): void {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    hush(promise);
    const begun = topics.map((topic): Subscription => {
      const one = { topic, ready: promise, cancel: reject, live: false, over: undefined, stop: undefined };
      byTopic.set(topic, one);
      return one;
    });
    const fail = async (error: Error): Promise<void> => {
      if (begun.some(({ over }) => over !== undefined)) return;
      for (const one of begun) {
        one.over = error;
        byTopic.delete(one.topic);
      }
      const failures = await stopAll(begun);
      reject(failures.length === 0 ? error : failed([error, ...failures]));
    };
    const late = (): Error => new DeadlineExceeded(ACTION, deadline);
    const opened = Promise.allSettled(begun.map(open));
    unlessLate(alarms, opened, { ms: deadline, late }).then(async (ends) => {
      const reasons = reasonsOf(ends);
      // The transport may have been closed meanwhile.
      if (reasons.length === 0 && begun.every(({ over }) => over === undefined)) {
        for (const one of begun) one.live = true;
        resolve();
      } else await fail(failed(reasons));
    }).catch(fail);
  }

  return {
    need(topics, { deadline, signal }) {
      const missing = topics.filter((topic) => byTopic.get(topic)?.live !== true);
      if (missing.length === 0) return undefined;
      const fresh = [...new Set(missing.filter((topic) => !byTopic.has(topic)))];
      if (fresh.length > 0) start(fresh, deadline);
      const all = Promise.all(missing.map((topic) => byTopic.get(topic)?.ready)).then(() => undefined);
      return unlessLate(alarms, all, {
        ms: deadline,
        late: () => new DeadlineExceeded(ACTION, deadline),
        signal,
      });
    },
    async close(error, ms) {
      const all = [...byTopic.values()];
      byTopic.clear();
      await closeAll(alarms, all, error, ms);
    },
  };
}

/** Takes a body of a subscription, or rejects with why not; never throws, as a broker would not expect it. */
function receive(accept: Desk["accept"], subscription: Subscription, body: Uint8Array): Promise<void> {
  let taken: Promise<void>;
  try {
    taken = take(accept, subscription, body);
  } catch (error) {
    taken = Promise.reject(error);
  }
  // A broker that ignores rejections must not end the process.
  hush(taken);
  return taken;
}

function take(accept: Desk["accept"], subscription: Subscription, body: Uint8Array): Promise<void> {
  const { topic, ready, live, over } = subscription;
  if (over !== undefined) throw over;
  // Before it is copied: a copy of a text has no bytes, and one of a number so many zeros.
  if (!isByteArray(body)) throw wrongType(`receive from '${topic}'`, "a body", "a Uint8Array", body);
  if (live) return accept(topic, body);
  // A broker may hand over kept bodies before it says that it has subscribed.
  const kept = new Uint8Array(body);
  return ready.then(() => accept(topic, kept));
}

/** Ends subscriptions with an error for the calls that wait for them, within so many milliseconds. */
async function closeAll(
  alarms: Alarms,
  all: readonly Subscription[],
  error: Error,
  ms: number,
): Promise<void> {
  for (const one of all) {
    one.over = error;
    one.cancel(error);
  }
  const late = (): Error => new DeadlineExceeded("unsubscribe from the broker", ms);
  const failures = await unlessLate(alarms, stopAll(all), { ms, late });
  if (failures.length > 0) throw failed(failures);
}

/** Ends subscriptions, each whatever becomes of the others; answers the faults. */
async function stopAll(all: readonly Subscription[]): Promise<Error[]> {
  const ends = await Promise.allSettled(all.map(async ({ stop }) => await stop?.()));
  return reasonsOf(ends);
}

function reasonsOf(ends: readonly PromiseSettledResult<unknown>[]): Error[] {
  return ends.flatMap((end) => end.status === "rejected" ? [errorOf(end.reason)] : []);
}

function failed(reasons: readonly Error[]): Error {
  const [first] = reasons;
  if (reasons.length === 1 && first instanceof RelevoError) return first;
  const cause = reasons.length === 1 ? first : new AggregateError(reasons, "several subscriptions failed");
  return new TransportError("TRANSPORT_UNAVAILABLE", "The broker refused a subscription, or its end", {
    cause,
  });
}

function stopOf(unsubscribe: Unsubscribe): (() => unknown) | undefined {
  if (typeof unsubscribe === "function") return unsubscribe;
  if (typeof unsubscribe !== "object" || unsubscribe === null || isPromise(unsubscribe)) return undefined;
  if (Symbol.asyncDispose in unsubscribe) return () => unsubscribe[Symbol.asyncDispose]();
  return Symbol.dispose in unsubscribe ? () => unsubscribe[Symbol.dispose]() : undefined;
}
