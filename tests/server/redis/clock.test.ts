/** Clocks that are set while a call waits, or a job runs. */
import { expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import { redis } from "../../../src/transports/redis/mod.ts";
import { free, running } from "../../web/support/kit.ts";
import { handleForMinutes } from "../support/minutes.ts";
import { createClock } from "../support/servers/clock.ts";
import { startRedis } from "../support/servers/redis.ts";
import { startRedisWorld } from "../support/servers/redis_world.ts";
import { call, job } from "./model_support.ts";

test("a job that is due as the server's clock went ahead comes to a call that waits for it", async () => {
  const start = Date.now();
  using clock = createClock(start);
  await using server = await startRedis({ clock });
  await using transport = redis({ url: server.url, warn: () => {}, check: 100 });
  await transport.push([job("1", { delay: 3_600_000 })], call);
  const waiting = transport.reserve(["q"], { limit: 1, slots: 1, lease: 60_000, wait: 30_000, ...call });
  await expect.poll(() => server.send("ZCARD", "{relevo:q}:waiters")).toBe(1);
  clock.set(start + 3_600_000);
  expect((await waiting).map(({ id }) => id)).toEqual(["1"]);
}, 120_000);

test("a machine that slept takes no job from its own process: the job runs once", async () => {
  await using world = await startRedisWorld();
  const runtime = world.begin();
  const transport = redis({ url: world.server.url, runtime, warn: () => {} });
  const relay = createRelay({ jobs: { task: { schema: free<number>(), queue: "q" } }, transport, runtime });
  const told = handleForMinutes(relay, runtime);
  await Promise.all([relay.dispatch("task", 1), runtime.advance(1)]);
  const work = running(relay, { lease: 30_000 });
  await runtime.advance(1_000);
  // The server's clock goes with the machine's; timers and the monotonic clock stood still.
  runtime.step(3_600_000);
  // Another job wakes the worker, which then looks for what has come back.
  await Promise.all([relay.dispatch("task", 2), runtime.advance(1_000)]);
  await runtime.advance(61_000);
  await Promise.all([work.abort(), runtime.advance(1)]);
  await Promise.all([relay.close(), runtime.advance(1)]);
  expect(told()).toEqual({ runs: 2, completed: 2, lost: 0 });
}, 120_000);
