import { describe, expect, it } from "vitest";
import { createSlots } from "../../../src/flow/slots.ts";

describe("slots", () => {
  it("keep items by their numbers, and give a number again only when it is free", () => {
    const slots = createSlots<string>();
    const [a, b, c] = ["a", "b", "c"].map((item) => slots.add(item)) as [number, number, number];
    expect(new Set([a, b, c]).size).toBe(3);
    expect([slots.get(a), slots.get(b), slots.get(c), slots.size]).toEqual(["a", "b", "c", 3]);
    slots.remove(b);
    slots.remove(b);
    expect([slots.get(b), slots.size]).toEqual([undefined, 2]);
    expect(slots.add("d")).toBe(b);
    expect(slots.add("e")).not.toBe(b);
    expect(slots.items()).toEqual(["a", "c", "d", "e"]);
    expect(slots.find((item) => item > "c")).toBe("d");
    expect(slots.find((item) => item > "x")).toBeUndefined();
  });

  it("are as good as new once all of many are gone", () => {
    const slots = createSlots<number>();
    for (let round = 0; round < 3; round++) {
      const numbers = Array.from({ length: 5_000 }, (_, n) => slots.add(n));
      expect(slots.size).toBe(5_000);
      for (const number of numbers) slots.remove(number);
      expect([slots.size, slots.items(), slots.get(0)]).toEqual([0, [], undefined]);
    }
    slots.add(1);
    slots.clear();
    expect([slots.size, slots.get(0)]).toEqual([0, undefined]);
  });
});
