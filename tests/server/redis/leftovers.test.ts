/** What is left behind: nothing of done jobs, of clients that are gone, and of leases that were lost. */
import { expect, test, vi } from "vitest";
import { call, held, job, one, scene, take } from "./model_support.ts";

const { open, send } = scene();
const STREAM = "{relevo:q}:waiting";

async function consumers(): Promise<readonly (readonly unknown[])[]> {
  return await send("XINFO", "CONSUMERS", STREAM, "relevo") as readonly (readonly unknown[])[];
}

test("after 1,000 jobs that are done nothing of them is stored", async () => {
  const transport = open();
  const jobs = Array.from({ length: 1_000 }, (_, n) => job(`${n}`));
  await transport.push(jobs, call);
  const full = Number(await send("MEMORY", "USAGE", STREAM, "SAMPLES", 0));
  const deliveries = await take(transport, 1_000);
  await transport.settle(deliveries.map((delivery) => ({ ...held(delivery), to: "done" })), call);
  expect(deliveries.length).toBe(1_000);
  expect(await send("XLEN", STREAM)).toBe(0);
  expect(await send("EXISTS", "{relevo:q}:ids")).toBe(0);
  expect(Number(await send("MEMORY", "USAGE", STREAM, "SAMPLES", 0))).toBeLessThan(full / 20);
  const keys = await send("KEYS", "{relevo:q}*") as readonly string[];
  expect([...keys].sort()).toEqual(["{relevo:q}:leases", "{relevo:q}:next", STREAM]);
});

test("a client that closes takes its consumers with it", async () => {
  for (let start = 0; start < 10; start++) {
    const transport = open();
    await transport.push([job(`${start}`)], call);
    await transport.settle([{ ...held(await one(transport)), to: "done" }], call);
    await transport[Symbol.asyncDispose]();
  }
  expect(await consumers()).toEqual([]);
});

test("consumers of clients that died are removed once what they held is settled", async () => {
  const transport = open();
  for (let start = 0; start < 10; start++) {
    // As a client leaves it whose process is killed.
    await transport.push([job(`${start}`)], call);
    await send("XREADGROUP", "GROUP", "relevo", `gone-${start}.50ms`, "COUNT", 1, "STREAMS", STREAM, ">");
  }
  await send("DEL", "{relevo:q}:next", "{relevo:q}:leases");
  await send("SET", "{relevo:q}:next", 1);
  const found = new Set<string>();
  await vi.waitFor(async () => {
    const deliveries = await take(transport, 10);
    for (const { id } of deliveries) found.add(id);
    await transport.settle(deliveries.map((delivery) => ({ ...held(delivery), to: "done" })), call);
    await send("DEL", "{relevo:q}:next", "{relevo:q}:leases");
    await send("SET", "{relevo:q}:next", 1);
    expect(found.size).toBe(10);
    expect((await consumers()).length).toBeLessThanOrEqual(2);
  }, { timeout: 30_000, interval: 20 });
});

test("W19: 120 busy entries hide none of the 10 behind them whose leases were lost", async () => {
  const transport = open();
  await transport.push(Array.from({ length: 130 }, (_, n) => job(`${n}`)), call);
  expect((await take(transport, 120)).length).toBe(120);
  expect((await take(transport, 10, { lease: 50 })).length).toBe(10);
  const back = await vi.waitFor(async () => {
    const deliveries = await take(transport, 20);
    expect(deliveries.length).toBeGreaterThan(0);
    return deliveries;
  }, { timeout: 30_000, interval: 10 });
  expect(back.map(({ id, lost }) => [id, lost])).toEqual(
    Array.from({ length: 10 }, (_, n) => [`${120 + n}`, 1]),
  );
});

test("a client that only waits leaves no key in queues that never held a job", async () => {
  const transport = open();
  expect(await transport.reserve(["never"], { limit: 1, slots: 1, lease: 1_000, wait: 50, ...call })).toEqual(
    [],
  );
  await transport[Symbol.asyncDispose]();
  expect(await send("KEYS", "*")).toEqual([]);
});
