/** Clients that were handed over: used as they are, whatever they are set to, and never closed. */
import { createClient, createCluster } from "redis";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Delivery, PushJob } from "../../../src/exchange.ts";
import type { Transport } from "../../../src/transport.ts";
import { redis } from "../../../src/transports/redis/mod.ts";
import { type RedisServer, startRedis } from "../support/servers/redis.ts";
import { startRedisCluster } from "../support/servers/redis_cluster.ts";
import { connections } from "./support.ts";

let server: RedisServer;

beforeAll(async () => {
  server = await startRedis();
}, 60_000);
afterEach(() => server.send("FLUSHALL"));
afterAll(() => server[Symbol.asyncDispose]());

const call = { deadline: 10_000 };
const payload = new Uint8Array([0, 255, 13, 10]);

function one(id: string, queue = "work"): PushJob {
  return { queue, id, name: "n", payload, meta: "m" };
}

function reserve(transport: Transport, wait = 0): Promise<readonly Delivery[]> {
  return transport.reserve(["work"], { limit: 1, slots: 1, lease: 30_000, wait, ...call });
}

/** What is used here of a client; the driver's own type differs from one set of options to another. */
interface Client {
  readonly isOpen: boolean;
  readonly isReady: boolean;
  connect(): Promise<unknown>;
  ping(): Promise<unknown>;
  destroy(): void;
}

function client(options: object = {}): Client {
  const made = createClient({ url: server.url, ...options });
  made.on("error", () => {});
  return made;
}

/** A job's way through a transport, with a wait that a bell ends. */
async function walk(transport: Transport): Promise<void> {
  expect(await transport.push([one("1")], call)).toEqual(["stored"]);
  const [first] = await reserve(transport);
  expect([first?.id, first?.meta, [...first?.payload ?? []]]).toEqual(["1", "m", [...payload]]);
  const waiting = reserve(transport, 20_000);
  const start = performance.now();
  await expect.poll(async () => {
    const [entry] = await transport.get("work", ["1"], call);
    return entry?.channel;
  }).toBe("reserved");
  const held = { queue: "work", token: first?.token ?? "" };
  expect(await transport.settle([{ ...held, to: "release" }], call)).toEqual(["settled"]);
  expect((await waiting).map(({ id }) => id)).toEqual(["1"]);
  expect(performance.now() - start).toBeLessThan(1_500);
}

async function within(made: Client, run: (transport: Transport) => Promise<void>): Promise<void> {
  await made.connect();
  try {
    const transport = redis({ client: made, warn: () => {}, check: 60_000 });
    try {
      await run(transport);
    } finally {
      await transport[Symbol.asyncDispose]();
    }
    expect([made.isOpen, await made.ping()]).toEqual([true, "PONG"]);
  } finally {
    made.destroy();
  }
}

test.each(
  [
    ["as it comes", {}],
    ["with the older protocol", { RESP: 2 }],
    ["with its offline queue off", { disableOfflineQueue: true }],
    ["with a type mapping of its own", { commandOptions: { typeMapping: { 36: Buffer, 58: String } } }],
  ] as const,
)("a client works %s, and stays open", async (_, options) => {
  const before = await connections(server);
  await within(client(options), walk);
  await expect.poll(() => connections(server)).toBe(before);
});

test("a client that is not connected is told so, and waited for", async () => {
  const made = client();
  const transport = redis({ client: made, warn: () => {} });
  await expect(transport.push([one("1")], { deadline: 100 })).rejects.toMatchObject({
    code: "TRANSPORT_UNAVAILABLE",
    message: expect.stringMatching(/call its connect\(\) first/),
  });
  const pushed = transport.push([one("2")], call);
  await made.connect();
  expect(await pushed).toEqual(["stored"]);
  expect((await transport.info("work", call)).waiting).toBe(1);
  await transport[Symbol.asyncDispose]();
  made.destroy();
});

test("a client that loses its server is waited for, and sends nothing later that was refused before", async () => {
  await using own = await startRedis();
  const made = createClient({ url: own.url });
  made.on("error", () => {});
  await made.connect();
  const transport = redis({ client: made, warn: () => {} });
  await transport.push([one("1")], call);
  await own.stop();
  await expect.poll(() => made.isReady).toBe(false);
  await expect(transport.push([one("2")], { deadline: 200 })).rejects.toMatchObject({
    code: "TRANSPORT_UNAVAILABLE",
  });
  const pushed = transport.push([one("3")], { deadline: 20_000 });
  await own.start();
  expect(await pushed).toEqual(["stored"]);
  expect((await transport.info("work", call)).waiting).toBe(2);
  await transport[Symbol.asyncDispose]();
  made.destroy();
});

test("a Cluster's client works, and stays open", async () => {
  await using cluster = await startRedisCluster();
  const made = createCluster({ rootNodes: cluster.urls.map((url) => ({ url })) });
  made.on("error", () => {});
  await made.connect();
  const transport = redis({ client: made, warn: () => {}, check: 60_000 });
  await walk(transport);
  const queues = ["a", "b", "c", "d", "e"];
  expect(await transport.push(queues.map((queue) => one(queue, queue)), call)).toEqual(
    queues.map(() => "stored"),
  );
  expect(await transport.queues(call)).toEqual([...queues, "work"]);
  await transport[Symbol.asyncDispose]();
  expect([made.isOpen, await made.get("none")]).toEqual([true, null]);
  made.destroy();
}, 60_000);

test("what is no client is refused at once", () => {
  for (const wrong of [null, {}, "redis://localhost", createClient, 7]) {
    expect(() => redis({ client: wrong as never })).toThrow(TypeError);
  }
});
