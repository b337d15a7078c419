/**
 * Timers that a test runner has replaced: ours are those that were there when the module was loaded. As jest replaces them:
 * by the library that vitest has, too, and all of them, microtasks that are asked for by name among them.
 */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createRelay } from "../../../mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { OnceATurn } from "../../../src/flow/once_a_turn.ts";
import { systemRuntime } from "../../../src/runtime.ts";
import { door, free } from "../support/kit.ts";

const jobs = { job: free<number>() };

/** In workerd the runner's own reports take microtasks by the global. */
const ofJest = globalThis.navigator?.userAgent !== "Cloudflare-Workers";
const toFake = [
  "setTimeout",
  "clearTimeout",
  "setInterval",
  "clearInterval",
  "setImmediate",
  "clearImmediate",
  "Date",
  "performance",
  ...ofJest ? ["queueMicrotask" as const] : [],
] as const;

beforeEach(() => void vi.useFakeTimers({ now: 0, toFake: [...toFake] }));
afterEach(() => void vi.useRealTimers());

test("every call of a relay ends while a test's timers are fake", async () => {
  const relay = createRelay({ jobs });
  const seen: number[] = [];
  const [second, delayed] = [door(), door()];
  relay.handle("job", (n) => {
    seen.push(n);
    if (n === 2) second.open();
    if (n === 3) delayed.open();
  });
  await relay.dispatch("job", 1);
  expect(await relay.drain()).toMatchObject({ completed: 1 });
  expect(await relay.info()).toMatchObject({ waiting: 0 });
  const run = relay.run({ poll: 20 });
  await relay.dispatchMany([{ name: "job", payload: 2 }]);
  await relay.dispatch("job", 3, { delay: 30 });
  await Promise.all([second.opened, delayed.opened]);
  await relay.close();
  await run;
  expect(seen).toEqual([1, 2, 3]);
});

test("every call ends where timers were fake before Relevo was loaded, as a runner's settings can say", async () => {
  vi.resetModules();
  const loaded = await import("../../../mod.ts");
  const testing = await import("../../../src/testing/mod.ts");
  const relay = loaded.createRelay({ jobs });
  const seen: number[] = [];
  const both = door();
  relay.handle("job", (n) => {
    seen.push(n);
    if (seen.length === 2) both.open();
  });
  await relay.dispatch("job", 1);
  expect(await relay.drain()).toMatchObject({ completed: 1 });
  const run = relay.run({ poll: 20 });
  await relay.dispatch("job", 2, { delay: 30 });
  await both.opened;
  await relay.close();
  await run;
  expect(seen).toEqual([1, 2]);
  const runtime = testing.createFakeRuntime();
  const slept = runtime.sleep(1_000);
  await runtime.advance(1_000);
  await slept;
});

test("a fake clock of a test moves none of ours", () => {
  const runtime = systemRuntime();
  const [wall, monotonic] = [runtime.now(), runtime.monotonic()];
  vi.advanceTimersByTime(86_400_000);
  expect(wall).toBeGreaterThan(Date.UTC(2020, 0, 1));
  expect(runtime.now() - wall).toBeLessThan(60_000);
  expect(runtime.monotonic() - monotonic).toBeLessThan(60_000);
});

test("a clock that is read once a turn is read anew in the next, also where microtasks are fake", async () => {
  let readings = 0;
  const reading = new OnceATurn(() => ++readings);
  expect([reading.get(), reading.get()]).toEqual([1, 1]);
  await Promise.resolve();
  expect([reading.get(), reading.get()]).toEqual([2, 2]);
});

test("a worker hears of a clock that was set, also where microtasks are fake", async () => {
  const runtime = createFakeRuntime();
  const relay = createRelay({ jobs, runtime });
  const waits: number[] = [];
  relay.events.addEventListener("started", ({ detail }) => void waits.push(detail.wait));
  relay.handle("job", () => undefined);
  const run = relay.run();
  for (const step of [0, -5_000]) {
    runtime.step(step);
    await Promise.all([relay.dispatch("job", 1), runtime.advance(1)]);
  }
  expect(waits).toEqual([0, 0]);
  const closed = relay.close();
  await runtime.advance(1_000);
  await Promise.all([closed, run]);
});

test("the fake runtime goes on while a test's timers are fake", async () => {
  const runtime = createFakeRuntime();
  const relay = createRelay({ jobs, runtime });
  const seen: number[] = [];
  relay.handle("job", (n) => void seen.push(n));
  const run = relay.run();
  await relay.dispatch("job", 1, { delay: 60_000 });
  await runtime.advance(60_000);
  expect(seen).toEqual([1]);
  const closed = relay.close();
  await runtime.advance(1_000);
  await Promise.all([closed, run]);
});
