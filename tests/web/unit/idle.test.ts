/** What a worker costs that has nothing to do, where its store tells of everything by itself. */
import { expect, test } from "vitest";
import { createRelay, every, memory, reschedule, type Transport } from "../../../mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { free, heard } from "../support/kit.ts";

const jobs = { job: free<number>() };
const DAY = 86_400_000;
const HOUR = 3_600_000;

/** A memory transport, and what is asked of it and of its clock. */
function counted() {
  const runtime = createFakeRuntime();
  const counts = { reserves: 0, looks: 0, sleeps: 0 };
  const counting = {
    ...runtime,
    sleep(ms: number, signal?: AbortSignal) {
      counts.sleeps++;
      return runtime.sleep(ms, signal);
    },
    timer(ms: number, ring: () => void) {
      counts.sleeps++;
      return runtime.timer(ms, ring);
    },
  };
  const inner = memory({ runtime: counting });
  const transport: Transport = {
    ...inner,
    reserve(queues, options) {
      counts.reserves++;
      return inner.reserve(queues, options);
    },
  };
  if (inner.schedules !== undefined) {
    const { schedules } = inner;
    Object.assign(transport, {
      schedules: {
        ...schedules,
        due(...rest: Parameters<typeof schedules.due>) {
          counts.looks++;
          return schedules.due(...rest);
        },
      },
    });
  }
  return { runtime, counts, relay: createRelay({ jobs, transport, runtime: counting }), transport };
}

test("a day without a job costs a worker on memory no polling", async () => {
  const { runtime, counts, relay } = counted();
  const idle = heard(relay.events, "idle");
  relay.handle("job", () => undefined);
  const run = relay.run();
  await runtime.advance(DAY);
  expect(counts.reserves).toBeLessThan(10);
  expect(counts.sleeps).toBeLessThan(200);
  expect(idle.length).toBeGreaterThan(0);
  const closed = relay.close();
  await runtime.advance(1_000);
  await Promise.all([closed, run]);
});

test("a day of an hourly job costs a worker on memory some calls an hour, and each run comes in time", async () => {
  const { runtime, counts, relay } = counted();
  const start = runtime.now();
  const runs: number[] = [];
  relay.handle("job", () => {
    runs.push(runtime.now() - start);
    return reschedule(every(HOUR));
  });
  await relay.dispatch("job", 1);
  const run = relay.run();
  await runtime.advance(DAY);
  expect(runs).toEqual(Array.from({ length: 25 }, (_, n) => n * HOUR));
  expect(counts.reserves).toBeLessThan(200);
  expect(counts.sleeps).toBeLessThan(2_000);
  const closed = relay.close();
  await runtime.advance(1_000);
  await Promise.all([closed, run]);
});

test("after a day of nothing a worker on memory is there for a push, a delay, a lost lease and a schedule of another relay", async () => {
  const { runtime, counts, relay, transport } = counted();
  const producer = createRelay({ jobs, transport, runtime });
  const seen: number[] = [];
  relay.handle("job", (n) => void seen.push(n));
  const run = relay.run();
  await runtime.advance(DAY);
  await producer.dispatch("job", 1);
  await runtime.advance(1);
  expect(seen).toEqual([1]);
  await producer.dispatch("job", 2, { delay: 2 * HOUR });
  await runtime.advance(2 * HOUR);
  expect(seen).toEqual([1, 2]);
  expect(counts.looks).toBeLessThan(100);
  await producer.schedule("job", 3, { key: "hourly", when: every(HOUR) });
  await runtime.advance(3 * HOUR);
  expect(seen.slice(2).every((n) => n === 3)).toBe(true);
  expect(seen.length).toBeGreaterThanOrEqual(4);
  const closed = Promise.all([relay.close(), producer.close()]);
  await runtime.advance(1_000);
  await Promise.all([closed, run]);
});
