/** What waiting costs: each worker on a server of its own, which counts, and all of them at a time, as they mostly wait. */
import { expect, test } from "vitest";
import { createRelay, every } from "../../../mod.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { redis, type RedisOptions } from "../../../src/transports/redis/mod.ts";
import { free, heard } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import { type RedisServer, startRedis } from "../support/servers/redis.ts";
import { call, commands, connections, one, reserve, waitersAt } from "./support.ts";

/** Milliseconds in which what does not wait for a call's deadline ends, on a busy machine too. */
const SOON = 30_000;
const PATIENCE = 120_000;

/** A server of its own, and transports that are closed before it ends. */
interface Place extends AsyncDisposable {
  readonly server: RedisServer;
  open(options?: RedisOptions): Transport;
}

async function makePlace(): Promise<Place> {
  const server = await startRedis();
  const transports: Transport[] = [];
  return {
    server,
    open(options = {}) {
      const transport = redis({ warn: () => {}, url: server.url, ...options });
      transports.push(transport);
      return transport;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(transports.map((transport) => transport[Symbol.asyncDispose]()));
      await server[Symbol.asyncDispose]();
    },
  };
}

async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * The commands a second of six seconds; no event ends such a measure. Of three spans the first that costs no more than it
 * may, or the last: a worker's first polls may fall into one.
 */
async function rateOf(server: RedisServer, most: number): Promise<number> {
  for (let span = 1;; span++) {
    const [begun, start] = [performance.now(), await commands(server)];
    await sleep(6_000);
    const rate = (await commands(server) - start) / (performance.now() - begun) * 1_000;
    if (rate <= most || span === 3) return rate;
  }
}

test.concurrent.each([1, 20, 50])(
  "a worker that waits at %i queues costs two commands a second at most, and a connection",
  async (n) => {
    await using place = await makePlace();
    const { server } = place;
    const queues = Array.from({ length: n }, (_, i) => `q${i}`);
    const relay = createRelay({
      transport: place.open(),
      jobs: Object.fromEntries(queues.map((queue) => [queue, { schema: free(), queue }])),
    });
    for (const queue of queues) relay.handle(queue, () => {});
    const idle = heard(relay.events, "idle");
    const before = await connections(server);
    const worker = relay.worker();
    const running = worker.run();
    await becomes("it waits at its last queue", async () => await waitersAt(server, `q${n - 1}`) === 1);
    await becomes("it has nothing to do", () => idle.length > 0);
    expect(await connections(server) - before).toBe(1);
    expect(await rateOf(server, 2)).toBeLessThanOrEqual(2);
    await worker.stop();
    await running;
  },
  PATIENCE,
);

test.concurrent(
  "a worker that idles beside 500 schedules costs four commands a second at most",
  async () => {
    await using place = await makePlace();
    const { server } = place;
    const relay = createRelay({
      transport: place.open(),
      jobs: { work: { schema: free(), queue: "work" } },
    });
    relay.handle("work", () => {});
    const puts = Array.from(
      { length: 500 },
      (_, n) => relay.schedule("work", n, { key: `${n}`, when: every(86_400_000) }),
    );
    await Promise.all(puts);
    const worker = relay.worker();
    const running = worker.run();
    await becomes("it waits", async () => await waitersAt(server) === 1);
    // Three looks more or less may fall into the six seconds.
    expect(await rateOf(server, 4.5)).toBeLessThanOrEqual(4.5);
    await worker.stop();
    await running;
  },
  PATIENCE,
);

test.concurrent("without a wait nothing is subscribed to, registered, or left running", async () => {
  await using place = await makePlace();
  const { server } = place;
  const transport = place.open();
  await transport.push([one("1")], call);
  const [delivery] = await reserve(transport);
  expect(delivery?.id).toBe("1");
  await transport.settle([{ queue: "work", token: delivery?.token ?? "", to: "done" }], call);
  await reserve(transport);
  expect(await server.send("PUBSUB", "SHARDCHANNELS")).toEqual([]);
  expect(await waitersAt(server)).toBe(0);
  const before = await commands(server);
  await sleep(2_500);
  expect(await commands(server) - before).toBeLessThanOrEqual(2);
}, PATIENCE);

test.concurrent("a worker that stopped waiting is rung no more after some seconds", async () => {
  await using place = await makePlace();
  const { server } = place;
  const transport = place.open();
  await reserve(transport, { wait: 50 });
  expect(await waitersAt(server)).toBe(1);
  await becomes("it is forgotten", async () => await waitersAt(server) === 0);
  expect(await server.send("PUBSUB", "SHARDCHANNELS")).toEqual([]);
}, PATIENCE);

test.concurrent(
  "a server that freezes is told as down by a worker that only waits, and is used again when it goes on",
  async () => {
    await using place = await makePlace();
    const { server } = place;
    const relay = createRelay({
      transport: place.open({ check: 200 }),
      jobs: { greet: free() },
      callTimeout: 500,
    });
    // Its calls have all the time that a busy machine takes.
    const producer = createRelay({ transport: place.open(), jobs: { greet: free() } });
    const states: string[] = [];
    const done: string[] = [];
    relay.events.addEventListener("connection", ({ detail }) => void states.push(detail.state));
    relay.events.addEventListener("completed", ({ detail }) => void done.push(detail.job.id));
    relay.handle("greet", () => {});
    const worker = relay.worker();
    const running = worker.run();
    await producer.dispatch("greet", null, { id: "before" });
    await becomes("it is handled", () => done.length === 1);
    server.pause();
    // A busy machine may have been taken for a server that is down, and for one that is up again.
    await becomes("it is told as down", () => states.at(-1) === "down");
    // Longer than a silent connection is kept.
    await sleep(3_000);
    server.resume();
    await becomes("it is told as up", () => states.at(-1) === "up");
    expect(states).toEqual(states.map((_, n) => n % 2 === 0 ? "down" : "up"));
    await producer.dispatch("greet", null, { id: "after" });
    await becomes("the next is handled", () => done.length === 2);
    expect(done).toEqual(["before", "after"]);
    await worker.stop();
    await running;
  },
  PATIENCE,
);

test.concurrent(
  "a transport whose server is frozen is closed long before its calls' deadlines, and they end",
  async () => {
    await using place = await makePlace();
    const { server } = place;
    const transport = place.open();
    await transport.push([one("1")], call);
    const idle = reserve(transport, { queues: ["idle"], wait: 60_000 }).catch((error: unknown) => error);
    await becomes("it waits", async () => await waitersAt(server, "idle") === 1);
    server.pause();
    const pushed = transport.push([one("2")], { deadline: 60_000 }).catch((error: unknown) => error);
    const start = performance.now();
    await transport[Symbol.asyncDispose]();
    expect(performance.now() - start).toBeLessThan(SOON);
    expect(await idle).toMatchObject({ code: "TRANSPORT_CLOSED" });
    // It was sent, and may be stored.
    expect(await pushed).toMatchObject({ code: "CONNECTION_LOST" });
  },
  PATIENCE,
);
