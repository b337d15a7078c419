/** Clocks that are set while somebody waits. */
import { expect, test } from "vitest";
import { redis } from "../../../src/transports/redis/mod.ts";
import { createClock } from "../support/servers/clock.ts";
import { startRedis } from "../support/servers/redis.ts";
import { call, job } from "./model_support.ts";

test("a job that is due as the server's clock went ahead comes while somebody waits for it", async () => {
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
