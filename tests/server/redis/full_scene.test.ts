/** A server whose memory fills up while every run fails, under a worker that lives through it. */
import { expect, test } from "vitest";
import { redis } from "../../../src/transports/redis/mod.ts";
import { fillAndEmpty } from "../support/full.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { startRedis } from "../support/servers/redis.ts";

/** Bytes that jobs may take beside what the server needs itself. */
const ROOM = 24 * 1024 * 1024;

describeOn(["redis7"], "Redis", () => {
  const server = owned(() => startRedis({ config: { "maxmemory-policy": "noeviction" } }));

  test(
    "memory that is full while everything fails is emptied when all succeeds, by the worker that was there",
    async () => {
      const { url, send } = await server();
      const used = Number(/used_memory:(\d+)/.exec(String(await send("INFO", "memory")))?.[1]);
      await send("CONFIG", "SET", "maxmemory", used + ROOM);
      expect(await fillAndEmpty(redis({ url }))).toBeGreaterThan(100);
    },
    240_000,
  );
});
