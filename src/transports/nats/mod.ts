/**
 * Jobs in NATS JetStream: durable, shared by whoever reaches the servers, 2.12 and later.
 *
 * A stream for each queue, and a subject for each job that ends in its id. Two models were measured before: one subject
 * for all waiting jobs, and one for each. 1,000,000 waiting jobs of 100 bytes, two cores, loopback, 500 in flight, raw
 * frames; publish and consume per second, and the server's memory for each waiting job:
 *
 * | server | one subject | a subject a job |
 * |---|---|---|
 * | 2.9.10 | 264k, 218k, 6 bytes | 216k, 153k, 264 bytes |
 * | 2.15.1 | 305k, 194k, 14 bytes | 232k, 108k, 242 bytes |
 *
 * The second costs a quarter of a gigabyte for a million waiting jobs, and is still faster than `@nats-io/jetstream`
 * publishes and consumes (40k and 110k on the same machine). For that each job, waiting or dead, is found, shown and
 * removed by its id with one look, where the first would have to read the stream. So the second was chosen; what keeps a
 * moved job from being two is the same in both: the successor's message id names the message that it follows.
 *
 * @module
 */

import { MAX_NAME } from "../../defaults.ts";
import { unlessLate } from "../../deadline.ts";
import { DeadlineExceeded, TransportClosed, TransportError } from "../../errors.ts";
import type { Call } from "../../exchange.ts";
import { unlessAborted } from "../../promises.ts";
import type { Features, Transport } from "../../transport.ts";
import { type Bench, createWindow } from "./bench.ts";
import type { NatsConnection, NatsHeaders, NatsInfo, NatsMessage, NatsSubscription } from "./connection.ts";
import { createCalendar } from "./calendar.ts";
import { createServerClock } from "./clock.ts";
import { createCrowd } from "./crowd.ts";
import { createDeaths } from "./deaths.ts";
import { createHolding } from "./held.ts";
import { createLink } from "./link.ts";
import { AnswerLost, isPlaceGone, typed } from "./errors.ts";
import { getJobs, infoOf, listJobs, queueNames } from "./look.ts";
import { reloadJobs, removeJobs } from "./operate.ts";
import { type NatsOptions, settingsOf } from "./options.ts";
import { inOrder } from "./order.ts";
import { createPlaces } from "./places.ts";
import { payloadLimit } from "./publish.ts";
import { createPulls } from "./pulls.ts";
import { pushJobs } from "./push.ts";
import { checkReserve, reserveJobs } from "./reserve.ts";
import { extendAll, settleAll } from "./settle.ts";
import { createSchedules } from "./schedules.ts";
import { createStranded } from "./stranded.ts";
import { createTending } from "./tend.ts";
import { createTopics } from "./topics.ts";

export type { NatsConnection, NatsHeaders, NatsInfo, NatsMessage, NatsOptions, NatsSubscription };

const FEATURES: Omit<Features, "durable"> = {
  shared: true,
  exactFence: false,
  exactInfo: false,
  atomicPush: false,
  clock: "server",
  idLive: true,
  idWindow: true,
};
const MAX_ITEMS = 10_000;

