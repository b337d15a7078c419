/** A master that was demoted behind an address that stays: clients follow the address, and nothing needs a restart. */
import { createClient } from "redis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { redis } from "../../../src/transports/redis/mod.ts";
import { free } from "../../web/support/kit.ts";
import { openProxy, type Proxy } from "../faults/support/proxy.ts";
import { type RedisServer, startRedis } from "../support/servers/redis.ts";
import { connectionsMade } from "./support.ts";

let first: RedisServer;
let second: RedisServer;

beforeAll(async () => {
  [first, second] = await Promise.all([startRedis(), startRedis()]);
}, 120_000);
afterAll(async () => {
  await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]);
});

async function follow(replica: RedisServer, master: RedisServer): Promise<void> {
  await replica.send("REPLICAOF", "127.0.0.1", master.port);
  await expect.poll(async () => String(await replica.send("INFO", "replication")))
    .toMatch(/master_link_status:up/);
}

/** Makes the replica the master, the master its replica, and leads the address to the new master. */
async function swap(address: Proxy): Promise<void> {
  await second.send("REPLICAOF", "NO", "ONE");
  await first.send("REPLICAOF", "127.0.0.1", second.port);
  address.lead(second.port);
}

/** The address of the master, which both servers have been since the test before. */
async function begin(): Promise<Proxy> {
  await first.send("REPLICAOF", "NO", "ONE");
  await first.send("FLUSHALL");
  await follow(second, first);
  return await openProxy(first.port);
}

const KINDS = ["an own client", "a client that was handed over"] as const;

async function connect(
  kind: typeof KINDS[number],
  port: number,
): Promise<{ readonly transport: Transport; close(): void }> {
  const url = `redis://127.0.0.1:${port}`;
  if (kind === "an own client") return { transport: redis({ url, warn: () => {} }), close() {} };
  const client = createClient({ url });
  client.on("error", () => {});
  await client.connect();
  return { transport: redis({ client, warn: () => {} }), close: () => client.destroy() };
}

test.each(KINDS)("%s follows the address: what is dispatched is stored and handled", async (kind) => {
  const address = await begin();
  const { transport, close } = await connect(kind, address.port);
  const relay = createRelay({ transport, jobs: { greet: free() } });
  const seen = new Set<string>();
  relay.handle("greet", (_, { job }) => void seen.add(job.id));
  const worker = relay.worker();
  const running = worker.run();
  await relay.dispatch("greet", null, { id: "before" });
  await expect.poll(() => seen.has("before")).toBe(true);
  await swap(address);
  for (let n = 0; n < 20; n++) await relay.dispatch("greet", null, { id: `after-${n}` });
  await expect.poll(() => seen.size).toBe(21);
  await expect.poll(() => transport.info("default", { deadline: 60_000 })).toMatchObject({
    reserved: 0,
  });
  await worker.stop();
  await running;
  await relay.close();
  close();
  await address.close();
}, 120_000);

test.each(KINDS)(
  "%s that only waits follows the address, though the demoted master has no link to the new one",
  async (kind) => {
    const address = await begin();
    const { transport, close } = await connect(kind, address.port);
    const waiting = transport.reserve(["work"], {
      limit: 1,
      slots: 1,
      lease: 30_000,
      wait: 50_000,
      deadline: 60_000,
    }).catch((error: unknown) => error);
    await expect.poll(() => first.send("ZCARD", "{relevo:work}:waiters")).toBe(1);
    await second.send("REPLICAOF", "NO", "ONE");
    await first.send("REPLICAOF", "127.0.0.1", 1);
    address.lead(second.port);
    await using producer = redis({ url: second.url, warn: () => {} });
    const job = { queue: "work", id: "1", name: "n", payload: new Uint8Array(), meta: "" };
    await producer.push([job], { deadline: 60_000 });
    // A wait that ends with an error is begun anew by a worker.
    const ended = await waiting;
    if (ended instanceof Error) {
      await expect.poll(() =>
        transport.reserve(["work"], { limit: 1, slots: 1, lease: 30_000, wait: 0, deadline: 60_000 })
      ).toMatchObject([{ id: "1" }]);
    } else expect(ended).toMatchObject([{ id: "1" }]);
    await transport[Symbol.asyncDispose]();
    close();
    await address.close();
  },
  120_000,
);

test(
  "a server that stays a replica refuses pushes as certain, and costs a connection in five seconds at most",
  async () => {
    const address = await begin();
    await using transport = redis({ url: second.url, warn: () => {} });
    const before = await connectionsMade(second);
    const job = { queue: "work", id: "1", name: "n", payload: new Uint8Array(), meta: "" };
    const begun = performance.now();
    let calls = 0;
    while (performance.now() < begun + 3_000 || calls <= 10) {
      await expect(transport.push([job], { deadline: 60_000 })).rejects.toMatchObject({
        code: "TRANSPORT_READ_ONLY",
      });
      calls++;
    }
    const fives = Math.ceil((performance.now() - begun) / 5_000);
    // The one that tells is a connection of its own, and so is the first.
    expect(await connectionsMade(second) - before).toBeLessThanOrEqual(2 + fives);
    await address.close();
  },
  120_000,
);
