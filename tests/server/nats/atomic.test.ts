/** Bulk dispatch over NATS that is all or nothing: how much one batch holds. */
import { expect, test } from "vitest";
import { AtomicLimitError } from "../../../mod.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { free } from "../../web/support/kit.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { groundOn } from "./ground.ts";

const CALL = { deadline: 60_000, atomic: true };
const jobs = {
  work: { schema: free<number>(), queue: "work" },
  other: { schema: free<number>(), queue: "other" },
  news: { schema: free<number>(), topic: true },
};

/** So many jobs of one name, for a bulk dispatch. */
function many<N extends keyof typeof jobs>(name: N, count: number): { name: N; payload: number }[] {
  return Array.from({ length: count }, (_, payload) => ({ name, payload }));
}

describeOn(["nats"], "F033: an atomic bulk over NATS", () => {
  const start = owned(() => startNats());

  test("of 1,000 jobs is stored, of one more refused before anything is sent, by an error that names the limit", async () => {
    await using ground = groundOn(await start());
    const relay = ground.relay(jobs);
    expect(await relay.dispatchMany(many("work", 1_000), { atomic: true })).toHaveLength(1_000);
    const refused = await relay.dispatchMany(many("work", 1_001), { atomic: true }).catch((error) => error);
    expect(refused).toBeInstanceOf(AtomicLimitError);
    expect(refused).toMatchObject({ code: "ATOMIC_LIMIT", limit: 1_000 });
    expect(refused.message).toMatch(/'limits\.atomic'.*current value is 1001 messages/);
    expect(await relay.info("work")).toMatchObject({ waiting: 1_000 });
  });

  test("counts a copy for each group of a topic", async () => {
    await using ground = groundOn(await start());
    const relay = ground.relay(jobs);
    for (const group of ["a", "b", "c"]) await relay.bind("news", group);
    await relay.dispatchMany(many("news", 333), { atomic: true });
    const refused = await relay.dispatchMany(many("news", 334), { atomic: true }).catch((error) => error);
    expect(refused).toBeInstanceOf(AtomicLimitError);
    expect(refused.message).toMatch(/current value is 1002 messages/);
    expect(await relay.info("news@b")).toMatchObject({ waiting: 333 });
  });

  test("is of one queue, and told by the same error on every way in", async () => {
    const server = await start();
    await using ground = groundOn(server);
    const relay = ground.relay(jobs);
    const both = [...many("work", 1), ...many("other", 1)];
    await expect(relay.dispatchMany(both, { atomic: true })).rejects.toBeInstanceOf(AtomicLimitError);
    await using transport = nats({ servers: server.url, prefix: ground.prefix, ackWait: 5_000 });
    for (
      const batch of [
        [job({ queue: "work" }), job({ queue: "other" })],
        Array.from({ length: 1_001 }, () => job({ queue: "work" })),
      ]
    ) {
      await expect(transport.push(batch, CALL)).rejects.toBeInstanceOf(AtomicLimitError);
    }
    expect(await relay.queues()).toEqual([]);
  });
});
