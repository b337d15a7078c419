import { redis } from "../../src/transports/redis/mod.ts";
import { blocked } from "./support/blocked.ts";
import { describeOn, owned } from "./support/servers/owned.ts";
import { startRedisCluster } from "./support/servers/redis_cluster.ts";

describeOn(["redis7"], "a blocked thread, on a Cluster", () => {
  const cluster = owned(() => startRedisCluster());
  blocked(async () => redis({ nodes: (await cluster()).urls, prefix: `blocked-${crypto.randomUUID()}` }));
});
