/** How soon waiting ends, and what it leaves behind: commands, connections and subscriptions as the server counts. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { redis, type RedisOptions } from "../../../src/transports/redis/mod.ts";
import { free } from "../../web/support/kit.ts";
import { type RedisServer, startRedis } from "../support/servers/redis.ts";
import { call, commands, connections, one, reserve, waitersAt } from "./support.ts";

const transports: Transport[] = [];
let server: RedisServer;

beforeAll(async () => {
  server = await startRedis();
}, 120_000);
afterEach(async () => {
  await Promise.all(transports.splice(0).map((transport) => transport[Symbol.asyncDispose]()));
  await server.send("FLUSHALL");
});
afterAll(() => server[Symbol.asyncDispose]());

function open(options: RedisOptions = {}): Transport {
  const transport = redis({ warn: () => {}, url: server.url, ...options });
  transports.push(transport);
  return transport;
}

async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Milliseconds in which a job comes on a busy machine, too, where it need not wait for a look of a minute. */
const SOON = 30_000;

/** How many waiters the server knows at a queue. */
function registered(queue?: string): Promise<number> {
  return waitersAt(server, queue);
}

/** The consumers of real clients. */
async function consumers(): Promise<readonly string[]> {
  const list = await server.send("XINFO", "CONSUMERS", "{relevo:work}:waiting", "relevo");
  const names = (Array.isArray(list) ? list : []).map((each) => String(Array.isArray(each) ? each[1] : each));
  return names.filter((name) => name !== "free" && name !== "back");
}

test("a reserve that waits ends empty when its time is up, and the next costs nothing", async () => {
  const transport = open();
  await reserve(transport, { wait: 50 });
  await reserve(transport, { wait: 50 });
  const before = await commands(server);
  for (let n = 0; n < 10; n++) {
    const start = performance.now();
    expect(await reserve(transport, { wait: 100 })).toEqual([]);
    expect(performance.now() - start).toBeGreaterThan(95);
  }
  // A machine that stands still for seconds lets a registration run out; what each costs would be ten or more.
  expect(await commands(server) - before).toBeLessThan(10);
});

test("who waits in the process that dispatches looks right behind the job, and no bell is rung for it", async () => {
  const transport = open({ check: 60_000 });
  const waiting = reserve(transport, { wait: 60_000 });
  await expect.poll(() => registered()).toBe(1);
  const before = await commands(server, "spublish");
  const start = performance.now();
  expect(await transport.push([one("a")], call)).toEqual(["stored"]);
  expect(await waiting).toMatchObject([{ id: "a" }]);
  expect(performance.now() - start).toBeLessThan(SOON);
  expect(await commands(server, "spublish")).toBe(before);
});

test("of those who wait the one in the process that dispatches is spared the bell, and others are rung for", async () => {
  const [here, there] = [open(), open()];
  const waiting = [reserve(here, { wait: 60_000 }), reserve(there, { wait: 60_000 })];
  await expect.poll(() => registered()).toBe(2);
  const before = await commands(server, "spublish");
  await here.push([one("a"), one("b")], call);
  const found = await Promise.all(waiting);
  expect(found.flat().map(({ id }) => id).sort()).toEqual(["a", "b"]);
  expect(await commands(server, "spublish")).toBe(before + 1);
});

test("a job for a queue at which another worker of the process waits wakes that one, whatever else is in the batch", async () => {
  const transport = open();
  const [work, other] = [
    reserve(transport, { wait: 60_000 }),
    reserve(transport, { wait: 60_000, queues: ["other"] }),
  ];
  await expect.poll(async () => await registered() + await registered("other")).toBe(2);
  await transport.push([one("a"), one("b", "other"), one("c", "third")], call);
  expect((await Promise.all([work, other])).flat().map(({ id }) => id)).toEqual(["a", "b"]);
});

test("F058: stop returns soon while a worker waits, and a job is handled within milliseconds", async () => {
  const transport = open();
  const relay = createRelay({ transport, jobs: { greet: free() } });
  let entered = (): void => {};
  relay.handle("greet", () => entered());
  const worker = relay.worker({ poll: 60_000 });
  const running = worker.run();
  await expect.poll(() => registered("default")).toBe(1);
  // The quickest says what it costs, whatever else the machine does.
  let quickest = Infinity;
  for (let n = 0; n < 20; n++) {
    await sleep(20);
    const handled = new Promise<void>((resolve) => entered = resolve);
    const start = performance.now();
    await relay.dispatch("greet", null);
    await handled;
    quickest = Math.min(quickest, performance.now() - start);
  }
  expect(quickest).toBeLessThan(50);
  await sleep(100);
  const start = performance.now();
  await worker.stop();
  await running;
  expect(performance.now() - start).toBeLessThan(SOON);
});

