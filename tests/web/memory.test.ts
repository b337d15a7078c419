import * as v from "valibot";
import { describe, expect, test, vi } from "vitest";
import { createRelay } from "../../mod.ts";
import { TransportClosed, TransportFull } from "../../src/errors.ts";
import type { PushJob, ReserveOptions } from "../../src/jobs/exchange.ts";
import { createFakeRuntime } from "../../src/testing/mod.ts";
import type { Transport } from "../../src/contract/transport.ts";
import { memory, type MemoryOptions } from "../../src/transports/memory/mod.ts";

const HOUR = 3_600_000;
const call = { deadline: 1_000 };

function job(id: string, more: Partial<PushJob> = {}): PushJob {
  return { queue: "q", id, name: "job", payload: new Uint8Array([1, 2, 3]), meta: "{}", ...more };
}

function asks(more: Partial<ReserveOptions> = {}): ReserveOptions {
  return { ...call, limit: 10, slots: 10, lease: 30_000, wait: 0, ...more };
}

function setUp(options: MemoryOptions = {}) {
  const runtime = createFakeRuntime();
  const transport = memory({ runtime, ...options });
  return { runtime, transport, take: (more?: Partial<ReserveOptions>) => takeIds(transport, more) };
}

async function takeIds(transport: Transport, more?: Partial<ReserveOptions>): Promise<string[]> {
  return (await transport.reserve(["q"], asks(more))).map(({ id }) => id);
}

/** Reserves and buries so many jobs, one after the other. */
async function kill(transport: Transport, ids: readonly string[], reason = "exhausted"): Promise<void> {
  await transport.push(ids.map((id) => job(id)), call);
  const deliveries = await transport.reserve(["q"], asks({ limit: ids.length }));
  const deaths = deliveries.map(({ queue, token }) => ({
    queue,
    token,
    to: "failed" as const,
    meta: "{}",
    reason,
  }));
  await transport.settle(deaths, call);
}

describe("a wall clock that is set", () => {
  test("back by an hour delays no delayed job and no lost lease", async () => {
    const { runtime, transport, take } = setUp();
    await transport.push([job("delayed", { delay: 1_000 }), job("leased")], call);
    await take({ limit: 1, lease: 500 });
    runtime.step(-HOUR);
    await runtime.advance(1_000);
    expect(await take()).toEqual(["leased", "delayed"]);
  });

  test("forward by an hour makes no delayed job early and loses no lease", async () => {
    const { runtime, transport, take } = setUp();
    await transport.push([job("delayed", { delay: 1_000 }), job("leased")], call);
    await take({ limit: 1, lease: 1_000 });
    runtime.step(HOUR);
    await runtime.advance(999);
    expect(await take()).toEqual([]);
  });

  test("before a push does not move the instant that the push names", async () => {
    const { runtime, transport, take } = setUp();
    runtime.step(-HOUR);
    await transport.push([job("at", { at: runtime.now() + 1_000 })], call);
    await runtime.advance(999);
    expect(await take()).toEqual([]);
    await runtime.advance(1);
    expect(await take()).toEqual(["at"]);
  });

  test("does not change the due time that a delivery shows, so that a grid stays where it is", async () => {
    const { runtime, transport } = setUp();
    await runtime.advance(5);
    runtime.step(1_234);
    const at = runtime.now() + 60_000;
    await transport.push([job("at", { at })], call);
    runtime.step(-777);
    await runtime.advance(60_000);
    const [delivery] = await transport.reserve(["q"], asks());
    expect(delivery?.due).toBe(at);
  });

  test("does not change when a dead job died", async () => {
    const { runtime, transport } = setUp();
    runtime.step(HOUR);
    const died = runtime.now();
    await kill(transport, ["dead"]);
    runtime.step(-2 * HOUR);
    const [entry] = await transport.get("q", ["dead"], call);
    expect(entry?.time).toBe(died);
    expect(await transport.remove("q", "failed", { before: died }, call)).toBe(0);
    expect(await transport.remove("q", "failed", { before: died + 1 }, call)).toBe(1);
  });

  test("equal instants keep the order of dispatch while a clock of whole milliseconds is read at their fractions", async () => {
    const runtime = createFakeRuntime();
    const coarse = { ...runtime, now: () => Math.floor(runtime.now()) };
    const transport = memory({ runtime: coarse });
    const at = coarse.now() + 100;
    for (const id of ["a", "b", "c", "d", "e", "f"]) {
      await transport.push([job(id, { at })], call);
      await runtime.advance(0.3);
    }
    await runtime.advance(100);
    expect(await takeIds(transport)).toEqual(["a", "b", "c", "d", "e", "f"]);
  });
});

