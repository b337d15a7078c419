/** Redis Cluster: slots that move, masters that die, and what it costs to wait. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import type { Delivery, PushJob } from "../../../src/jobs/exchange.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { redis, type RedisOptions } from "../../../src/transports/redis/mod.ts";
import { slotOf } from "../../../src/transports/redis/client/slots.ts";
import { free, heard } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import type { RedisServer } from "../support/servers/redis.ts";
import { type RedisCluster, startRedisCluster } from "../support/servers/redis_cluster.ts";
import { commands, connections, connectionsMade } from "./support.ts";

const transports: Transport[] = [];
let cluster: RedisCluster;

beforeAll(async () => {
  cluster = await startRedisCluster();
}, 120_000);
afterEach(async () => {
  await Promise.all(transports.splice(0).map((transport) => transport[Symbol.asyncDispose]()));
});
afterAll(() => cluster[Symbol.asyncDispose]());

function open(prefix: string, options: RedisOptions = {}): Transport {
  const transport = redis({ warn: () => {}, nodes: cluster.urls, prefix, ...options });
  transports.push(transport);
  return transport;
}

const call = { deadline: 60_000 };
const payload = new TextEncoder().encode("{}");

function one(id: string, queue = "work"): PushJob {
  return { queue, id, name: "n", payload, meta: "" };
}

function reserve(
  transport: Transport,
  wait = 0,
  queues: readonly string[] = ["work"],
  limit = 1,
): Promise<readonly Delivery[]> {
  return transport.reserve(queues, { limit, slots: limit, lease: 30_000, wait, ...call });
}

async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Moves the slot of a key to another master, as `redis-cli --cluster reshard` does. */
async function move(key: string, pause: () => Promise<void> = () => Promise.resolve()): Promise<void> {
  const slot = slotOf(key);
  const from = await cluster.ownerOf(key);
  const masters: RedisServer[] = [];
  for (const node of cluster.nodes) {
    if (String(await node.send("ROLE")).startsWith("master")) masters.push(node);
  }
  const to = masters.find((node) => node !== from);
  if (to === undefined) throw new Error("there is no other master");
  const [source, target] = [await from.send("CLUSTER", "MYID"), await to.send("CLUSTER", "MYID")];
  await to.send("CLUSTER", "SETSLOT", slot, "IMPORTING", String(source));
  await from.send("CLUSTER", "SETSLOT", slot, "MIGRATING", String(target));
  await pause();
  const keys = await from.send("CLUSTER", "GETKEYSINSLOT", slot, 100);
  for (const each of Array.isArray(keys) ? keys : []) {
    await from.send(
      "MIGRATE",
      "127.0.0.1",
      to.port,
      String(each),
      0,
      5_000,
      "AUTH2",
      "relevo-tests",
      "all-doors",
    );
  }
  for (const node of [to, from, ...masters]) {
    await node.send("CLUSTER", "SETSLOT", slot, "NODE", String(target));
  }
}

test("the slots of keys are those that the servers say", async () => {
  for (const key of ["a", "{relevo:work}:waiting", "{}x", "a{b}c{d}", "{ü}", "x{", "}{a}", "123456789"]) {
    expect(await cluster.nodes[0]?.send("CLUSTER", "KEYSLOT", key), key).toBe(slotOf(key));
  }
});

test("large payloads go past the scripts on a Cluster, too, wherever their slot moves meanwhile", async () => {
  const transport = open("large");
  const large = (id: string): PushJob => ({ ...one(id), payload: new Uint8Array(100_000).fill(Number(id)) });
  const seen: (readonly [id: string, byte: number | undefined, bytes: number])[] = [];
  const drain = async (): Promise<void> => {
    for (let more = await reserve(transport); more.length > 0; more = await reserve(transport)) {
      seen.push(...more.map(({ id, payload }) => [id, payload[0], payload.length] as const));
      await transport.settle(more.map(({ queue, token }) => ({ queue, token, to: "done" })), call);
    }
  };
  for (const round of [0, 4, 8]) {
    const jobs = Array.from({ length: 4 }, (_, n) => large(String(round + n)));
    // The first push asks for its rights, and is one script.
    for (const job of jobs) expect(await transport.push([job], call)).toEqual(["stored"]);
    if (round > 0) await move("{large:work}:waiting");
    const found = await transport.get("work", jobs.map(({ id }) => id), call);
    expect(found.map((entry) => entry?.id)).toEqual(jobs.map(({ id }) => id));
    await drain();
  }
  expect(seen).toEqual(Array.from({ length: 12 }, (_, n) => [String(n), n, 100_000]));
});

test("a batch that mixes queues is answered in order, wherever their slots are", async () => {
  const transport = open("mixed");
  const queues = Array.from({ length: 20 }, (_, n) => `q${n}`);
  const results = await transport.push(queues.map((queue) => one(queue, queue)), call);
  expect(results).toEqual(queues.map(() => "stored"));
  const seen = await reserve(transport, 0, queues, 100);
  expect(seen.map(({ id }) => id).sort()).toEqual([...queues].sort());
});

