/**
 * Jobs in Redis 7.0 or newer, or Valkey: one server or a Cluster, shared by any number of processes. Needs the package
 * `redis` (node-redis 6), which is loaded when the first connection is wanted.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { redis } from "@relevo/relevo/redis";
 * import * as v from "valibot";
 *
 * const transport = redis({ url: "redis://localhost:6379" });
 * const relay = createRelay({ jobs: { welcome: v.object({}) }, transport });
 * relay.handle("welcome", () => console.log("Welcome"));
 * await relay.close();
 * ```
 *
 * @module
 */

import { hostname } from "node:os";
import { MAX_NAME } from "../../defaults.ts";
import type { Delivery } from "../../jobs/exchange.ts";
import { type Around, around } from "../../contract/around.ts";
import { bounded } from "../../contract/bounded.ts";
import { guarded } from "../../guard/guard.ts";
import { groupQueue } from "../../names.ts";
import type { Features, Lacks, Transport } from "../../contract/transport.ts";
import { createAnswering } from "../../store/answering.ts";
import type { Connection } from "./client/connection.ts";
import { MAX_BYTES, MAX_ITEMS } from "./context.ts";
import { dangersOf, settingOf } from "./diagnose.ts";
import { createLink } from "./client/links.ts";
import { createModel, type Model } from "./model.ts";
import { type RedisClient, type RedisKeys, type RedisOptions, type Settings, settingsOf } from "./options.ts";
import { createWaiting, typed } from "./waiters.ts";

export type { Parts } from "./layout/keys.ts";
export type { RedisClient, RedisKeys, RedisOptions };

const FEATURES: Features = {
  durable: true,
  shared: true,
  exactFence: true,
  exactInfo: true,
  atomicPush: true,
  remote: true,
  clock: "server",
  idLive: true,
  idWindow: true,
};
const LACKS: Lacks = {
  transactions: "its transactions are batches of commands, which end before they can be joined",
};
/** Milliseconds that it may take to give deliveries back, for which no caller waits. */
const PATIENCE = 5_000;
/** The same at the end. */
const FAREWELL = 1_000;

/**
 * A transport that keeps jobs in Redis.
 *
 * It connects with the first call, and anew whenever a connection ends and a call wants one. A call waits for a
 * connection until its deadline is over, and rejects with a `TransportError` then: nothing was sent. A call that a
 * wrong password, an old server, a wrong type of a key or a read-only replica keeps from working rejects at once, with
 * a `code` that says why; a server that is loading or busy is waited for, and the call rejects with `TransportBusy`
 * after the deadline. Full memory rejects pushes with `TransportFull`; nothing of them was stored, and jobs that run
 * can be settled all the same.
 *
 * Relevo never deletes jobs, but a server may: set `maxmemory-policy noeviction` and `appendonly yes`. Where the
 * server's settings may lose jobs, `warn` is told so once.
 *
 * @throws {TypeError} When an option is wrong. No message repeats credentials.
 * @throws {RangeError} When a number is out of its range.
 *
 * @example
 * ```ts
 * import { redis } from "@relevo/relevo/redis";
 *
 * await using transport = redis({ url: "redis://localhost:6379", prefix: "shop" });
 * console.log(transport.features.clock); // server
 * ```
 */
export function redis(options: RedisOptions = {}): Transport {
  const settings = settingsOf(options);
  const { name, runtime, prefix, parts, group, check } = settings;
  const link = createLink(settings, dangersTold(settings));
  // No dot, as a dot in a consumer's name is followed by its lease.
  const instance = `${hostname().replace(/[^\w-]/g, "_")}-${runtime.id()}`;
  const model = createModel({ name, instance, runtime, link, prefix, parts, group });
  const waiting = createWaiting({
    name,
    runtime,
    link,
    looks: model,
    check,
    giveBack: (deliveries) => giveBack(model, deliveries),
  });
  const answering = createAnswering(name);
  let closing: Promise<void> | undefined;

  /** An outcome that a lost connection leaves open is told as such only where it matters. */
  const answer: Around = (action, call, work) =>
    answering.answer(action, call, work).catch((error) => {
      throw typed(name, error);
    });

  async function close(): Promise<void> {
    answering.close();
    await waiting.close();
    // Consumers that stay are removed by the next sweep of the queue.
    if (link.reachable) await model.leave({ deadline: FAREWELL }).catch(() => undefined);
    await link.close();
  }

  const transport = guarded(around(
    {
      name,
      features: FEATURES,
      lacks: LACKS,
      limits: { payload: MAX_BYTES, bulk: MAX_ITEMS, name: MAX_NAME },
      maxAttempts: settings.maxRetries,
      ...model,
      reserve: waiting.reserve,
      topics: {
        ...model.topics,
        // The state that waiting calls know of the group's stream may be another stream's: the topic's was renamed, or
        // the store forgot it.
        bind: (topic, each, call) =>
          model.topics.bind(topic, each, call).then(() => void waiting.notify([groupQueue(topic, each)])),
      },
      [Symbol.asyncDispose]: () => closing ??= close(),
    },
    answer,
    {
      push: (jobs, call) =>
        answering.answer("push jobs", call, () => {
          const awaited = waiting.awaited(jobs);
          const answer = model.push(jobs, call, awaited);
          if (awaited.size > 0) waiting.called(awaited);
          return answer;
        }),
    },
  ));
  bounded(transport.push);
  return transport;
}

/** Tells the dangers of the first server that is reached, once. */
function dangersTold({ name, warn }: Settings): (connection: Connection) => void {
  let told = false;
  return (connection) => {
    if (told) return;
    told = true;
    dangersOf(connection.facts, (setting) => settingOf(connection, setting)).then((found) => {
      // A setting that is not known is not warned of, nor one that would be a danger only with other settings.
      const dangers = found.filter(({ check, severity }) =>
        severity === "danger" || (severity === "warning" && check !== "eviction")
      ).map(({ says }) => `${says}.`);
      if (dangers.length > 0) warn(`Jobs in ${name} may be lost. ${dangers.join(" ")}`);
    }).catch(() => {
      // A function that is told must not bring down the rest.
    });
  };
}

/** A delivery that cannot be given back comes back when its lease ends. */
async function giveBack(model: Model, deliveries: readonly Delivery[]): Promise<void> {
  const releases = deliveries.map(({ queue, token }) => ({ queue, token, to: "release" as const }));
  await model.settle(releases, { deadline: PATIENCE }).catch(() => undefined);
}
