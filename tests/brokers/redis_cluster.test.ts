import { expect, test } from "vitest";
import type { PushJob, Transport } from "../../mod.ts";
import { bytes } from "../web/support/kit.ts";
import { declares, examineTogether } from "../server/support/examined.ts";
import { REDIS_FEATURES, redisClusterSubject, STORE_USERS } from "../server/support/redis_subjects.ts";
import { describeOn, owned } from "../server/support/servers/owned.ts";
import { startRedisCluster } from "../server/support/servers/redis_cluster.ts";

/** What a Cluster cannot do, as each queue lives in a slot of its own; the tests below say what it does instead. */
const ACROSS_SLOTS: readonly string[] = [
  "an atomic batch is stored whole or not at all",
  "an atomic batch of topics and queues is stored whole or not at all",
];

describeOn(["redis7"], "Redis Cluster keeps the contract", () => {
  const cluster = owned(() => startRedisCluster({ users: STORE_USERS }));
  const subject = redisClusterSubject("Redis Cluster", cluster);
  const call = { deadline: 60_000 };
  declares(subject, REDIS_FEATURES);

  async function inStore(check: (transport: Transport) => Promise<void>): Promise<void> {
    const store = `relevo-${crypto.randomUUID()}`;
    const transport = await subject.create(store);
    try {
      await check(transport);
    } finally {
      await transport[Symbol.asyncDispose]();
      await subject.destroy?.(store);
    }
  }

  const job = (queue: string, id: string): PushJob => ({
    queue,
    id,
    name: "job",
    payload: bytes(id),
    meta: "{}",
    idWindow: 60_000,
  });

  test("an atomic batch of several slots is refused, and nothing of it is stored", async () => {
    await inStore(async (transport) => {
      const batch = ["a", "b", "c", "d", "e", "f"].map((queue) => job(queue, queue));
      await expect(transport.push(batch, { ...call, atomic: true })).rejects.toThrow(RangeError);
      expect(await transport.queues(call)).toEqual([]);
    });
  });

  test("an atomic batch of one queue is stored whole or not at all", async () => {
    await inStore(async (transport) => {
      await transport.push([job("work", "held")], call);
      const batch = [job("work", "1"), job("work", "held"), job("work", "2")];
      expect(await transport.push(batch, { ...call, atomic: true })).toEqual([
        "withheld",
        "duplicate",
        "withheld",
      ]);
      expect(await transport.info("work", call)).toMatchObject({ waiting: 1 });
      const again = [job("work", "1"), job("work", "2")];
      expect(await transport.push(again, { ...call, atomic: true })).toEqual(["stored", "stored"]);
      expect(await transport.info("work", call)).toMatchObject({ waiting: 3 });
    });
  });

  examineTogether(subject, ACROSS_SLOTS);
});
