/** Clients that were handed over: every connection is a duplicate, whatever they are set to, and they are never closed. */
import { createClient, createClientPool, createCluster, createSentinel } from "redis";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Delivery, PushJob } from "../../../src/jobs/exchange.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { redis } from "../../../src/transports/redis/mod.ts";
import { type RedisServer, startRedis } from "../support/servers/redis.ts";
import { startRedisCluster } from "../support/servers/redis_cluster.ts";
import { openProxy } from "../faults/support/proxy.ts";
import { connections } from "./support.ts";

let server: RedisServer;

beforeAll(async () => {
  server = await startRedis();
}, 120_000);
afterEach(() => server.send("FLUSHALL"));
afterAll(() => server[Symbol.asyncDispose]());

const call = { deadline: 60_000 };
/** Milliseconds in which what need not wait for a minute ends on a busy machine, too. */
const SOON = 30_000;
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
  const waiting = reserve(transport, 60_000);
  const start = performance.now();
  await expect.poll(async () => {
    const [entry] = await transport.get("work", ["1"], call);
    return entry?.channel;
  }).toBe("reserved");
  const held = { queue: "work", token: first?.token ?? "" };
  expect(await transport.settle([{ ...held, to: "release" }], call)).toEqual(["settled"]);
  expect((await waiting).map(({ id }) => id)).toEqual(["1"]);
  // A look would find it after a minute.
  expect(performance.now() - start).toBeLessThan(SOON);
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
  const pushed = transport.push([one("3")], { deadline: 60_000 });
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
}, 120_000);

test("jobs are in the database that a client has chosen since it was made", async () => {
  const made = createClient({ url: server.url });
  made.on("error", () => {});
  await made.connect();
  await made.select(3);
  const transport = redis({ client: made, warn: () => {} });
  await transport.push([one("1")], call);
  expect(await made.exists("{relevo:work}:waiting")).toBe(1);
  await transport[Symbol.asyncDispose]();
  made.destroy();
});

test(
  "a client that is busy with a command of its owner's, or subscribed, keeps no call waiting",
  async () => {
    for (const RESP of [2, 3] as const) {
      await server.send("FLUSHALL");
      const made = createClient({ url: server.url, RESP });
      made.on("error", () => {});
      await made.connect();
      await made.subscribe("news", () => {});
      const transport = redis({ client: made, warn: () => {}, check: 60_000 });
      await walk(transport);
      await transport[Symbol.asyncDispose]();
      made.destroy();
    }
    const made = createClient({ url: server.url });
    made.on("error", () => {});
    await made.connect();
    const transport = redis({ client: made, warn: () => {} });
    await transport.info("work", call);
    const blocked = made.blPop("none", 60).catch(() => undefined);
    const start = performance.now();
    await transport.info("work", call);
    expect(performance.now() - start).toBeLessThan(SOON);
    await transport[Symbol.asyncDispose]();
    made.destroy();
    await blocked;
  },
  120_000,
);

test.each(["a server's client", "a Cluster's client"])(
  "%s whose server falls silent costs calls their deadline, and works again when the link does",
  async (kind) => {
    await using cluster = kind === "a Cluster's client" ? await startRedisCluster() : undefined;
    const proxies = await Promise.all((cluster?.nodes ?? [server]).map(({ port }) => openProxy(port)));
    const ports = new Map((cluster?.nodes ?? [server]).map(({ port }, n) => [port, proxies[n]?.port ?? 0]));
    const made = cluster === undefined
      ? createClient({ url: `redis://127.0.0.1:${proxies[0]?.port}` })
      : createCluster({
        rootNodes: cluster.urls.map((url) => ({ url })),
        nodeAddressMap: (address) => ({
          host: "127.0.0.1",
          port: ports.get(Number(address.split(":")[1])) ?? 0,
        }),
      });
    made.on("error", () => {});
    await made.connect();
    const transport = redis({ client: made, warn: () => {}, connectTimeout: 1_000 });
    await transport.push([one("1")], call);
    for (const proxy of proxies) proxy.silence();
    for (let n = 0; n < 2; n++) await expect(transport.info("work", { deadline: 300 })).rejects.toThrow();
    for (const proxy of proxies) proxy.heal();
    await expect.poll(() => transport.info("work", { deadline: 500 }).catch(() => undefined)).toMatchObject({
      waiting: 1,
    });
    await transport[Symbol.asyncDispose]();
    made.destroy();
    await Promise.all(proxies.map((proxy) => proxy.close()));
  },
  120_000,
);

test("what is no client is refused at once", () => {
  for (const wrong of [null, {}, "redis://localhost", createClient, 7]) {
    expect(() => redis({ client: wrong as never })).toThrow(TypeError);
  }
});

test("a client that cannot work is refused when it is handed over, by what it is", () => {
  const good = createClient({ url: server.url });
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [good.legacy(), /legacy\(\)/],
    [createClientPool({ url: server.url }), /a pool of clients/],
    [createSentinel({ name: "m", sentinelRootNodes: [{ host: "127.0.0.1", port: 1 }] }), /Sentinel/],
    [good.multi(), /a MULTI/],
    [Object.assign(Object.create(good) as object, { duplicate: undefined }), /without duplicate\(\)/],
    [Object.assign(Object.create(good) as object, { withTypeMapping: undefined }), /node-redis 4 or older/],
    [{ status: "ready", duplicate() {}, sendCommand() {} }, /a client of ioredis/],
  ];
  for (const [wrong, message] of cases) expect(() => redis({ client: wrong as never })).toThrow(message);
});
