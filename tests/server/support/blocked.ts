/**
 * A thread that is blocked for longer than its leases, on any transport: each job is done once, and none is dead. By the
 * real clock and with a real block, as what comes first when the thread is back is decided by the runtime's event loop.
 */
import { expect } from "vitest";
import { createRelay, type Transport, type WorkerOptions } from "../../../mod.ts";
import { door, free, heard } from "../../web/support/kit.ts";
import { testByClock } from "../../web/support/real_clock.ts";

/** Milliseconds of a lease, and of a block that outlasts it. */
const LEASE = 200;
const BLOCK = 350;

/** A server that stands still for a lease while it looks for jobs finds one whose worker could not extend it. */
const test = testByClock(LEASE / 2);

/** Holds the thread for so many milliseconds, without work: other tests have the core meanwhile. */
export function block(ms: number = BLOCK): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What a handler does for the job that blocks. */
const HANDLERS: readonly (readonly [how: string, run: () => unknown])[] = [
  ["blocks at once", () => block()],
  ["blocks, and then awaits", async () => {
    block();
    await wait(2 * LEASE);
  }],
  ["awaits, and then blocks", async () => {
    await wait(20);
    block();
  }],
  ["awaits, blocks, and goes on for long", async () => {
    await wait(20);
    block();
    await wait(3 * LEASE);
    block();
    await wait(20);
  }],
];

const jobs = { task: free<number>() };

/** Registers the cases on a transport; `open` makes a client of a new store. */
export function blocked(open: () => Transport | Promise<Transport>): void {
  for (const concurrency of [1, 5, 100]) {
    for (const [how, run] of HANDLERS) {
      test(
        `a handler that ${how} longer than its lease costs no run, with five more jobs, ${concurrency} at a time`,
        async () => {
          await play(await open(), { concurrency }, (n) => n === 0 ? run() : undefined);
        },
        120_000,
      );
    }
  }

  test("jobs that each block longer than a lease are each done once", async () => {
    await play(await open(), { concurrency: 5 }, () => block(1.2 * LEASE));
  }, 120_000);

  test("a job that blocks with other workers of its process waiting is done once", async () => {
    const transport = await open();
    const beside = createRelay({ jobs, transport });
    beside.handle("task", () => undefined);
    const idle = [
      beside.run({ lease: LEASE, poll: 5_000 }),
      beside.worker({ lease: 100 * LEASE }).run(),
    ];
    const runs = new Map<number, number>();
    const over = door();
    let blocks = 0;
    // Whichever worker it is that gets the job.
    const relay = createRelay({ jobs, transport });
    for (const each of [relay, beside]) {
      each.handle("task", async (n) => {
        runs.set(n, (runs.get(n) ?? 0) + 1);
        await wait(20);
        if (blocks++ === 0) block();
        await wait(20);
        if (runs.size === 4) over.open();
      }, { replace: true });
    }
    const stale = [...heardBy(relay), ...heardBy(beside)];
    const run = relay.run({ lease: LEASE, poll: 5_000 });
    await relay.dispatchMany([0, 1, 2, 3].map((payload) => ({ name: "task" as const, payload })));
    await over.opened;
    await wait(2 * LEASE);
    await beside.close();
    await Promise.all(idle);
    // Which of three workers begins first is a matter of what each was asked for.
    expect([...runs].toSorted()).toEqual([[0, 1], [1, 1], [2, 1], [3, 1]]);
    expect(stale.flat()).toEqual([]);
    expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 });
    await relay.close();
    await run;
  }, 120_000);

  test("a drain of jobs that block longer than their leases does each once", async () => {
    const relay = createRelay({ jobs, transport: await open() });
    const runs: number[] = [];
    relay.handle("task", async (n) => {
      runs.push(n);
      await wait(1);
      block(1.2 * LEASE);
    });
    await relay.dispatchMany([0, 1, 2].map((payload) => ({ name: "task" as const, payload })));
    expect(await relay.drain({ lease: LEASE })).toMatchObject({ completed: 3, failed: 0, stale: 0 });
    expect(runs.toSorted()).toEqual([0, 1, 2]);
    await relay.close();
  }, 120_000);

  test("a handler that dispatches after a block does not lose its own lease to the push", async () => {
    const relay = createRelay({ jobs, transport: await open() });
    const runs: number[] = [];
    const over = door();
    relay.handle("task", async (n) => {
      runs.push(n);
      if (n > 0) return over.open();
      await wait(20);
      block();
      await relay.dispatch("task", 1);
      await wait(LEASE);
    });
    const lost = [heard(relay.events, "lost"), heard(relay.events, "stale")];
    const run = relay.run({ lease: LEASE });
    await relay.dispatch("task", 0);
    await over.opened;
    await wait(2 * LEASE);
    await relay.close();
    await run;
    expect(runs).toEqual([0, 1]);
    expect(lost.flat()).toEqual([]);
  }, 120_000);
}

function heardBy(relay: { readonly events: Parameters<typeof heard>[0] }): readonly unknown[][] {
  return [heard(relay.events, "lost"), heard(relay.events, "stale")];
}

async function play(
  transport: Transport,
  options: WorkerOptions,
  handle: (n: number) => unknown,
): Promise<void> {
  const relay = createRelay({ jobs, transport });
  const runs = Array.from({ length: 6 }, () => 0);
  const over = door();
  let ended = 0;
  relay.handle("task", async (n) => {
    runs[n] = (runs[n] ?? 0) + 1;
    try {
      await handle(n);
    } finally {
      if (++ended === runs.length) over.open();
    }
  });
  const told = heardBy(relay);
  const failed = heard(relay.events, "failed");
  const completed = heard(relay.events, "completed");
  await relay.dispatchMany(runs.map((_, payload) => ({ name: "task" as const, payload })));
  const run = relay.run({ lease: LEASE, ...options });
  await over.opened;
  // A job that was taken back would run again by now.
  await wait(2 * LEASE);
  expect(runs).toEqual(runs.map(() => 1));
  expect({ told: told.flat(), failed }).toEqual({ told: [], failed: [] });
  expect(completed.length).toBe(runs.length);
  expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 });
  await relay.close();
  await run;
}
