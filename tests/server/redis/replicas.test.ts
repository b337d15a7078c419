/** A master that was demoted behind an address that stays: clients follow the address, and nothing needs a restart. */
import { createClient } from "redis";
import { expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { redis } from "../../../src/transports/redis/mod.ts";
import { free } from "../../web/support/kit.ts";
import { openProxy, type Proxy } from "../faults/support/proxy.ts";
import { becomes } from "../support/becomes.ts";
import { type RedisServer, startRedis } from "../support/servers/redis.ts";
import { connectionsMade, reserve, waitersAt } from "./support.ts";

/** Milliseconds that a test may take while others run beside it. */
const PATIENCE = 120_000;

/** A master, its replica, and the address that leads to the master. */
interface Pair extends AsyncDisposable {
  readonly first: RedisServer;
  readonly second: RedisServer;
  readonly address: Proxy;
}

/** A pair of its own for each test: all run at a time, as they mostly wait. */
async function makePair(): Promise<Pair> {
  const [first, second] = await Promise.all([startRedis(), startRedis()]);
  await second.send("REPLICAOF", "127.0.0.1", first.port);
  await becomes(
    "the replica is in step",
    async () => String(await second.send("INFO", "replication")).includes("master_link_status:up"),
  );
  const address = await openProxy(first.port);
  return {
    first,
    second,
    address,
    async [Symbol.asyncDispose]() {
      await address.close();
      await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]);
    },
  };
}

/** Makes the replica the master, the master its replica, and leads the address to the new master. */
async function swap({ first, second, address }: Pair): Promise<void> {
  await second.send("REPLICAOF", "NO", "ONE");
  await first.send("REPLICAOF", "127.0.0.1", second.port);
  address.lead(second.port);
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

test.concurrent.each(KINDS)(
  "%s follows the address: what is dispatched is stored and handled",
  async (kind) => {
    await using pair = await makePair();
    const { transport, close } = await connect(kind, pair.address.port);
    const relay = createRelay({ transport, jobs: { greet: free() } });
    const seen = new Set<string>();
    relay.handle("greet", (_, { job }) => void seen.add(job.id));
    const worker = relay.worker();
    const running = worker.run();
    await relay.dispatch("greet", null, { id: "before" });
    await becomes("it is handled", () => seen.has("before"));
    await swap(pair);
    for (let n = 0; n < 20; n++) await relay.dispatch("greet", null, { id: `after-${n}` });
    await becomes("all are handled", () => seen.size === 21);
    const held = async (): Promise<number> =>
      (await transport.info("default", { deadline: 60_000 })).reserved;
    await becomes("all are settled", async () => await held() === 0);
    await worker.stop();
    await running;
    await relay.close();
    close();
  },
  PATIENCE,
);

test.concurrent.each(KINDS)(
  "%s that only waits follows the address, though the demoted master has no link to the new one",
  async (kind) => {
    await using pair = await makePair();
    const { first, second, address } = pair;
    const { transport, close } = await connect(kind, address.port);
    const waiting = transport.reserve(["work"], {
      limit: 1,
      slots: 1,
      lease: 30_000,
      wait: 50_000,
      deadline: 60_000,
    }).catch((error: unknown) => error);
    await becomes("it waits", async () => await waitersAt(first) === 1);
    await second.send("REPLICAOF", "NO", "ONE");
    await first.send("REPLICAOF", "127.0.0.1", 1);
    address.lead(second.port);
    await using producer = redis({ url: second.url, warn: () => {} });
    const job = { queue: "work", id: "1", name: "n", payload: new Uint8Array(), meta: "" };
    await producer.push([job], { deadline: 60_000 });
    // A wait that ends with an error is begun anew by a worker.
    const ended = await waiting;
    if (ended instanceof Error) {
      await becomes("it is found", async () => (await reserve(transport))[0]?.id === "1");
    } else expect(ended).toMatchObject([{ id: "1" }]);
    await transport[Symbol.asyncDispose]();
    close();
  },
  PATIENCE,
);

test.concurrent(
  "a server that stays a replica refuses pushes as certain, and costs a connection in five seconds at most",
  async () => {
    await using pair = await makePair();
    const { second } = pair;
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
  },
  PATIENCE,
);
