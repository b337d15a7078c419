/**
 * Jobs in NATS JetStream: durable, shared by all that reach the servers, 2.12 and later, over TCP or WebSocket. Needs
 * the package `@nats-io/transport-node`, or a connection that you hold.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { nats } from "@relevo/relevo/nats";
 * import * as v from "valibot";
 *
 * const transport = nats({ servers: "nats://127.0.0.1:4222" });
 * const relay = createRelay({ jobs: { welcome: v.object({}) }, transport });
 * relay.handle("welcome", () => console.log("Welcome"));
 * await relay.close();
 * ```
 *
 * Why it is made as it is: a stream for each queue, and a subject for each job that ends in its id. 1,000,000 waiting
 * jobs of 100 bytes cost a quarter of a gigabyte more than they would on one subject (2.15.1, two cores: 232k published
 * and 108k consumed a second, against 305k and 194k). For that each job is found, shown and removed by its id with one
 * question, and the server itself keeps ids apart and refuses stale moves, on the condition that a message is the last
 * of its id.
 *
 * Pulls, publishes and calls of the API are spoken over `@nats-io/nats-core`, not by `@nats-io/jetstream` (3.4), which has
 * a promise and a timer for each message, and one subscription for each consumer. In turns on one server (Node 24, 100
 * bytes, 500 under way) a publish took it 35 µs of CPU, and 8.5 µs here; a message consumed and acknowledged with an
 * answer 44 µs, and 11.5 µs here: many jobs share a round trip, and many waiting calls one pull.
 *
 * @module
 */

import { MAX_NAME } from "../../defaults.ts";
import { guarded } from "../../guard/guard.ts";
import { hush } from "../../promises.ts";
import type { Features, Lacks, Transport } from "../../contract/transport.ts";
import { removeJobs } from "./admin.ts";
import { reloadJobs } from "./admin_reload.ts";
import type {
  NatsConnection,
  NatsHeaders,
  NatsInfo,
  NatsMessage,
  NatsSubscription,
} from "./client/connection.ts";
import { createLink } from "./client/connected.ts";
import type { Settings } from "./client/link.ts";
import { type NatsOptions, settingsOf } from "./client/options.ts";
import { type Calls, createCalls } from "./calls.ts";
import type { Context } from "./stream/context.ts";
import { diagnose } from "./diagnose.ts";
import { extendAll, getBack } from "./extend.ts";
import { getJobs, infoOf, listJobs, NOTHING, queueNames } from "./inspect.ts";
import { createMaintenance } from "./maintenance.ts";
import { pushJobs } from "./push.ts";
import { reserveJobs } from "./reserve.ts";
import { createSchedules } from "./schedules.ts";
import { settleAll } from "./settle.ts";
import { createBatches, MAX_BATCH } from "./stream/batch.ts";
import { createDeliveries } from "./stream/deliveries.ts";
import { createInFlight } from "./stream/in_flight.ts";
import { payloadLimit } from "./stream/publish.ts";
import { createPulls } from "./stream/pulls.ts";
import { createQueueStreams } from "./stream/queue_streams.ts";
import { createRoom } from "./stream/room.ts";
import { createDeaths, createServerClock } from "./stream/server_clock.ts";
import { createTopics } from "./topics.ts";
import { createWaiters } from "./waiters.ts";

export type { NatsConnection, NatsHeaders, NatsInfo, NatsMessage, NatsOptions, NatsSubscription };

const FEATURES: Omit<Features, "durable"> = {
  shared: true,
  exactFence: true,
  exactInfo: false,
  atomicPush: true,
  remote: true,
  clock: "server",
  idLive: true,
  idWindow: true,
};
const LACKS: Lacks = {
  exactInfo: "they are asked for one after another, while jobs move",
  transactions: "its servers have none",
};
const MAX_ITEMS = 10_000;