/**
 * A transport that keeps jobs in NATS JetStream.
 *
 * The first call connects, and the streams and consumers of a queue are made when it is first used; what is there is
 * compared and never changed. While no server can be reached calls wait until their deadline, and reject with a
 * `TransportError` whose `code` is `TRANSPORT_UNAVAILABLE`. A push whose answer was lost answers with an error that is
 * none of this library's: the job may or may not be stored.
 *
 * On several servers a leader that dies is followed by another within ten seconds, and calls wait for it within their
 * deadlines. What bears a message id is sent again when no answer comes: pushes with ids, moves, locks. A push without
 * one is sent once; it waits only while nobody took it.
 *
 * A lease is the server's `ackWait`: one that is asked to be longer is kept up from here, a shorter one is granted as
 * `ackWait`. JetStream obeys whoever settles, so a delivery is refused here once its lease is over but for a twentieth
 * (at most a second). What travels longer than that, or is settled again after its lease as the link was lost before the
 * answer, is looked into before it is told: `stale` where another took the job, and where nobody can know, as what
 * followed is gone or minutes have passed, an error that is none of this library's. All else is told apart exactly, as a
 * message has one successor. `info` counts a job twice between the two writes of a move.
 *
 * `@nats-io/nats-core` keeps one way to connect for the whole process. Connections of this transport, over TCP and over
 * WebSocket, set one that serves both before each attempt to connect, and come back beside each other. Those that you open
 * yourself, handed over or not, come back by what was set last: a `connect` or `wsconnect` of yours sets its own way
 * alone, and a connection of yours of the other kind that dials then may hang for good.
 *
 * @throws {TypeError} When an option is wrong, or none says where the servers are. No message repeats a URL.
 * @throws {RangeError} When a number is out of its range.
 *
 * @example
 * ```ts
 * import { nats } from "@relevo/relevo/nats";
 *
 * await using transport = nats({ servers: "nats://127.0.0.1:4222", ackWait: 30_000 });
 * console.log(transport.features.clock); // server
 * ```
 */
export function nats(options: NatsOptions): Transport {
  const settings = settingsOf(options);
  const { name, runtime } = settings;
  const bench = benchOf(settings);
  const { link, places, crowd, calendar, holding } = bench;
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
    if (isPlaceGone(error)) places.forgetAll();
    const cause = error instanceof AnswerLost ? error.cause : typed(error, "use JetStream");
    return closing !== undefined && cause instanceof TransportError ? new TransportClosed(name) : cause;
  }

  function ask<T>(bounds: Call, action: string, work: (until: number) => Promise<T>): Promise<T> {
    return call(bounds, async (until) => {
      await link.ready(until, action);
      return await work(until);
    });
  }

  /** Puts something into queues once those who take from them at this moment are through. */
  function inTurn<T>(
    items: readonly { readonly queue: string }[],
    action: string,
    until: number,
    put: () => Promise<T>,
  ): Promise<T> {
    const orders = new Set(items.map(({ queue }) => places.of(queue).order));
    const ms = Math.max(0, until - runtime.monotonic());
    const late = (): Error => new DeadlineExceeded(action, Math.round(ms));
    return inOrder(orders, "put", (before) => unlessLate(link.alarms, before, { ms, late }), put);
  }

  async function close(): Promise<void> {
    for (const end of [...ends]) end(new TransportClosed(name));
    await crowd.close();
    calendar.close();
    holding.close();
    await link.close();
  }

  return {
    name,
    features: { ...FEATURES, durable: settings.storage === "file" },
    get limits() {
      return { payload: payloadLimit(link), bulk: MAX_ITEMS, name: MAX_NAME };
    },
    maxAttempts: settings.maxDeliver,
    users: new Set(),
    push: (jobs, bounds) =>
      call(bounds, (until) => {
        checkBulk("push jobs", jobs);
        return inTurn(jobs, "push jobs", until, () => pushJobs(bench, jobs, until));
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
      call(bounds, (until) => {
        checkBulk("extend leases", leases);
        return extendAll(bench, leases, until);
      }),
    settle: (settlements, bounds) =>
      call(bounds, (until) => {
        checkBulk("settle jobs", settlements);
        const moving = settlements.filter(({ to }) => to !== "done");
        return inTurn(moving, "settle jobs", until, () => settleAll(bench, settlements, until));
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
    schedules: createSchedules(bench, ask),
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
    stranded: createStranded(() => bench),
    tend: createTending(() => bench),
  };
  const crowd = createCrowd(settings.runtime, () => bench);
  const calendar = createCalendar(link, () => bench);
  link.listeners.add({
    down: () => {
      crowd.reset();
      calendar.reset();
    },
    moved: (stream, consumer) => crowd.moved(stream, consumer),
  });
  const bench: Bench = { ...parts, crowd, calendar };
  return bench;
}

function checkBulk(action: string, items: readonly unknown[]): void {
  if (items.length <= MAX_ITEMS) return;
  throw new RangeError(
    `Cannot ${action} as one call takes at most ${MAX_ITEMS}: current number is ${items.length}`,
  );
}
