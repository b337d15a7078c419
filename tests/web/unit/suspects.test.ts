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
      users: new Set(),
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
    await runtime.advance(LEASE);
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
