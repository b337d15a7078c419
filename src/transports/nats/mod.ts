/**
 * Jobs in NATS JetStream: durable, shared by whoever reaches the servers, 2.9 and later.
 *
 * @module
 */

import { MAX_NAME } from "../../defaults.ts";
import { TransportClosed, TransportError } from "../../errors.ts";
import type { Call } from "../../exchange.ts";
import { unlessAborted } from "../../promises.ts";
import type { Features, Transport } from "../../transport.ts";
import { type Bench, createWindow } from "./bench.ts";
import type { NatsConnection, NatsHeaders, NatsInfo, NatsMessage, NatsSubscription } from "./connection.ts";
import { createServerClock } from "./clock.ts";
import { createCrowd } from "./crowd.ts";
import { createDeaths } from "./deaths.ts";
import { createHolding } from "./held.ts";
import { createLink } from "./link.ts";
import { AnswerLost } from "./errors.ts";
import { getJobs, infoOf, listJobs, queueNames } from "./look.ts";
import { reloadJobs, removeJobs } from "./operate.ts";
import { type NatsOptions, settingsOf } from "./options.ts";
import { inOrder, type Order } from "./order.ts";
import { createPlaces } from "./places.ts";
import { payloadLimit } from "./publish.ts";
import { createPulls } from "./pulls.ts";
import { pushJobs } from "./push.ts";
import { checkReserve, reserveJobs } from "./reserve.ts";
import { extendAll, settleAll } from "./settle.ts";
import { createTending } from "./tend.ts";
import { createTopics } from "./topics.ts";

export type { NatsConnection, NatsHeaders, NatsInfo, NatsMessage, NatsOptions, NatsSubscription };

const FEATURES: Features = {
  durable: true,
  shared: true,
  exactFence: false,
  exactInfo: false,
  atomicPush: false,
  clock: "server",
  idLive: true,
  idWindow: true,
};
const MAX_ITEMS = 10_000;

/** Makes a transport that keeps jobs in JetStream. */
export function nats(options: NatsOptions): Transport {
  const settings = settingsOf(options);
  const { name, runtime } = settings;
  const bench = benchOf(settings);
  const { link, places, crowd, holding } = bench;
  const ends = new Set<(error: unknown) => void>();
  let closing: Promise<void> | undefined;

  async function call<T>({ signal, deadline }: Call, work: (until: number) => Promise<T>): Promise<T> {
    if (closing !== undefined) throw new TransportClosed(name);
    signal?.throwIfAborted();
    try {
      return await unlessAborted(work(runtime.monotonic() + deadline), signal);
    } catch (error) {
      throw ended(error);
    }
  }

  /** What ends because the transport was closed says so. */
  function ended(error: unknown): unknown {
    const cause = error instanceof AnswerLost ? error.cause : error;
    return closing !== undefined && cause instanceof TransportError ? new TransportClosed(name) : cause;
  }

  function ask<T>(bounds: Call, action: string, work: (until: number) => Promise<T>): Promise<T> {
    return call(bounds, async (until) => {
      await link.ready(until, action);
      return await work(until);
    });
  }

  function ordersOf(items: readonly { readonly queue: string }[]): Set<Order> {
    return new Set(items.map(({ queue }) => places.of(queue).order));
  }

  async function close(): Promise<void> {
    for (const end of [...ends]) end(new TransportClosed(name));
    if (link.up) await crowd.close();
    holding.close();
    await link.close();
  }

  return {
    name,
    features: FEATURES,
    get limits() {
      return { payload: payloadLimit(link), bulk: MAX_ITEMS, name: MAX_NAME };
    },
    users: new Set(),
    push: (jobs, bounds) =>
      call(bounds, () => {
        checkBulk("push jobs", jobs);
        return inOrder(ordersOf(jobs), "put", () => pushJobs(bench, jobs, bounds));
      }),
    reserve(queues, options) {
      if (closing !== undefined) return Promise.reject(new TransportClosed(name));
      const { signal } = options;
      try {
        signal?.throwIfAborted();
        checkReserve(queues, options);
      } catch (error) {
        return Promise.reject(error);
      }
      const reserved = reserveJobs(bench, queues, options, (end) => {
        const abort = (): void => end(signal?.reason);
        ends.add(end);
        signal?.addEventListener("abort", abort, { once: true });
        return () => {
          ends.delete(end);
          signal?.removeEventListener("abort", abort);
        };
      });
      return reserved.catch((error) => Promise.reject(ended(error)));
    },
    extend: (leases, bounds) =>
      call(bounds, () => {
        checkBulk("extend leases", leases);
        return extendAll(bench, leases, bounds);
      }),
    settle: (settlements, bounds) =>
      call(bounds, () => {
        checkBulk("settle jobs", settlements);
        const moving = settlements.filter(({ to }) => to !== "done");
        return inOrder(ordersOf(moving), "put", () => settleAll(bench, settlements, bounds));
      }),
    info: (queue, bounds) => ask(bounds, "count jobs", (until) => infoOf(bench, queue, until)),
    queues: (bounds) => ask(bounds, "list queues", (until) => queueNames(bench, until)),
    list: (queue, channel, page, bounds) =>
      ask(bounds, "list jobs", (until) => listJobs(bench, queue, channel, page, until)),
    get: (queue, ids, bounds) =>
      ask(bounds, "get jobs", (until) => {
        checkBulk("get jobs", ids);
        return getJobs(bench, queue, ids, until);
      }),
    reload: (queue, channel, select, bounds) =>
      ask(bounds, "reload jobs", (until) => reloadJobs(bench, queue, channel, select, bounds.reset, until)),
    remove: (queue, channel, select, bounds) =>
      ask(bounds, "remove jobs", (until) => removeJobs(bench, queue, channel, select, until)),
    topics: createTopics(bench, ask),
    [Symbol.asyncDispose]: () => closing ??= close(),
  };
}

function benchOf(settings: ReturnType<typeof settingsOf>): Bench {
  const link = createLink(settings);
  const clock = createServerClock(link);
  const places = createPlaces(link, clock);
  const pulls = createPulls(link, places, (arrival) => bench.crowd.stray(arrival));
  const parts = {
    link,
    clock,
    places,
    pulls,
    holding: createHolding(link),
    window: createWindow(),
    deaths: createDeaths(settings.runtime),
    tend: createTending(() => bench),
  };
  const crowd = createCrowd(settings.runtime, () => bench);
  link.listeners.add({
    down: () => crowd.reset(),
    moved: (stream, consumer) => crowd.moved(stream, consumer),
  });
  const bench: Bench = { ...parts, crowd };
  return bench;
}

function checkBulk(action: string, items: readonly unknown[]): void {
  if (items.length <= MAX_ITEMS) return;
  throw new RangeError(
    `Cannot ${action} as one call takes at most ${MAX_ITEMS}: current number is ${items.length}`,
  );
}
