import { describe, expect, test } from "vitest";
import { createFakeRuntime } from "../../../src/testing/mod.ts";

describe("the fake runtime", () => {
  test("stands still until it is told to move", async () => {
    const runtime = createFakeRuntime({ now: 1_000 });
    const before = runtime.monotonic();
    await runtime.settle();
    expect([runtime.now(), runtime.monotonic()]).toEqual([1_000, before]);
    await runtime.advance(250);
    expect([runtime.now(), runtime.monotonic()]).toEqual([1_250, before + 250]);
  });

  test("wakes sleepers in the order of their times, equal ones in the order of their calls", async () => {
    const runtime = createFakeRuntime();
    const start = runtime.monotonic();
    const woken: string[] = [];
    const sleep = (name: string, ms: number): void => {
      void runtime.sleep(ms).then(() => woken.push(`${name}@${runtime.monotonic() - start}`));
    };
    sleep("c", 30);
    sleep("a", 10);
    sleep("b1", 20);
    sleep("b2", 20);
    await runtime.advance(29);
    expect(woken).toEqual(["a@10", "b1@20", "b2@20"]);
    await runtime.advance(1);
    expect(woken).toEqual(["a@10", "b1@20", "b2@20", "c@30"]);
  });

  test("lets long chains of awaits and hops come to rest between two sleepers", async () => {
    const runtime = createFakeRuntime();
    const seen: number[] = [];
    const loop = async (): Promise<void> => {
      for (let n = 0; n < 5; n++) {
        await runtime.sleep(10);
        for (let hop = 0; hop < 100; hop++) await null;
        for (let hop = 0; hop < 20; hop++) await runtime.sleep(0);
        seen.push(runtime.monotonic());
      }
    };
    const start = runtime.monotonic();
    const done = loop();
    await runtime.advance(50);
    await done;
    expect(seen).toEqual([10, 20, 30, 40, 50].map((ms) => start + ms));
  });

  test("needs no advance for a sleep of 0, which still lets others go first", async () => {
    const runtime = createFakeRuntime();
    const seen: string[] = [];
    const hop = runtime.sleep(0).then(() => seen.push("hop"));
    await Promise.resolve().then(() => seen.push("microtask"));
    await hop;
    expect(seen).toEqual(["microtask", "hop"]);
    expect(runtime.sleepers).toBe(0);
  });

  test("rejects an aborted sleep with the reason, and leaves nothing", async () => {
    const runtime = createFakeRuntime();
    const reason = { why: "enough" };
    const controller = new AbortController();
    const sleeps = [runtime.sleep(1_000, controller.signal), runtime.sleep(0, controller.signal)];
    const ends = sleeps.map((sleep) => sleep.catch((thrown: unknown) => thrown));
    expect(runtime.sleepers).toBe(2);
    controller.abort(reason);
    expect(runtime.sleepers).toBe(0);
    for (const end of ends) expect(await end).toBe(reason);
    const late = runtime.sleep(1_000, controller.signal).catch((thrown: unknown) => thrown);
    expect(await late).toBe(reason);
    expect([runtime.sleepers, await runtime.next()]).toEqual([0, false]);
  });

  test("jumps to the next sleeper, and says when nobody sleeps", async () => {
    const runtime = createFakeRuntime();
    const start = runtime.monotonic();
    const done = runtime.sleep(2 ** 40);
    expect(await runtime.next()).toBe(true);
    await done;
    expect(runtime.monotonic() - start).toBe(2 ** 40);
    expect(await runtime.next()).toBe(false);
  });

  test("moves the wall clock without waking anyone", async () => {
    const runtime = createFakeRuntime({ now: 5_000 });
    const before = runtime.monotonic();
    let awake = false;
    const slept = runtime.sleep(100).then(() => awake = true);
    runtime.step(-3_600_000);
    expect(runtime.now()).toBe(5_000 - 3_600_000);
    runtime.setWall(9_000);
    await runtime.settle();
    expect([runtime.now(), runtime.monotonic(), awake]).toEqual([9_000, before, false]);
    await runtime.advance(100);
    await slept;
    expect(runtime.now()).toBe(9_100);
  });

  test("draws the same numbers and ids from the same seed, and others from another", () => {
    const draw = (seed: number): unknown[] => {
      const runtime = createFakeRuntime({ seed });
      return [runtime.random(), runtime.random(), runtime.id(), runtime.id()];
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    expect(draw(7)[2]).not.toBe(draw(8)[2]);
  });

  test("gives ids of 26 characters that sort as they were made, also when the clock steps back", async () => {
    const runtime = createFakeRuntime();
    const ids: string[] = [];
    for (let n = 0; n < 50; n++) {
      ids.push(runtime.id());
      if (n === 20) runtime.step(-10_000);
      if (n === 30) await runtime.advance(5);
    }
    expect(ids).toEqual([...new Set(ids)].sort());
    expect(ids.every((id) => id.length === 26)).toBe(true);
  });

  test.each([
    [{ now: "noon" }, "'now' must be a number: current value is \"noon\""],
    [{ seed: NaN }, "'seed' must be a number: current value is NaN"],
    [{ wall: 5 }, "there is no option 'wall': there are now, seed, outside"],
  ])("refuses the options %j", (options, fault) => {
    expect(() => createFakeRuntime(options as never)).toThrow(`Cannot make a fake runtime as ${fault}`);
  });

  test("refuses to go back", async () => {
    await expect(createFakeRuntime().advance(-1)).rejects.toThrow(
      "'ms' must be 0 or more: current value is -1",
    );
  });
});

test("what is outside hears of every move of the wall clock, and is waited for until it is quiet", async () => {
  const moves: number[] = [];
  let busy = 0;
  const runtime = createFakeRuntime({
    now: 1_000,
    outside: { moved: (now) => void moves.push(now), quiet: () => Promise.resolve(busy-- <= 0) },
  });
  let awake = false;
  const slept = runtime.sleep(5).then(() => {
    awake = true;
    busy = 3;
  });
  await runtime.advance(7);
  await slept;
  expect(awake).toBe(true);
  expect(busy).toBeLessThan(0);
  runtime.step(-100);
  runtime.setWall(5_000);
  expect(moves).toEqual([1_000, 1_005, 1_007, 907, 5_000]);
});
