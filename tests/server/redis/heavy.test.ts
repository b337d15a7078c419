/** Jobs with large payloads go past the scripts: they are kept as all others are, and their turn is the same. */
import { expect, test, vi } from "vitest";
import type { PushJob } from "../../../src/jobs/exchange.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { PARTS } from "../../../src/transports/redis/layout/keys.ts";
import { heavyScripts } from "../../../src/transports/redis/scripts/heavy.ts";
import { call, held, job, one, scene, take } from "./model_support.ts";
import { commands } from "./support.ts";

const scenery = scene();
const { open, send } = scenery;
const BASE = "{relevo:q}:";

function large(id: string, size = 100_000, part: Partial<PushJob> = {}): PushJob {
  const payload = new Uint8Array(size);
  payload.fill(Number.parseInt(id) + 1);
  return job(id, { payload, ...part });
}

/** A client whose rights are known, and whose last poll brought a large payload. */
async function ready(): Promise<Transport> {
  const transport = open();
  await transport.push([large("90")], call);
  await transport.settle([{ ...held(await one(transport)), to: "done" }], call);
  return transport;
}

async function scripted(
  work: () => Promise<unknown>,
): Promise<{ xadd: number; evalsha: number; eval: number }> {
  const count = async () => ({
    xadd: await commands(scenery.server, "xadd"),
    evalsha: await commands(scenery.server, "evalsha"),
    eval: await commands(scenery.server, "eval"),
  });
  const before = await count();
  await work();
  const after = await count();
  return {
    xadd: after.xadd - before.xadd,
    evalsha: after.evalsha - before.evalsha,
    eval: after.eval - before.eval,
  };
}

test("large payloads come byte for byte, in order, are found by their ids, and leave nothing when they are done", async () => {
  const transport = await ready();
  const jobs = Array.from({ length: 20 }, (_, n) => large(String(n), 100_000 + n));
  expect(await transport.push(jobs.slice(0, 12), call)).toEqual(jobs.slice(0, 12).map(() => "stored"));
  await Promise.all(jobs.slice(12).map((each) => transport.push([each], call)));
  expect((await transport.get("q", jobs.map(({ id }) => id), call)).map((entry) => entry?.size)).toEqual(
    jobs.map(({ payload }) => payload.length),
  );
  expect(await transport.push([job("7", { idWindow: 0 })], call)).toEqual(["duplicate"]);
  const seen = [];
  for (let more = await take(transport, 7); more.length > 0; more = await take(transport, 7)) {
    seen.push(...more);
    const settled = await transport.settle(more.map((each) => ({ ...held(each), to: "done" })), call);
    expect(settled).toEqual(more.map(() => "settled"));
  }
  expect(seen.map(({ id }) => id)).toEqual(jobs.map(({ id }) => id));
  expect(seen.map(({ payload }) => payload.length)).toEqual(jobs.map(({ payload }) => payload.length));
  expect(seen.every(({ id, payload }) => payload.every((byte) => byte === Number(id) + 1))).toBe(true);
  expect(await send("EXISTS", `${BASE}ids`, `${BASE}ranges`, `${BASE}covered`)).toBe(0);
  expect(await transport.info("q", call)).toMatchObject({ waiting: 0, reserved: 0 });
});

test("a large job is one command, and one script that its payload is no part of", async () => {
  const transport = await ready();
  await transport.push([large("1")], call);
  const { xadd, ...scripts } = await scripted(() => transport.push([large("2"), large("3")], call));
  expect([xadd, scripts.eval + scripts.evalsha]).toEqual([2, 1]);
});

test("a queue of large jobs that is empty again is polled by one script", async () => {
  const transport = await ready();
  await transport.push([large("1")], call);
  await transport.settle([{ ...held(await one(transport)), to: "done" }], call);
  expect(await take(transport)).toEqual([]);
  const count = await scripted(() => take(transport));
  expect(count.eval + count.evalsha).toBe(1);
});

