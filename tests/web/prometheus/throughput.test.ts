import { expect, test } from "vitest";
import { createThroughput } from "../../../src/prometheus/mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { thrown } from "../support/kit.ts";

test("F183: five in ten seconds are thirty a minute, and what left the window is pruned", async () => {
  const runtime = createFakeRuntime();
  const { add, perMinute } = createThroughput(runtime.monotonic, 10_000);
  for (let n = 0; n < 5; n++) {
    await runtime.advance(2_000);
    add(1);
  }
  expect(perMinute()).toBe(30);
  await runtime.advance(5_000);
  expect(perMinute()).toBeLessThan(30);
  await runtime.advance(10_000);
  expect(perMinute()).toBe(0);
});

test("a window that has only begun is judged by what has gone by of it", async () => {
  const runtime = createFakeRuntime();
  const { add, perMinute } = createThroughput(runtime.monotonic);
  expect(perMinute()).toBe(0);
  await runtime.advance(6_000);
  add(10);
  expect(perMinute()).toBe(100);
});

test("a window that is no time is refused", () => {
  expect(thrown(() => createThroughput(() => 0, 0)).message).toContain("'window' must be milliseconds");
  expect(thrown(() => createThroughput(1 as never)).message).toBe(
    "Cannot sample a throughput as 'monotonic' must be a function: current value is 1",
  );
});
