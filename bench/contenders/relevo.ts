/**
 * Relevo as users take it: a relay with a schema, a transport by its URL, defaults but for concurrency.
 *
 * @module
 */

import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import * as v from "valibot";
import { createRelay, every } from "../../mod.ts";
import { connect } from "../../src/connect.ts";
import {
  type Contender,
  type OpenOptions,
  type Payload,
  payloadOf,
  type Recurring,
  type Subject,
  workOff,
  workThrough,
} from "./contender.ts";
import { serverOf } from "./redis_peers.ts";

/** The one job of the benchmark. */
const jobs = { "email.welcome": v.object({ userId: v.number(), email: v.string(), text: v.string() }) };

/** On the memory of this process. */
export const relevoMemory: Contender = contender(() => "memory:");

/** On a SQLite file. */
export const relevoSqlite: Contender = contender(({ folder, durability }) =>
  `sqlite:${join(folder, "jobs.db")}?durability=${durability}`
);

/** On a Redis server. */
export const relevoRedis: Contender = contender(serverUrl);

/** On a NATS server. */
export const relevoNats: Contender = contender(serverUrl);

function serverUrl(options: OpenOptions): string {
  const { kind, host, port } = serverOf(options);
  return `${kind}://${host}:${port}`;
}

function contender(urlOf: (options: OpenOptions) => string): Contender {
  return {
    url: urlOf,
    open: (options) => open(urlOf(options)),
    spread: (options, queues) => spread(urlOf(options), queues),
    idle: (options, queues) => idle(urlOf(options), queues),
    recurring: (options) => recurring(urlOf(options)),
  };
}

async function open(url: string): Promise<Subject> {
  const relay = createRelay({ jobs, transport: await connect(url) });
  let entered = (): void => {};
  // deno-lint-ignore require-await
  relay.handle("email.welcome", async () => entered());
  const subject: Required<Subject> = {
    one: (payload) => relay.dispatch("email.welcome", payload),
    many: (payloads) =>
      relay.dispatchMany(payloads.map((payload) => ({ name: "email.welcome" as const, payload }))),
    later: (payload, at) => relay.dispatch("email.welcome", payload, { at }),
    work: (total, concurrency) => workOff(subject, total, concurrency),
    async listen(listener, concurrency) {
      entered = listener;
      const worker = relay.worker(concurrency === undefined ? {} : { concurrency });
      const running = worker.run();
      await setImmediate();
      return async () => {
        await worker.stop();
        await running;
      };
    },
    async left() {
      const { waiting, delayed, reserved } = await relay.info("default");
      return waiting + delayed + reserved;
    },
    close: () => relay.close(),
  };
  return subject;
}

async function recurring(url: string): Promise<Recurring> {
  const relay = createRelay({ jobs, transport: await connect(url) });
  relay.handle("email.welcome", () => {});
  let sets = 0;
  return {
    put(count, first, period) {
      const set = ++sets;
      const list = Array.from({ length: count }, (_, n) => ({
        name: "email.welcome" as const,
        payload: payloadOf(n),
        key: `${set} ${n}`,
        when: every(period),
        start: first,
      }));
      return relay.schedules.sync(list, { owner: `set ${set}` });
    },
    async listen(ticked) {
      relay.events.addEventListener("tick", ({ detail }) => ticked(detail.tick));
      const worker = relay.worker();
      const running = worker.run();
      await setImmediate();
      return async () => {
        await worker.stop();
        await running;
      };
    },
    close: () => relay.close(),
  };
}

/** One job for each of so many queues. */
function jobsOf(queues: number): Record<string, { schema: typeof jobs["email.welcome"]; queue: string }> {
  const names = Array.from({ length: queues }, (_, index) => `queue-${index}`);
  return Object.fromEntries(names.map((queue) => [`job.${queue}`, { schema: jobs["email.welcome"], queue }]));
}

async function spread(url: string, queues: number): Promise<Subject> {
  const jobs = jobsOf(queues);
  const relay = createRelay({ jobs, transport: await connect(url) });
  let entered = (): void => {};
  // deno-lint-ignore require-await
  for (const name of Object.keys(jobs)) relay.handle(name, async () => entered());
  const nameOf = ({ userId }: Payload): string => `job.queue-${userId % queues}`;
  const listen: Required<Subject>["listen"] = async (listener, concurrency = 10) => {
    entered = listener;
    const worker = relay.worker({ concurrency });
    const running = worker.run();
    await setImmediate();
    return async () => {
      await worker.stop();
      await running;
    };
  };
  return {
    one: (payload) => relay.dispatch(nameOf(payload), payload),
    many: (payloads) => relay.dispatchMany(payloads.map((payload) => ({ name: nameOf(payload), payload }))),
    work: (total, concurrency) => workThrough(listen, total, concurrency),
    listen,
    close: () => relay.close(),
  };
}

async function idle(url: string, queues: number): Promise<() => Promise<void>> {
  const jobs = jobsOf(queues);
  const relay = createRelay({ jobs, transport: await connect(url) });
  for (const name of Object.keys(jobs)) relay.handle(name, () => {});
  const running = relay.run();
  return async () => {
    await relay.close();
    await running;
  };
}