test("a job that was released or fell due has its turn before large jobs that wait", async () => {
  const transport = await ready();
  await transport.push(["1", "2", "3", "4", "5", "6", "7", "8"].map((id) => large(id)), call);
  const first = await one(transport);
  const second = await one(transport);
  expect([first.id, second.id]).toEqual(["1", "2"]);
  await transport.settle([{ ...held(first), to: "release" }], call);
  expect((await one(transport)).id).toBe("1");
  await transport.settle([{ ...held(second), to: "failed", meta: "m", reason: "r" }], call);
  expect((await one(transport)).id).toBe("3");
  // Due long ago, as its time says.
  await transport.push([large("9", 100_000, { at: 1_000 })], call);
  const late = job("late", { delay: 20 });
  await transport.push([late], call);
  await vi.waitFor(async () => expect((await transport.info("q", call)).delayed).toBe(0), {
    timeout: 30_000,
  });
  const ids = (await take(transport, 20)).map(({ id }) => id);
  expect(ids).toEqual(["4", "5", "6", "7", "8", "9", "late"]);
});

test("an answer of large payloads is bounded in bytes, whatever its limit", async () => {
  const transport = open();
  const size = 1024 * 1024;
  await transport.push([large("90", size)], call);
  await transport.settle([{ ...held(await one(transport)), to: "done" }], call);
  for (let n = 0; n < 20; n++) await transport.push([large(String(n), size)], call);
  const taken = await take(transport, 500);
  expect(taken.length).toBeGreaterThan(0);
  expect(taken.length).toBeLessThanOrEqual(8);
});

test("a lease of a large job that its worker lost ends, and the job comes back", async () => {
  const transport = await ready();
  await transport.push([large("1"), large("2")], call);
  expect((await take(transport, 1, { lease: 40 })).map(({ id }) => id)).toEqual(["1"]);
  const other = open();
  const back = await vi.waitFor(async () => {
    const found = await take(other, 5);
    const came = found.find(({ lost }) => lost === 1);
    expect(came).toBeDefined();
    return came;
  }, { timeout: 30_000, interval: 10 });
  expect(back?.id).toBe("1");
});

test("a large job that was done before its id came into the index leaves no id there", async () => {
  const transport = await ready();
  const { noteHeavy } = heavyScripts({ prefix: "relevo", group: "relevo", parts: PARTS });
  const add = (id: string) => send("XADD", `${BASE}waiting`, "*", "relevo", `${id}\nn\n`, "payload", "{}");
  const [done, runs, waits] = [await add("done"), await add("runs"), await add("waits")];
  const [first] = await take(transport, 2);
  if (first === undefined) throw new Error("No job was there");
  await transport.settle([{ ...held(first), to: "done" }], call);
  const noted = ["done", String(done), "runs", String(runs), "waits", String(waits)];
  await send("EVAL", noteHeavy.source, 1, BASE, "", ...noted);
  expect(await send("HKEYS", `${BASE}ids`)).toEqual(["runs", "waits"]);
});

test("a large job is stored and handed over where its stream was deleted, and where it is no stream that is told", async () => {
  const transport = await ready();
  await send("DEL", `${BASE}waiting`);
  expect(await transport.push([large("1")], call)).toEqual(["stored"]);
  expect((await one(transport)).id).toBe("1");
  await send("DEL", `${BASE}waiting`);
  await send("SET", `${BASE}waiting`, "in the way");
  await expect(transport.push([large("2")], call)).rejects.toMatchObject({ code: "TRANSPORT_CORRUPT" });
});

test("large jobs that a full server refuses are told as such, and nothing of them is stored", async () => {
  const transport = await ready();
  await send("CONFIG", "SET", "maxmemory", 1);
  try {
    await expect(transport.push([large("1")], call)).rejects.toMatchObject({ code: "TRANSPORT_FULL" });
  } finally {
    await send("CONFIG", "SET", "maxmemory", 0);
  }
  expect(await send("XLEN", `${BASE}waiting`)).toBe(0);
});

test("a waiting reserve gets a large job at once", async () => {
  const transport = await ready();
  const other = open({ check: 60_000 });
  const waits = other.reserve(["q"], { limit: 1, slots: 1, lease: 60_000, wait: 20_000, ...call });
  await expect.poll(() => send("ZCARD", `${BASE}waiters`)).toBe(1);
  await transport.push([large("1")], call);
  expect((await waits).map(({ id }) => id)).toEqual(["1"]);
});
