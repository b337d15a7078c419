import { redis } from "../../src/transports/redis/mod.ts";
import { blocked } from "./support/blocked.ts";
import { describeOn, owned } from "./support/servers/owned.ts";
import { startRedis } from "./support/servers/redis.ts";

describeOn(["redis7"], "a blocked thread, on Redis", () => {
  const server = owned(() => startRedis());
  blocked(async () => redis({ url: (await server()).url, prefix: `blocked-${crypto.randomUUID()}` }));
});
