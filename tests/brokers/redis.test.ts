import { declares, examineTogether } from "../server/support/examined.ts";
import { REDIS_FEATURES, redisServerSubject, STORE_USERS } from "../server/support/redis_subjects.ts";
import { describeOn, owned } from "../server/support/servers/owned.ts";
import { startRedis } from "../server/support/servers/redis.ts";

describeOn(["redis7"], "Redis keeps the contract by the real clock", () => {
  const subject = redisServerSubject("Redis", owned(() => startRedis({ users: STORE_USERS })));
  declares(subject, REDIS_FEATURES);
  examineTogether(subject);
});
