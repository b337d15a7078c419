import { expect, test } from "vitest";
import { createRelay, fromBroker, memory, type Transport } from "../../mod.ts";
import { nats } from "../../src/transports/nats/mod.ts";
import { redis } from "../../src/transports/redis/mod.ts";
import { sqlite } from "../../src/transports/sqlite/mod.ts";
import { free } from "../web/support/kit.ts";

const SERVERS = "nats://127.0.0.1:4222";
const shipped: readonly (readonly [string, () => Transport])[] = [
  ["memory", () => memory()],
  ["a broker", () => fromBroker({ publish: () => undefined, subscribe: () => undefined })],
  ["SQLite", () => sqlite({ path: "jobs.db" })],
  ["SQLite in memory", () => sqlite({ path: ":memory:" })],
  ["Redis", () => redis()],
  ["NATS", () => nats({ servers: SERVERS })],
  ["NATS in memory", () => nats({ servers: SERVERS, storage: "memory" })],
];

test.each(shipped)(
  "%s gives a reason for each ability that it has not, and for no other",
  async (_, open) => {
    await using transport = open();
    const denied = Object.entries(transport.features).filter(([, value]) => value === false).map(([name]) =>
      name
    );
    const absent = (["topics", "schedules", "transactions"] as const).filter((name) =>
      transport[name] === undefined
    );
    expect(Object.keys(transport.lacks ?? {}).sort()).toEqual([...denied, ...absent].sort());
    for (const reason of Object.values(transport.lacks ?? {})) expect(reason).toMatch(/^[a-z].*[^.]$/);
  },
);

test("a refusal says why the transport lacks the ability", async () => {
  await using relay = createRelay({ jobs: { hello: free<string>() } });
  await expect(relay.dispatch("hello", "Ada", { transaction: {} })).rejects.toThrow(
    "Cannot dispatch in a transaction as the memory transport has none: there is no database to begin one on",
  );
});

test("a refusal of a transport that gives no reason says that the ability is missing, and no more", async () => {
  const { lacks: _, ...transport } = memory();
  await using relay = createRelay({ jobs: { hello: free<string>() }, transport });
  await expect(relay.dispatch("hello", "Ada", { transaction: {} })).rejects.toThrow(
    /as the memory transport has none$/,
  );
});
