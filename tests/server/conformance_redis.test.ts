import { examineInTurn } from "./support/examined.ts";
import { redisWorldSubject, STORE_USERS } from "./support/redis_subjects.ts";
import { describeOn, ownedFirst } from "./support/servers/owned.ts";
import { startRedisWorld } from "./support/servers/redis_world.ts";

for (const server of ["redis7", "redis8", "valkey8"] as const) {
  describeOn([server, "clock"], `${server} keeps the contract`, () => {
    const world = ownedFirst(() => startRedisWorld({ server, users: STORE_USERS }));
    examineInTurn(redisWorldSubject(server, world));
  });
}
