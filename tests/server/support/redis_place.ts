/** Redis as a place for cases: keys of its own for each test, on a server whose clock the test moves. */
import type { FakeRuntime } from "../../../src/testing/mod.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { redis } from "../../../src/transports/redis/mod.ts";
import type { Pace } from "../../web/support/kit.ts";
import { makePlace, type OpenPlace } from "../../web/support/place.ts";
import type { OpenPlace as OpenStage } from "../../web/support/promises.ts";
import type { RedisWorld } from "./servers/redis_world.ts";

/** How exactly Redis keeps time: it looks at most every 25 ms, and hears the bells of a queue for a while longer. */
const PACE: Pace = { late: 25, linger: 2_000 };

interface Ground {
  readonly runtime: FakeRuntime;
  readonly pace: Pace;
  connect(): Transport;
}

function ground(world: RedisWorld): Ground {
  const prefix = `place-${crypto.randomUUID()}`;
  const runtime = world.begin();
  return { runtime, pace: PACE, connect: () => redis({ url: world.server.url, prefix, runtime }) };
}

/** Places for the features. */
export function redisPlace(world: () => RedisWorld): OpenPlace {
  return () => makePlace(ground(world()));
}

/** Places for the promises. */
export function redisStage(world: () => RedisWorld): OpenStage {
  return () => {
    const { connect, ...rest } = ground(world());
    return Promise.resolve({
      ...rest,
      connect: () => Promise.resolve(connect()),
      destroy: () => Promise.resolve(),
    });
  };
}