test(
  "waiting costs a command a second and queue, one more for them all, and two connections a node",
  async () => {
    const queues = Array.from({ length: 10 }, (_, n) => `idle${n}`);
    const transport = open("budget");
    const relay = createRelay({
      transport,
      jobs: Object.fromEntries(queues.map((queue) => [queue, { schema: free(), queue }])),
    });
    for (const queue of queues) relay.handle(queue, () => {});
    const worker = relay.worker();
    const idle = heard(relay.events, "idle");
    const running = worker.run();
    await becomes("it has nothing to do", () => idle.length > 0);
    for (const node of cluster.nodes) expect(await connections(node)).toBeLessThanOrEqual(2);
    const counted = async (): Promise<number> => {
      let total = 0;
      // The nodes ask one another, too.
      for (const node of cluster.nodes) {
        total += await commands(node) - await commands(node, "ping", "publish", "replconf");
      }
      return total;
    };
    // Commands of a span beside those that it may cost; a busy machine makes it longer.
    const span = async (ms: number): Promise<{ readonly sent: number; readonly most: number }> => {
      const [start, begun] = [await counted(), performance.now()];
      await sleep(ms);
      const sent = await counted() - start;
      return { sent, most: (performance.now() - begun) / 1_000 * (queues.length + 1) };
    };
    await becomes("its first polls are over", async () => {
      const { sent, most } = await span(2_000);
      return sent <= most;
    });
    const { sent, most } = await span(6_000);
    expect(sent).toBeLessThanOrEqual(most);
    await worker.stop();
    await running;
  },
  120_000,
);

test("a slot that moves is followed by pushes, settlements and bells", async () => {
  const transport = open("moved", { check: 60_000 });
  await transport.push([one("1")], call);
  const [held] = await reserve(transport);
  const waiting = reserve(transport, 20_000);
  await sleep(300);
  await move("{moved:work}:waiting");
  await sleep(1_500);
  expect(await transport.settle([{ queue: "work", token: held?.token ?? "", to: "done" }], call)).toEqual([
    "settled",
  ]);
  const other = open("moved");
  expect(await other.push([one("2")], call)).toEqual(["stored"]);
  expect((await waiting).map(({ id }) => id)).toEqual(["2"]);
});

test("what is pushed and settled while a slot is on its way arrives with it", async () => {
  const transport = open("asked");
  await transport.push([one("1"), one("2"), one("3", "side")], call);
  const [held] = await reserve(transport);
  let pushed: Promise<unknown> = Promise.resolve();
  let settled: Promise<unknown> = Promise.resolve();
  await move("{asked:work}:waiting", async () => {
    pushed = transport.push([one("4"), one("5", "side")], call);
    settled = transport.settle([{ queue: "work", token: held?.token ?? "", to: "done" }], call);
    await sleep(300);
  });
  expect(await pushed).toEqual(["stored", "stored"]);
  expect(await settled).toEqual(["settled"]);
  expect((await reserve(transport, 0, ["work", "side"], 10)).map(({ id }) => id)).toEqual([
    "2",
    "4",
    "3",
    "5",
  ]);
});

test("a master that dies is replaced, and the work goes on by itself", async () => {
  const transport = open("failover");
  const relay = createRelay({ transport, jobs: { greet: free() }, callTimeout: 10_000 });
  const seen = new Set<string>();
  relay.handle("greet", (_, context) => void seen.add(context.job.id));
  const worker = relay.worker();
  const running = worker.run();
  await relay.dispatch("greet", null, { id: "before" });
  await expect.poll(() => seen.has("before")).toBe(true);
  const master = await cluster.ownerOf("{failover:default}:waiting");
  await sleep(500);
  await master.kill();
  for (let n = 0; n < 20; n++) {
    const id = `after-${n}`;
    for (;;) {
      const stored = await relay.dispatch("greet", null, { id }).then(() => true, () => false);
      if (stored) break;
    }
  }
  await expect.poll(() => seen.size).toBe(21);
  await worker.stop();
  await running;
  await master.start();
  await cluster.healthy();
}, 120_000);

test("a Cluster that is told as a server, and a server that is told as a Cluster, are refused with what to do", async () => {
  const transport = open("wrong", { nodes: undefined, url: cluster.urls[0] });
  await expect(transport.queues(call)).rejects.toMatchObject({
    code: "TRANSPORT_INCOMPATIBLE",
    message: expect.stringMatching(/redis\+cluster:/),
  });
});

test("a Cluster with a wrong password is told at once, though some nodes are away, and not tried in a storm", async () => {
  const [first] = cluster.nodes;
  if (first === undefined) throw new Error("there is no node");
  const nodes = ["redis://nobody:s3cret@127.0.0.1:1", `redis://nobody:s3cret@127.0.0.1:${first.port}`];
  const transport = open("refused", { nodes });
  const before = await connectionsMade(first);
  const error: unknown = await transport.push([one("1")], call).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "TRANSPORT_UNAVAILABLE", message: expect.stringMatching(/WRONGPASS/) });
  const end = performance.now() + 1_500;
  while (performance.now() < end) await transport.push([one("1")], { deadline: 50 }).catch(() => undefined);
  expect(await connectionsMade(first) - before).toBeLessThan(12);
});
