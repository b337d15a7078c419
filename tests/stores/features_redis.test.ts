import { FEATURES } from "../web/features/features.ts";
import { redisPlace } from "../server/support/redis_place.ts";
import { describeOn, ownedFirst } from "../server/support/servers/owned.ts";
import { startRedisWorld } from "../server/support/servers/redis_world.ts";

describeOn(["redis7", "clock"], "on Redis", () => {
  const world = ownedFirst(() => startRedisWorld());
  for (const feature of FEATURES) feature(redisPlace(world));
});
