import { describe, expect, it } from "vitest";
import { createAlarms, createLazyAlarms } from "../../../src/flow/alarms.ts";
import { createFakeRuntime } from "../../../src/testing/fake_runtime.ts";

describe("alarms", () => {
  it("ring in the order of their times, not of their setting", async () => {
    const runtime = createFakeRuntime();
    const alarms = createAlarms(runtime);
    const rung: string[] = [];
    alarms.set(30, () => rung.push("late"));
    alarms.set(10, () => rung.push("early"));
    alarms.set(20, () => rung.push("middle"));
    await runtime.advance(25);
    expect(rung).toEqual(["early", "middle"]);
    await runtime.advance(25);
    expect(rung).toEqual(["early", "middle", "late"]);
  });

  it("share one sleep however many they are", () => {
    const runtime = createFakeRuntime();
    const alarms = createAlarms(runtime);
    for (let ms = 100; ms > 0; ms--) alarms.set(ms, () => {});
    expect(runtime.sleepers).toBe(1);
  });

  it("leave no sleep behind once the last is cancelled", () => {
    const runtime = createFakeRuntime();
    const alarms = createAlarms(runtime);
    const first = alarms.set(10, () => {});
    const second = alarms.set(20, () => {});
    first.cancel();
    second.cancel();
    second.cancel();
    expect(runtime.sleepers).toBe(0);
  });

  it("do not ring once cancelled, also from within another's ring", async () => {
    const runtime = createFakeRuntime();
    const alarms = createAlarms(runtime);
    const rung: string[] = [];
    alarms.set(10, () => {
      rung.push("first");
      second.cancel();
    });
    const second = alarms.set(10, () => rung.push("second"));
    await runtime.advance(20);
    expect(rung).toEqual(["first"]);
    expect(runtime.sleepers).toBe(0);
  });

  it("ring ones that were set from within a ring", async () => {
    const runtime = createFakeRuntime();
    const alarms = createAlarms(runtime);
    let rounds = 0;
    const again = (): void => {
      if (++rounds < 5) alarms.set(10, again);
    };
    alarms.set(10, again);
    await runtime.advance(100);
    expect(rounds).toBe(5);
  });

  it("keep a bounded number of cancelled entries", () => {
    let pending = 0;
    const runtime = { ...createFakeRuntime(), timer: () => (pending++, () => {}) };
    const alarms = createAlarms(runtime);
    const kept = alarms.set(1, () => {});
    for (let i = 0; i < 100_000; i++) alarms.set(60_000, () => {}).cancel();
    expect(pending).toBe(1);
    kept.cancel();
  });

  it("are all gone after clear", async () => {
    const runtime = createFakeRuntime();
    const alarms = createAlarms(runtime);
    alarms.set(10, () => expect.unreachable());
    alarms.clear();
    expect(runtime.sleepers).toBe(0);
    await runtime.advance(100);
    alarms.set(5, () => {});
    expect(runtime.sleepers).toBe(1);
  });

  it("may be cancelled when all were cleared, and others set after that", async () => {
    const runtime = createFakeRuntime();
    const alarms = createAlarms(runtime);
    const rung: string[] = [];
    const cleared = alarms.set(10, () => rung.push("cleared"));
    alarms.clear();
    alarms.set(20, () => rung.push("set later"));
    cleared.cancel();
    await runtime.advance(30);
    expect(rung).toEqual(["set later"]);
    expect(runtime.sleepers).toBe(0);
  });

  it("that are lazy cost no timer when they are cancelled within their turn, and ring in time when not", async () => {
    const runtime = createFakeRuntime();
    const alarms = createLazyAlarms(runtime);
    const rung: string[] = [];
    for (let n = 0; n < 100; n++) alarms.set(10, () => rung.push("cancelled")).cancel();
    await runtime.settle();
    expect(runtime.sleepers).toBe(0);
    alarms.set(120, () => rung.push("rung"));
    const late = alarms.set(60, () => rung.push("cancelled late"));
    await runtime.advance(50);
    late.cancel();
    expect(runtime.sleepers).toBe(1);
    await runtime.advance(69);
    expect(rung).toEqual([]);
    await runtime.advance(2);
    expect(rung).toEqual(["rung"]);
    alarms.set(10, () => rung.push("cleared"));
    alarms.clear();
    await runtime.advance(50);
    expect(rung).toEqual(["rung"]);
    expect(runtime.sleepers).toBe(0);
  });
});