test("several reserves of one process that wait at overlapping queues each get a job, one bell each", async () => {
  const transport = open();
  const sets = [["a", "b"], ["b", "c"], ["b"], ["a", "b", "c"]];
  const answers = sets.map((queues) => reserve(transport, { queues, wait: 60_000 }));
  await expect.poll(() => registered("c")).toBe(1);
  const other = open();
  for (const id of ["1", "2", "3", "4"]) await other.push([one(id, "b")], call);
  const ids = (await Promise.all(answers)).flat().map(({ id }) => id);
  expect(ids.sort()).toEqual(["1", "2", "3", "4"]);
});

test("a batch wakes as many processes as it has jobs", async () => {
  const waiting = [1, 2, 3].map(() => open({ check: 60_000 })).map((transport) =>
    reserve(transport, { wait: 60_000 })
  );
  await expect.poll(() => registered()).toBe(3);
  await open().push([one("1"), one("2"), one("3")], call);
  const start = performance.now();
  const ids = (await Promise.all(waiting)).flat().map(({ id }) => id);
  expect(ids.sort()).toEqual(["1", "2", "3"]);
  expect(performance.now() - start).toBeLessThan(SOON);
});

test("a bell that nobody here heeds is passed on to who waits elsewhere", async () => {
  const busy = open({ check: 60_000 });
  const first = reserve(busy, { wait: 60_000, queues: ["work", "side"] });
  await expect.poll(() => registered()).toBe(1);
  const idle = open({ check: 60_000 });
  const second = reserve(idle, { wait: 60_000 });
  await expect.poll(() => registered()).toBe(2);
  const other = open();
  // The first is registered at both queues, and has left both when it has its job.
  await other.push([one("side", "side")], call);
  expect((await first).map(({ id }) => id)).toEqual(["side"]);
  const start = performance.now();
  await other.push([one("1")], call);
  expect((await second).map(({ id }) => id)).toEqual(["1"]);
  expect(performance.now() - start).toBeLessThan(SOON);
});

test("a raw entry, for which nobody rings, is found by the next look", async () => {
  const transport = open({ check: 200 });
  const waiting = reserve(transport, { wait: 60_000 });
  await expect.poll(() => registered()).toBe(1);
  await server.send("XADD", "{relevo:work}:waiting", "*", "payload", "{}");
  const start = performance.now();
  expect((await waiting).length).toBe(1);
  expect(performance.now() - start).toBeLessThan(SOON);
});

test("a job that is given back is found by the next look, though those who were rung for it are dead", async () => {
  const other = open();
  await other.push([one("1")], call);
  const [taken] = await reserve(other);
  if (taken === undefined) throw new Error("No job was there");
  const waiting = reserve(open({ check: 200 }), { wait: 60_000 });
  await expect.poll(() => registered()).toBe(1);
  const soon = Date.now() + 60_000;
  await server.send("ZADD", "{relevo:work}:waiters", soon, "dead", soon, "gone", soon, "lost");
  const start = performance.now();
  await other.settle([{ queue: "work", token: taken.token, to: "release" }], call);
  expect((await waiting).length).toBe(1);
  expect(performance.now() - start).toBeLessThan(SOON);
});

test("however many waiters died, jobs are handed over within 100 ms, and none waits for a look", async () => {
  // No look but that of a notification comes in time.
  const alive = open({ check: 60_000 });
  const other = open();
  await other.push([one("0")], call);
  const first = await reserve(alive);
  await alive.settle(first.map(({ token }) => ({ queue: "work", token, to: "done" })), call);
  const took: number[] = [];
  for (let n = 0; n < 100; n++) {
    // Some die anew, having registered before the one that lives.
    const soon = Date.now() + 60_000;
    const dead = Array.from({ length: n % 50 === 0 ? 30 : 1 }, (_, each) => [soon, `dead-${n}-${each}`]);
    await server.send("ZADD", "{relevo:work}:waiters", ...dead.flat());
    const waiting = reserve(alive, { wait: 60_000 });
    await expect.poll(() => registered()).toBeGreaterThan(dead.length);
    const start = performance.now();
    await other.push([one(`${n + 1}`)], call);
    const [delivery] = await waiting;
    took.push(performance.now() - start);
    expect(delivery?.id).toBe(`${n + 1}`);
    await alive.settle([{ queue: "work", token: delivery?.token ?? "", to: "done" }], call);
  }
  took.sort((a, b) => a - b);
  // A machine that is busy elsewhere may hold most of them up; without a notification each would take a minute.
  expect(took[10]).toBeLessThan(100);
  expect(took[99]).toBeLessThan(SOON);
}, 120_000);

