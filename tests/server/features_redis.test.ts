import { FEATURES } from "../web/features/features.ts";
import { redisPlace } from "./support/redis_place.ts";
import { describeOn, ownedFirst } from "./support/servers/owned.ts";
import { startRedisWorld } from "./support/servers/redis_world.ts";

describeOn(["redis7", "clock"], "on Redis", () => {
  const world = ownedFirst(() => startRedisWorld());
  for (const feature of FEATURES) feature(redisPlace(world));
});
