import { describe, expect, test } from "vitest";
import { createRelay, HeartbeatLate, memory } from "../../mod.ts";
import { createFakeRuntime } from "../../src/testing/mod.ts";
import { leases } from "./accidents/leases.ts";
import { limits } from "./accidents/limits.ts";
import { free, heard } from "./support/kit.ts";
import { memoryPlace } from "./support/place.ts";

describe("accidents that others had, on memory", () => {
  leases(memoryPlace);
  limits(memoryPlace);
});

test("a handler that computes for longer than its lease is reported, not silent", async () => {
  const fake = createFakeRuntime();
  let lag = 0;
  // The clocks go on, and no timer fires meanwhile.
  const runtime = { ...fake, monotonic: () => fake.monotonic() + lag, now: () => fake.now() + lag };
  const relay = createRelay({ jobs: { job: free<undefined>() }, transport: memory({ runtime }), runtime });
  const errors = heard(relay.events, "error");
  const runs: number[] = [];
  relay.handle("job", async (_, { attempt }) => {
    runs.push(attempt);
    if (runs.length === 1) lag += 5_000;
    await fake.sleep(2_000);
  });
  await relay.dispatch("job");
  const worker = relay.worker({ lease: 1_000 });
  const run = worker.run();
  await fake.advance(10_000);
  const stopped = worker.stop();
  await fake.advance(60_000);
  await Promise.all([run, stopped, relay.close()]);
  expect(errors.map(({ error }) => error)).toEqual([expect.any(HeartbeatLate)]);
  expect(errors[0]).toMatchObject({ during: "extending leases", error: { code: "HEARTBEAT_LATE" } });
});