test("a waiter that died is forgotten with the first notification that it does not hear", async () => {
  const other = open();
  const waiting = reserve(open({ check: 60_000 }), { wait: 60_000 });
  await expect.poll(() => registered()).toBe(1);
  const soon = Date.now() + 60_000;
  const dead = Array.from({ length: 30 }, (_, n) => [soon, `dead-${n}`]).flat();
  await server.send("ZADD", "{relevo:work}:waiters", ...dead);
  await other.push([one("1")], call);
  expect((await waiting).length).toBe(1);
  expect(await registered()).toBe(0);
});

test("a lease of another process that ends is noticed", async () => {
  const other = open();
  const waiting = reserve(open({ check: 200 }), { wait: 60_000 });
  await expect.poll(() => registered()).toBe(1);
  await server.send("DEL", "{relevo:work}:waiters");
  await other.push([one("1")], call);
  const [taken] = await reserve(other, { lease: 500 });
  if (taken === undefined) return expect((await waiting).length).toBe(1);
  const [again] = await waiting;
  expect([again?.id, again?.lost]).toEqual(["1", 1]);
});

test("what an aborted reserve still brings comes before what is behind it", async () => {
  const transport = open();
  await transport.push([one("1"), one("2"), one("3")], call);
  const controller = new AbortController();
  const aborted = reserve(transport, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await expect(aborted).rejects.toThrow("enough");
  const ids = [];
  for (let n = 0; n < 3; n++) ids.push(...(await reserve(transport)).map(({ id }) => id));
  expect(ids).toEqual(["1", "2", "3"]);
});

test("an aborted reserve hands back at once what its answer still brings", async () => {
  const transport = open();
  await transport.push([one("1")], call);
  for (let n = 0; n < 20; n++) {
    const controller = new AbortController();
    const answer = reserve(transport, { wait: 60_000, signal: controller.signal });
    const reason = new Error(`${n}`);
    controller.abort(reason);
    await expect(answer).rejects.toBe(reason);
    const [delivery] = await reserve(transport, { wait: 60_000 });
    expect([delivery?.id, delivery?.lost]).toEqual(["1", 0]);
    await transport.settle([{ queue: "work", token: delivery?.token ?? "", to: "release" }], call);
  }
});

test("a transport that is closed hands back what its last answers bring, and leaves no waiter, consumer or connection", async () => {
  const before = await connections(server);
  const other = open();
  await other.push([one("1")], call);
  const transport = open();
  const idle = reserve(transport, { queues: ["idle"], wait: 60_000 }).catch((error: unknown) => error);
  await expect.poll(() => registered("idle")).toBe(1);
  const late = reserve(transport).catch((error: unknown) => error);
  await transport[Symbol.asyncDispose]();
  expect([await idle, await late]).toMatchObject([{ code: "TRANSPORT_CLOSED" }, {
    code: "TRANSPORT_CLOSED",
  }]);
  expect(await registered("idle")).toBe(0);
  const [delivery] = await reserve(other);
  expect([delivery?.id, delivery?.lost]).toEqual(["1", 0]);
  await other.settle([{ queue: "work", token: delivery?.token ?? "", to: "done" }], call);
  await other[Symbol.asyncDispose]();
  await expect.poll(() => connections(server)).toBe(before);
  // What is free or came back is held by two that are nobody's.
  expect(await consumers()).toEqual([]);
});

test(
  "a worker whose server goes away for two seconds says so once each way, and is idle meanwhile",
  async () => {
    await using own = await startRedis();
    const transport = open({ url: own.url });
    const relay = createRelay({ transport, jobs: { greet: free() } });
    const states: string[] = [];
    const seen: string[] = [];
    relay.events.addEventListener("connection", ({ detail }) => void states.push(detail.state));
    relay.handle("greet", (_, context) => void seen.push(context.job.id));
    const worker = relay.worker();
    const running = worker.run();
    await relay.dispatch("greet", null, { id: "before" });
    await expect.poll(() => seen).toEqual(["before"]);
    await sleep(200);
    await own.kill();
    // Of this thread: under Bun other tests run in threads beside it.
    const used = process.threadCpuUsage();
    await sleep(2_000);
    const { user, system } = process.threadCpuUsage(used);
    expect((user + system) / 1_000).toBeLessThan(500);
    await own.start();
    await relay.dispatch("greet", null, { id: "after" });
    await expect.poll(() => seen).toEqual(["before", "after"]);
    expect(states).toEqual(["down", "up"]);
    await worker.stop();
    await running;
  },
  120_000,
);
