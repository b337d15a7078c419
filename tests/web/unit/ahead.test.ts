import { expect, it } from "vitest";
import { createRelay, memory, type ReserveOptions, type Transport } from "../../../mod.ts";
import { free } from "../support/kit.ts";

const jobs = { task: free<number>() };
const CONCURRENCY = 20;
const PREFETCH = 500;

interface Asked {
  readonly limit: number;
  readonly slots: number;
  /** Jobs that had been handed over, and jobs whose handlers had ended, when this was asked. */
  readonly came: number;
  readonly ended: number;
}

/** A worker on memory that passes for a server, and what it asks for. */
function createRig() {
  const asked: Asked[] = [];
  const inner = memory();
  let came = 0;
  const handled: number[] = [];
  const transport: Transport = {
    ...inner,
    features: { ...inner.features, remote: true },
    async reserve(queues: readonly string[], options: ReserveOptions) {
      asked.push({ limit: options.limit, slots: options.slots, came, ended: handled.length });
      const deliveries = await inner.reserve(queues, options);
      came += deliveries.length;
      return deliveries;
    },
  };
  const relay = createRelay({ jobs, transport });
  const done = Promise.withResolvers<void>();
  return { asked, handled, relay, done };
}

async function fill(relay: ReturnType<typeof createRig>["relay"], count: number): Promise<void> {
  await relay.dispatchMany(
    Array.from({ length: count }, (_, payload) => ({ name: "task" as const, payload })),
  );
}

it("a worker asks a server for the next jobs before it handles those that came, and holds no more than it may", async () => {
  const { asked, handled, relay, done } = createRig();
  await fill(relay, 5_000);
  relay.handle("task", (n) => {
    if (handled.push(n) === 5_000) done.resolve();
  });
  const worker = relay.worker({ concurrency: CONCURRENCY });
  const run = worker.run();
  await done.promise;
  await worker.stop();
  await run;
  expect(handled).toEqual(Array.from({ length: 5_000 }, (_, n) => n));
  const ahead = asked.filter(({ came, ended }) => ended < came);
  expect(ahead.length).toBeGreaterThan(asked.length / 2);
  for (const { limit, slots, came, ended } of ahead) {
    expect(slots).toBe(0);
    expect(came - ended + limit).toBeLessThanOrEqual(CONCURRENCY + PREFETCH);
  }
  await relay.close();
});

it("a worker that finds fresh jobs without end still asks for those that came back", async () => {
  const { asked, handled, relay, done } = createRig();
  await fill(relay, 10_000);
  /** Calls that ask for those that came back, behind the first that asked ahead. */
  const withSlots = (): number => {
    const first = asked.findIndex(({ slots }) => slots === 0);
    return first < 0 ? 0 : asked.slice(first).filter(({ slots }) => slots > 0).length;
  };
  relay.handle("task", (n) => {
    if (handled.push(n) % 1_000 !== 0) return;
    if (withSlots() > 5) done.resolve();
    else void fill(relay, 1_000);
  });
  const worker = relay.worker({ concurrency: CONCURRENCY, lease: 60 });
  const run = worker.run();
  await done.promise;
  await worker.stop();
  await run;
  expect(withSlots()).toBeLessThan(asked.length);
  await relay.close();
});

it("what was asked for ahead goes back when the worker stops", async () => {
  const { handled, relay, done } = createRig();
  await fill(relay, 5_000);
  relay.handle("task", (n) => {
    if (handled.push(n) === 1_000) done.resolve();
  });
  const worker = relay.worker({ concurrency: CONCURRENCY });
  const run = worker.run();
  await done.promise;
  await worker.stop();
  await run;
  expect(new Set(handled).size).toBe(handled.length);
  expect(await relay.info()).toMatchObject({ waiting: 5_000 - handled.length, reserved: 0, failed: 0 });
  await relay.close();
});
