import { expect, it } from "vitest";
import { createRelay, memory, type Relay, type Transport, TransportClosed } from "../../../mod.ts";
import { createFakeRuntime, type FakeRuntime } from "../../../src/testing/fake_runtime.ts";
import { free } from "../support/kit.ts";

const LEASE = 1_000;
const jobs = { task: free<number>() };

/** One life of a process: when it dies, no call of it reaches the store any more. */
function createLife(inner: Transport): { transport: Transport; die: () => void; died: () => boolean } {
  let dead = false;
  const alive =
    <Rest extends unknown[], Result>(call: (...rest: Rest) => Promise<Result>) => (...rest: Rest) =>
      dead ? Promise.reject(new TransportClosed("cut")) : call(...rest);
  return {
    died: () => dead,
    die: () => dead = true,
    transport: {
      ...inner,
      reserve: alive(inner.reserve),
      extend: alive(inner.extend),
      settle: alive(inner.settle),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
  };
}

/** Runs process after process over the store, each until it dies of the poison or nothing is left. */
async function liveAndDie(store: Transport, runtime: FakeRuntime, isPoison: (n: number) => boolean) {
  const handled: number[] = [];
  let deaths = 0;
  for (let life = 0; life < 20; life++) {
    const { transport, die, died } = createLife(store);
    const relay: Relay<typeof jobs> = createRelay({ jobs, transport, runtime, callTimeout: 100 });
    relay.handle("task", async (n) => {
      await runtime.sleep(isPoison(n) ? 10 : 30);
      if (isPoison(n)) die();
      if (!died()) handled.push(n);
    });
    const worker = relay.worker({ lease: LEASE, concurrency: 10, maxLost: 3, poll: 100 });
    const run = worker.run().catch((error) => expect(error).toBeInstanceOf(TransportClosed));
    await runtime.advance(40 * LEASE);
    await Promise.all([worker.stop(), run, runtime.advance(2 * LEASE)]);
    await relay.close();
    if (!died()) return { handled, deaths };
    deaths++;
  }
  throw new Error("The store was never emptied");
}

it("a job that kills its workers dies alone, however many ran beside it each time", async () => {
  const runtime = createFakeRuntime();
  const store = memory({ runtime });
  const producer = createRelay({ jobs, transport: store, runtime });
  const bulk = Array.from({ length: 30 }, (_, n) => ({ name: "task" as const, payload: n }));
  await Promise.all([producer.dispatchMany(bulk), runtime.advance(1)]);
  const { handled, deaths } = await liveAndDie(store, runtime, (n) => n === 5);
  expect(await producer.info()).toMatchObject({ waiting: 0, reserved: 0, failed: 0, timeout: 1 });
  expect(deaths).toBe(4);
  expect(new Set(handled).size).toBe(29);
  expect(
    (await producer.list("default", "timeout")).jobs.map(({ payload }) => new TextDecoder().decode(payload)),
  )
    .toEqual(["5"]);
});

it("a long job on its last chance holds up no other job that came back from a dead worker", async () => {
  const runtime = createFakeRuntime();
  const store = memory({ runtime });
  const relay = createRelay({ jobs, transport: store, runtime });
  await Promise.all([relay.dispatch("task", 0), runtime.advance(1)]);
  const dying = { limit: 2, slots: 2, lease: 10, wait: 0, deadline: 1_000 };
  for (let loss = 1; loss <= 3; loss++) {
    if (loss === 3) await Promise.all([relay.dispatch("task", 1), runtime.advance(1)]);
    expect(await store.reserve(["default"], dying)).toHaveLength(loss === 3 ? 2 : 1);
    await runtime.advance(20);
  }
  const begun: number[] = [];
  const ended = Promise.withResolvers<void>();
  relay.handle("task", (n) => {
    begun.push(n);
    return n === 0 ? ended.promise : undefined;
  });
  // One slot first, so that the long one is running before the other is asked for.
  const worker = relay.worker({ lease: LEASE, concurrency: 1, maxLost: 3, poll: 100 });
  const run = worker.run();
  await runtime.advance(50);
  expect(begun).toEqual([0]);
  worker.update({ concurrency: 10 });
  await runtime.advance(2 * LEASE);
  expect(begun).toEqual([0, 1]);
  ended.resolve();
  await Promise.all([worker.stop(), run, runtime.advance(LEASE)]);
  expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0, reserved: 0, timeout: 0 });
  await relay.close();
});

it("a record that cannot be read is not written anew for having been lost often", async () => {
  const runtime = createFakeRuntime();
  const store = memory({ runtime });
  const relay = createRelay({ jobs, transport: store, runtime });
  relay.handle("task", () => expect.unreachable());
  const entry = { queue: "default", id: "1", name: "task", payload: new TextEncoder().encode("1") };
  await store.push([{ ...entry, meta: "no record" }], { deadline: 1_000 });
  const dying = { limit: 1, slots: 1, lease: 10, wait: 0, deadline: 1_000 };
  for (let loss = 0; loss < 3; loss++) {
    expect(await store.reserve(["default"], dying)).toHaveLength(1);
    await runtime.advance(20);
  }
  await Promise.all([relay.drain({ concurrency: 1 }), runtime.advance(5_000)]);
  expect(await relay.get("default", "1")).toMatchObject({
    channel: "failed",
    dead: { reason: "undecodable", lost: 3 },
  });
  await relay.close();
});