/**
 * A transport that keeps jobs in NATS JetStream.
 *
 * The first call connects, and the streams and consumers of a queue are made when it is first used; existing ones are
 * compared and never changed. While no server can be reached calls wait until their deadline, and reject with a
 * `TransportError` whose `code` is `TRANSPORT_UNAVAILABLE`. A push whose answer was lost answers with an error that is
 * none of this library's: the job may or may not be stored.
 *
 * On several servers a leader that dies is followed by another within ten seconds, and calls wait for it within their
 * deadlines. A message with a message id is sent again when no answer comes: pushes with ids, and moves. A push without
 * one is sent once; it waits only while no server accepted it.
 *
 * A lease is the server's `ackWait`: one that is asked to be longer is kept up by the transport, a shorter one is
 * granted as `ackWait`. Moves are made on the condition that the message is the last of its id, so that a stale one
 * changes nothing. An end that is answered within its lease is `settled`; a later one is made on the same condition.
 * Where its answer was lost, and nothing lives under the id by then, it is `settled`, too. `info` counts a job twice
 * between the two writes of a move.
 *
 * The server moves delayed jobs when they are due, at most 0.3 s late, and 3 s where 100,000 are due at once. Due times
 * more than half a second apart keep their order; the others are sorted within a reserve.
 *
 * `@nats-io/nats-core` keeps one way to connect for the whole process. Connections of this transport, over TCP and over
 * WebSocket, set one that serves both before each attempt to connect, and come back beside each other. Those that you
 * open yourself, handed over or not, come back by the way that was set last: a `connect` or `wsconnect` of yours sets
 * its own way alone, and a connection of yours of the other kind that dials then may hang for good.
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
  const context = contextOf(settings);
  const calls = createCalls(context);
  const { link } = context;
  return guarded({
    name: settings.name,
    features: { ...FEATURES, durable: settings.storage === "file" },
    lacks: settings.storage === "file"
      ? LACKS
      : { ...LACKS, durable: "its streams are in the servers' memory" },
    get limits() {
      return { payload: payloadLimit(link), bulk: MAX_ITEMS, atomic: MAX_BATCH, name: MAX_NAME };
    },
    maxAttempts: settings.maxDeliver,
    ...jobs(context, calls),
    ...operator(context, calls),
    topics: createTopics(context, calls),
    schedules: createSchedules(context, calls),
    [Symbol.asyncDispose]: () => calls.close(),
  });
}

function jobs(context: Context, calls: Calls): Pick<Transport, "push" | "reserve" | "extend" | "settle"> {
  return {
    push: (items, bounds) =>
      calls.call(bounds, (until) => {
        const put = () => pushJobs(context, items, bounds.atomic === true, until);
        return calls.inTurn(items, "push jobs", until, put);
      }),
    reserve: (queues, options) =>
      calls.wait(options.signal, (onEnd) => reserveJobs(context, queues, options, onEnd)),
    extend: (leases, bounds) => calls.call(bounds, (until) => extendAll(context, leases, until)),
    settle: (settlements, bounds) =>
      calls.call(bounds, (until) => {
        const moving = settlements.filter(({ to }) => to !== "done");
        return calls.inTurn(moving, "settle jobs", until, () => settleAll(context, settlements, until));
      }),
  };
}

function operator(
  context: Context,
  { ask, on }: Calls,
): Pick<Transport, "info" | "queues" | "list" | "get" | "reload" | "remove" | "diagnose"> {
  return {
    info: (queue, bounds) => on(queue, bounds, "count jobs", NOTHING, infoOf),
    queues: (bounds) => ask(bounds, "list queues", (until) => queueNames(context, until)),
    list: (queue, channel, page, bounds) =>
      on(queue, bounds, "list jobs", { entries: [] }, (call) => listJobs(call, channel, page)),
    get: (queue, ids, bounds) =>
      on(queue, bounds, "get jobs", ids.map(() => undefined), (call) => getJobs(call, ids)),
    reload: (queue, channel, select, bounds) =>
      on(
        queue,
        bounds,
        "reload jobs",
        { reloaded: 0, taken: 0 },
        (call) => reloadJobs(call, channel, select, bounds.reset),
      ),
    remove: (queue, channel, select, bounds) =>
      on(queue, bounds, "remove jobs", 0, (call) => removeJobs(call, channel, select)),
    diagnose: (bounds) => ask(bounds, "diagnose the store", (until) => diagnose(context, until)),
  };
}

function contextOf(settings: Settings): Context {
  const link = createLink(settings);
  const clock = createServerClock(link);
  const streams = createQueueStreams(link, clock);
  const context: Context = {
    link,
    clock,
    streams,
    deliveries: createDeliveries(link, (late) => hush(getBack(context, late, Infinity))),
    pulls: createPulls(link, streams, (received) => context.waiters.stray(received)),
    batches: createBatches(link),
    waiters: createWaiters(settings.runtime, () => context),
    inFlight: createInFlight(),
    deaths: createDeaths(settings.runtime),
    room: createRoom(link),
    tend: createMaintenance(() => context),
  };
  link.listeners.add({
    down: () => context.waiters.reset(),
    moved: (stream, consumer) => context.waiters.moved(stream, consumer),
  });
  return context;
}
