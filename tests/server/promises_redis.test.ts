import { examineOn } from "../web/support/promises.ts";
import { redisStage } from "./support/redis_place.ts";
import { describeOn, ownedFirst } from "./support/servers/owned.ts";
import { startRedisWorld } from "./support/servers/redis_world.ts";

describeOn(["redis7", "clock"], "Redis keeps", async () => {
  examineOn(redisStage(ownedFirst(() => startRedisWorld())));
  await import("../web/promises/01-at-least-once.test.ts");
  await import("../web/promises/02-published-before-consumed.test.ts");
  await import("../web/promises/03-fenced.test.ts");
  await import("../web/promises/04-leases-renew-themselves.test.ts");
  await import("../web/promises/05-waiting-costs-no-slot.test.ts");
  await import("../web/promises/06-one-meaning-of-n.test.ts");
  await import("../web/promises/07-two-timers.test.ts");
  await import("../web/promises/08-bad-input-isolated.test.ts");
  await import("../web/promises/08-bad-input.test.ts");
  await import("../web/promises/09-every-wait-can-be-ended-stop.test.ts");
  await import("../web/promises/09-every-wait-can-be-ended.test.ts");
  await import("../web/promises/10-a-broker-that-goes-away.test.ts");
  await import("../web/promises/11-observers-cannot-hurt.test.ts");
  await import("../web/promises/12-nothing-secret-in-logs.test.ts");
  await import("../web/promises/13-ids.test.ts");
});
