import { examineInTurn } from "../server/support/examined.ts";
import { redisWorldSubject, STORE_USERS } from "../server/support/redis_subjects.ts";
import { ALL } from "../server/support/all.ts";
import { describeOn, ownedFirst } from "../server/support/servers/owned.ts";
import type { RedisName } from "../server/support/servers/redis.ts";
import { startRedisWorld } from "../server/support/servers/redis_world.ts";

/** The other tests of Redis run on the oldest, 7.0. */
const NEWEST: readonly RedisName[] = ["redis8"];
const servers: readonly RedisName[] = ALL ? ["redis7", ...NEWEST, "valkey8"] : NEWEST;

for (const server of servers) {
  describeOn([server, "clock"], `${server} keeps the contract`, () => {
    const world = ownedFirst(() => startRedisWorld({ server, users: STORE_USERS }));
    examineInTurn(redisWorldSubject(server, world));
  });
}
