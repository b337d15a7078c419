import { expect, test } from "vitest";
import { json } from "../../../src/payload/json.ts";

test("texts of any length become their own bytes, whatever was written before and behind", () => {
  const values = Array.from({ length: 500 }, (_, number) => "aé€😀".repeat(number % 120) + number);
  const written = values.map((value) => json.encode(value));
  const encoder = new TextEncoder();
  for (const [index, bytes] of written.entries()) {
    expect([...bytes]).toEqual([...encoder.encode(JSON.stringify(values[index]))]);
    expect(json.decode(bytes)).toBe(values[index]);
  }
});