describe("maxJobs", () => {
  test("refuses what is beyond it, and nothing else of the batch", async () => {
    const { transport } = setUp({ maxJobs: 2 });
    const pushed = await transport.push([job("a"), job("b"), job("c")], call);
    expect(pushed.slice(0, 2)).toEqual(["stored", "stored"]);
    expect(pushed[2]).toBeInstanceOf(TransportFull);
  });

  test("refuses an atomic batch whole", async () => {
    const { transport, take } = setUp({ maxJobs: 2 });
    const pushed = await transport.push([job("a"), job("b"), job("c")], { ...call, atomic: true });
    expect(pushed.slice(0, 2)).toEqual(["withheld", "withheld"]);
    expect(pushed[2]).toBeInstanceOf(TransportFull);
    expect(await take()).toEqual([]);
  });

  test("counts dead jobs, and gives way when jobs are done or removed", async () => {
    const { transport } = setUp({ maxJobs: 2 });
    await kill(transport, ["dead"]);
    await transport.push([job("done")], call);
    expect((await transport.push([job("more")], call))[0]).toBeInstanceOf(TransportFull);
    const [delivery] = await transport.reserve(["q"], asks());
    await transport.settle([{ queue: "q", token: delivery?.token ?? "", to: "done" }], call);
    await transport.remove("q", "failed", "all", call);
    expect(await transport.push([job("a"), job("b")], call)).toEqual(["stored", "stored"]);
  });
});

describe("options", () => {
  test.each([
    [{ maxJobs: 0 }, RangeError],
    [{ maxJobs: 1.5 }, RangeError],
    [{ maxJobs: NaN }, RangeError],
    [{ name: "" }, TypeError],
  ])("%o is refused", (options, kind) => {
    expect(() => memory(options)).toThrow(kind);
  });

  test("a wrong number says the action, the value wanted and the value given", () => {
    const message =
      "Cannot make a memory transport as 'maxJobs' must be a whole number from 1: current value is 0";
    expect(() => memory({ maxJobs: 0 })).toThrow(message);
  });

  test("a time that is no number is refused for its job alone", async () => {
    const { transport, take } = setUp();
    const pushed = await transport.push(
      [job("a", { delay: NaN }), job("b", { at: Infinity }), job("c")],
      call,
    );
    expect(pushed.map((result) => result instanceof RangeError)).toEqual([true, true, false]);
    expect(await take()).toEqual(["c"]);
  });
});

