/** Redis as a place for cases: keys of its own for each test, on a server whose clock the test moves. */
import type { FakeRuntime } from "../../../src/testing/mod.ts";
import type { Transport } from "../../../src/transport.ts";
import { redis } from "../../../src/transports/redis/mod.ts";
import { makePlace, type OpenPlace } from "../../web/support/place.ts";
import type { OpenPlace as OpenStage } from "../../web/support/promises.ts";
import type { RedisWorld } from "./servers/redis_world.ts";

interface Ground {
  readonly runtime: FakeRuntime;
  connect(): Transport;
}

function ground(world: RedisWorld): Ground {
  const prefix = `place-${crypto.randomUUID()}`;
  const runtime = world.begin();
  return { runtime, connect: () => redis({ url: world.server.url, prefix, runtime }) };
}

/** Places for the features. */
export function redisPlace(world: () => RedisWorld): OpenPlace {
  return () => makePlace(ground(world()));
}

/** Places for the promises. */
export function redisStage(world: () => RedisWorld): OpenStage {
  return () => {
    const { runtime, connect } = ground(world());
    return Promise.resolve({
      runtime,
      connect: () => Promise.resolve(connect()),
      destroy: () => Promise.resolve(),
    });
  };
}
