import { examineOn } from "../web/support/promises.ts";
import { everyPromise } from "./support/all_promises.ts";
import { redisStage } from "./support/redis_place.ts";
import { describeOn, ownedFirst } from "./support/servers/owned.ts";
import { startRedisWorld } from "./support/servers/redis_world.ts";

describeOn(["redis7", "clock"], "Redis keeps", async () => {
  examineOn(redisStage(ownedFirst(() => startRedisWorld())));
  await everyPromise("redis");
});