describe("waiting", () => {
  test("takes one timer for any number of reserves, and none when the last has gone", async () => {
    const { runtime, transport, take } = setUp();
    const waits = Array.from({ length: 50 }, () => take({ wait: 1_000 }));
    expect(runtime.sleepers).toBe(1);
    await runtime.advance(1_000);
    expect(await Promise.all(waits)).toEqual(waits.map(() => []));
    expect(runtime.sleepers).toBe(0);
    await transport[Symbol.asyncDispose]();
  });

  test("an abort leaves no timer and no listener", async () => {
    const { runtime, take } = setUp();
    const controller = new AbortController();
    const added = vi.spyOn(controller.signal, "addEventListener");
    const removed = vi.spyOn(controller.signal, "removeEventListener");
    const waits = take({ wait: 1_000, signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(waits).rejects.toThrow("enough");
    await runtime.settle();
    expect(runtime.sleepers).toBe(0);
    expect(removed).toHaveBeenCalledTimes(added.mock.calls.length);
  });

  test("a reserve that was served leaves no timer and no listener", async () => {
    const { runtime, transport, take } = setUp();
    const controller = new AbortController();
    const removed = vi.spyOn(controller.signal, "removeEventListener");
    const waits = take({ wait: 1_000, signal: controller.signal });
    await transport.push([job("a")], call);
    expect(await waits).toEqual(["a"]);
    await runtime.settle();
    expect(runtime.sleepers).toBe(0);
    expect(removed).toHaveBeenCalledTimes(1);
  });

  test("a dispose ends it and leaves no timer", async () => {
    const { runtime, transport, take } = setUp();
    const waits = take({ wait: 1_000 });
    await transport[Symbol.asyncDispose]();
    await expect(waits).rejects.toThrow(TransportClosed);
    await runtime.settle();
    expect(runtime.sleepers).toBe(0);
  });

  test("who waited longest is served first, and a job wakes one", async () => {
    const { transport, take } = setUp();
    const served: string[] = [];
    const waits = ["first", "second", "third"].map((name) =>
      take({ limit: 1, wait: 1_000 }).then((ids) => served.push(`${name}: ${ids}`))
    );
    await transport.push([job("a"), job("b")], call);
    await Promise.all(waits.slice(0, 2));
    expect(served).toEqual(["first: a", "second: b"]);
    await transport.push([job("c")], call);
    await Promise.all(waits);
    expect(served[2]).toBe("third: c");
  });

  test("a job that came back passes by who has no slot for it, to the next who has", async () => {
    const { runtime, transport, take } = setUp();
    await transport.push([job("lost")], call);
    await take({ lease: 500 });
    const without = take({ slots: 0, wait: 1_000 });
    const withOne = take({ slots: 1, wait: 1_000 });
    await runtime.advance(500);
    expect(await withOne).toEqual(["lost"]);
    await runtime.advance(500);
    expect(await without).toEqual([]);
  });

  test("a lease that another waiter got is waited for too", async () => {
    const { runtime, transport, take } = setUp();
    const first = take({ limit: 1, lease: 100, wait: 10_000 });
    const second = take({ limit: 1, wait: 10_000 });
    await transport.push([job("a")], call);
    expect(await first).toEqual(["a"]);
    await runtime.advance(100);
    expect(await second).toEqual(["a"]);
  });
});

describe("what an operator gets", () => {
  test("is a copy: writing to it changes nothing that is stored", async () => {
    const { transport } = setUp();
    await transport.push([job("a")], call);
    const { entries } = await transport.list("q", "waiting", { limit: 1, preview: 2 }, call);
    const [entry] = await transport.get("q", ["a"], call);
    expect(entries[0]?.payload.buffer.byteLength).toBe(2);
    entries[0]?.payload.fill(9);
    entry?.payload.fill(9);
    const [delivery] = await transport.reserve(["q"], asks());
    expect(delivery?.payload).toEqual(new Uint8Array([1, 2, 3]));
  });

  test("a job that was pushed unchecked is found by id, and its id is taken, however late that is asked", async () => {
    const { transport, take } = setUp();
    await transport.push([job("waiting"), job("delayed", { delay: 1 })], call);
    const ids = ["waiting", "delayed"];
    const pushed = await transport.push(ids.map((id) => job(id, { idWindow: 0 })), call);
    expect(pushed).toEqual(["duplicate", "duplicate"]);
    expect(await take()).toEqual(["waiting"]);
    const entries = await transport.get("q", ids, call);
    expect(entries.map((entry) => entry?.channel)).toEqual(["reserved", "delayed"]);
  });

  test("any number of dead jobs may share an id, and each is reached", async () => {
    const { transport } = setUp();
    const ids = Array.from({ length: 5_000 }, () => "same");
    await kill(transport, ids);
    const { reloaded, taken } = await transport.reload("q", "failed", { ids: ["same"] }, {
      ...call,
      reset: false,
    });
    expect({ reloaded, taken }).toEqual({ reloaded: 1, taken: 4_999 });
    expect(await transport.remove("q", "failed", "all", call)).toBe(4_999);
    expect((await transport.get("q", ["same"], call))[0]?.channel).toBe("waiting");
  });
});

test("F077, W60: 5,000 jobs without a worker are taken, a dead one is brought back, and a removal leaves nothing", async () => {
  const { runtime, transport } = setUp();
  const relay = createRelay({
    jobs: { job: { schema: v.number(), maxAttempts: 1 }, other: { schema: v.number(), queue: "other" } },
    transport,
    runtime,
  });
  await Promise.all(Array.from({ length: 5_000 }, (_, n) => relay.dispatch("other", n)));
  expect((await relay.info("other")).waiting).toBe(5_000);
  relay.handle("job", () => {
    throw new Error("always");
  });
  await relay.dispatch("job", 1);
  await relay.drain();
  expect(await relay.reload("default", "failed", "all")).toMatchObject({ reloaded: 1 });
  expect(await relay.info()).toMatchObject({ waiting: 1, failed: 0 });
  await relay.drain();
  expect(await relay.remove("default", "failed", "all")).toBe(1);
  expect(Object.values(await relay.info()).filter((value) => typeof value === "number" && value > 0)).toEqual(
    [],
  );
  await relay.close();
});
