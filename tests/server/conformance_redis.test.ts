import { declares, examineInTurn, examineTogether } from "./support/examined.ts";
import {
  REDIS_FEATURES,
  redisServerSubject,
  redisWorldSubject,
  STORE_USERS,
} from "./support/redis_subjects.ts";
import { describeOn, owned, ownedFirst } from "./support/servers/owned.ts";
import { startRedis } from "./support/servers/redis.ts";
import { startRedisWorld } from "./support/servers/redis_world.ts";

describeOn(["redis7"], "Redis keeps the contract by the real clock", () => {
  const subject = redisServerSubject("Redis", owned(() => startRedis({ users: STORE_USERS })));
  declares(subject, REDIS_FEATURES);
  examineTogether(subject);
});

for (const server of ["redis7", "redis8", "valkey8"] as const) {
  describeOn([server, "clock"], `${server} keeps the contract`, () => {
    const world = ownedFirst(() => startRedisWorld({ server, users: STORE_USERS }));
    examineInTurn(redisWorldSubject(server, world));
  });
}
