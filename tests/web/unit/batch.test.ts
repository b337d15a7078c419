import { describe, expect, it } from "vitest";
import { createBatcher } from "../../../src/flow/batch.ts";
import { createFakeRuntime } from "../../../src/testing/fake_runtime.ts";

function createRig(options: { maxItems?: number; maxBytes?: number; prompt?: boolean } = {}) {
  const batches: number[][] = [];
  const lefts: number[] = [];
  const answers: PromiseWithResolvers<readonly (string | Error)[]>[] = [];
  const runtime = createFakeRuntime();
  const batcher = createBatcher<number, string>({
    runtime,
    send: (items, left) => {
      batches.push([...items]);
      lefts.push(left);
      const answer = Promise.withResolvers<readonly (string | Error)[]>();
      answers.push(answer);
      return answer.promise;
    },
    sizeOf: (item) => item,
    deadline: 1_000,
    maxItems: options.maxItems ?? 100,
    maxBytes: options.maxBytes ?? 1_000_000,
    prompt: options.prompt,
  });
  const add = (item: number): Promise<string | Error> => new Promise((resolve) => batcher.add(item, resolve));
  return { batches, lefts, answers, runtime, batcher, add };
}

describe("a batcher", () => {
  it("sends the items of one tick together, in order, and tells each its own result", async () => {
    const { batches, answers, runtime, add } = createRig();
    const results = [add(1), add(2), add(3)];
    await runtime.advance(0);
    expect(batches).toEqual([[1, 2, 3]]);
    answers[0]?.resolve(["a", new Error("b"), "c"]);
    expect(await results[0]).toBe("a");
    expect(await results[1]).toBeInstanceOf(Error);
    expect(await results[2]).toBe("c");
  });

  it("parts by count and by bytes, and lets one that is too large travel alone", async () => {
    const byCount = createRig({ maxItems: 2 });
    for (let i = 0; i < 5; i++) void byCount.add(1);
    await byCount.runtime.advance(0);
    expect(byCount.batches).toEqual([[1, 1], [1, 1], [1]]);
    const byBytes = createRig({ maxBytes: 10 });
    for (const size of [4, 5, 99, 1]) void byBytes.add(size);
    await byBytes.runtime.advance(0);
    expect(byBytes.batches).toEqual([[4, 5], [99], [1]]);
  });

  it("has a bounded number of batches under way, and sends the rest in order as they return", async () => {
    const { batches, answers, runtime, batcher, add } = createRig({ maxItems: 1 });
    for (let i = 0; i < 6; i++) void add(i);
    await runtime.advance(0);
    expect(batches).toEqual([[0], [1], [2], [3]]);
    expect(batcher.size).toBe(6);
    answers[2]?.resolve(["x"]);
    await runtime.advance(0);
    expect(batches.slice(4)).toEqual([[4]]);
    answers[0]?.resolve(["x"]);
    await runtime.advance(0);
    expect(batches.slice(5)).toEqual([[5]]);
  });

  it("sends nothing that was taken back, however many there are behind four batches, and counts them no more", async () => {
    const { batches, answers, runtime, batcher, add } = createRig({ maxItems: 1 });
    for (let i = 0; i < 4; i++) void add(i);
    await runtime.advance(0);
    const told: unknown[] = [];
    const tickets = Array.from({ length: 50_000 }, (_, i) => batcher.add(i, (result) => told.push(result)));
    expect(tickets.map((ticket) => batcher.withdraw(ticket))).not.toContain(false);
    expect(tickets.map((ticket) => batcher.withdraw(ticket))).not.toContain(true);
    const last = batcher.add(7, (result) => told.push(result));
    expect(batcher.size).toBe(5);
    answers[0]?.resolve(["x"]);
    await runtime.advance(0);
    expect(batches.slice(4)).toEqual([[7]]);
    expect(batcher.withdraw(last)).toBe(false);
    expect(told).toEqual([]);
  });

  it("sends all that gathers when it is cut, however much is under way, and nothing twice", async () => {
    const { batches, runtime, batcher, add } = createRig({ maxItems: 1 });
    for (let i = 0; i < 6; i++) void add(i);
    batcher.cut();
    expect(batches).toEqual([[0], [1], [2], [3], [4], [5]]);
    batcher.cut();
    void add(6);
    batcher.cut();
    await runtime.advance(0);
    expect(batches.slice(6)).toEqual([[6]]);
  });

  it("sends an item that comes alone behind another one at once, with those that come at once with it", async () => {
    const { batches, answers, runtime, add } = createRig({ prompt: true });
    const first = add(1);
    await runtime.advance(0);
    answers[0]?.resolve(["a"]);
    await first;
    const [second, third] = [add(2), add(3)];
    await Promise.resolve();
    expect(batches).toEqual([[1], [2, 3]]);
    void add(4);
    answers[1]?.resolve(["b", "c"]);
    await Promise.all([second, third]);
    void add(5);
    await Promise.resolve();
    expect(batches.slice(2)).toEqual([]);
    await runtime.advance(0);
    expect(batches.slice(2)).toEqual([[4, 5]]);
  });

  it("leaves others their turn behind an item that was refused, and where results come in the same turn", async () => {
    for (const prompt of [true, false]) {
      const { batches, answers, runtime, add } = createRig({ prompt });
      const first = add(1);
      await runtime.advance(0);
      answers[0]?.resolve([prompt ? new Error("away") : "a"]);
      await first;
      void add(2);
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
      expect(batches).toEqual([[1]]);
      await runtime.advance(0);
      expect(batches).toEqual([[1], [2]]);
    }
  });

  it("tells a rejection to every item of its batch and to no other", async () => {
    const { answers, runtime, add } = createRig({ maxItems: 1 });
    const [first, second] = [add(1), add(2)];
    await runtime.advance(0);
    answers[0]?.reject(new Error("away"));
    answers[1]?.resolve(["fine"]);
    expect(await first).toMatchObject({ message: "away" });
    expect(await second).toBe("fine");
  });

  it("tells an item that was not answered so", async () => {
    const { answers, runtime, add } = createRig();
    const [first, second] = [add(1), add(2)];
    await runtime.advance(0);
    answers[0]?.resolve(["only one"]);
    expect(await first).toBe("only one");
    expect(await second).toBeInstanceOf(Error);
  });

  it("takes an item back only before it is sent", async () => {
    const { batches, runtime, batcher } = createRig();
    const kept = batcher.add(1, () => {});
    const taken = batcher.add(2, () => expect.unreachable());
    expect(batcher.withdraw(taken)).toBe(true);
    expect(batcher.withdraw(taken)).toBe(false);
    await runtime.advance(0);
    expect(batches).toEqual([[1]]);
    expect(batcher.withdraw(kept)).toBe(false);
    expect(batcher.size).toBe(1);
  });

  it("sends what waited behind others with the time that it has left, and refuses what has none", async () => {
    const { batches, lefts, answers, runtime, add } = createRig({ maxItems: 1 });
    for (let i = 0; i < 4; i++) void add(i);
    await runtime.advance(0);
    const late = add(4);
    await runtime.advance(600);
    void add(5);
    await runtime.advance(400);
    answers[0]?.resolve(["x"]);
    await runtime.advance(0);
    expect(await late).toMatchObject({ code: "TRANSPORT_BUSY" });
    expect(batches.slice(4)).toEqual([[5]]);
    expect(lefts).toEqual([1_000, 1_000, 1_000, 1_000, 600]);
  });
});
