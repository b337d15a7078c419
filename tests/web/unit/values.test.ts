import { describe, expect, it } from "vitest";
import { json, raw } from "../../../mod.ts";
import { createFifo } from "../../../src/flow/fifo.ts";
import { createGate } from "../../../src/flow/gate.ts";
import { createHeap } from "../../../src/flow/heap.ts";
import { createLatch } from "../../../src/flow/latch.ts";
import { checkHeaders, checkId, checkName } from "../../../src/names.ts";
import { errorRecordOf, readMeta } from "../../../src/jobs/record.ts";
import { systemRuntime } from "../../../src/runtime.ts";
import { after, at, every, nextOf } from "../../../src/jobs/schedule.ts";
import { createMeter } from "../../../src/worker/meter.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("the JSON codec", () => {
  it("stores exactly what JSON.stringify gives, and nothing for undefined", () => {
    const value = { text: "ü\u0000\ud83d\ude00", list: [1, null, true], nested: { a: 1 } };
    expect(new TextDecoder().decode(json.encode(value))).toBe(JSON.stringify(value));
    expect(json.decode(json.encode(value))).toEqual(value);
    expect(json.encode(undefined)).toHaveLength(0);
    expect(json.decode(new Uint8Array(0))).toBeUndefined();
  });

  it("gives back no key __proto__, at any depth and however it is written", () => {
    for (const text of ['{"a":{"__proto__":{"evil":1}}}', '{"a":{"\\u005f_proto__":{"evil":1}}}']) {
      const decoded = json.decode(bytesOf(text));
      expect(decoded).toEqual({ a: {} });
      expect(Object.keys((decoded as { a: object }).a)).toEqual([]);
    }
  });

  it("refuses what JSON would lose as a whole", () => {
    expect(() => json.encode(1n)).toThrow(TypeError);
    expect(() => json.encode(() => {})).toThrow("JSON does not hold a function");
    expect(() => json.encode(new Uint8Array(1))).toThrow("codec 'raw'");
    expect(() => json.decode(bytesOf("not json"))).toThrow(SyntaxError);
    expect(() => json.decode(new Uint8Array([0xff]))).toThrow(TypeError);
  });
});

describe("the raw codec", () => {
  it("keeps bytes as they are, and shares none with the caller", () => {
    const bytes = new Uint8Array([0, 255, 10]);
    const stored = raw.encode(bytes);
    bytes.fill(1);
    expect([...stored]).toEqual([0, 255, 10]);
    const handed = raw.decode(stored);
    expect(handed).toEqual(new Uint8Array([0, 255, 10]));
    expect(handed).not.toBe(stored);
    expect(() => raw.encode("text")).toThrow(TypeError);
  });
});

describe("a heap", () => {
  it("gives back everything, smallest first", () => {
    const heap = createHeap<number>((a, b) => a < b);
    const numbers = Array.from({ length: 500 }, (_, i) => (i * 7_919) % 503);
    numbers.forEach(heap.push);
    const sorted = Array.from({ length: 500 }, () => heap.pop());
    expect(sorted).toEqual(numbers.toSorted((a, b) => a - b));
    expect(heap.pop()).toBeUndefined();
    expect(heap.size).toBe(0);
  });

  it("keeps its order when some are taken out of its middle", () => {
    const heap = createHeap<number>((a, b) => a < b);
    const numbers = Array.from({ length: 500 }, (_, i) => (i * 7_919) % 503);
    numbers.forEach(heap.push);
    heap.retain((number) => number % 3 === 0);
    const kept = numbers.filter((number) => number % 3 === 0).toSorted((a, b) => a - b);
    expect(heap.size).toBe(kept.length);
    expect(kept.map(() => heap.pop())).toEqual(kept);
  });
});

describe("a fifo", () => {
  it("gives back everything in order while it grows and shrinks", () => {
    const fifo = createFifo<number>();
    let pushed = 0;
    let shifted = 0;
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 100; i++) fifo.push(pushed++);
      for (let i = 0; i < (round < 25 ? 40 : 160); i++) {
        const item = fifo.shift();
        if (item !== undefined) expect(item).toBe(shifted++);
      }
      expect(fifo.size).toBe(pushed - shifted);
    }
    fifo.push(-1);
    fifo.remove(-1);
    expect(fifo.size).toBe(pushed - shifted);
  });
});

describe("a latch", () => {
  it("remembers one opening", async () => {
    const latch = createLatch();
    latch.open();
    latch.open();
    await latch.wait();
    let through = false;
    const waiting = latch.wait().then(() => through = true);
    await Promise.resolve();
    expect(through).toBe(false);
    latch.open();
    await waiting;
  });
});

describe("a gate", () => {
  it("closes when the last one inside has left, and lets nobody in after", async () => {
    const gate = createGate();
    const inside = Promise.withResolvers<void>();
    const call = gate.pass(() => inside.promise);
    let closed = false;
    const closing = gate.close().then(() => closed = true);
    await expect(gate.pass(() => Promise.resolve(), "knock")).rejects.toThrow(
      "Cannot knock as the relay is closed",
    );
    expect(closed).toBe(false);
    inside.resolve();
    await Promise.all([call, closing, gate.close()]);
    expect(closed).toBe(true);
  });
});

describe("names", () => {
  it("may be any text without control characters, surrogate halves or '@', of up to 255 bytes", () => {
    for (const name of ["a", "mail.*>", "ünï", "__proto__", "a b", "\u{1f600}".repeat(63), "x".repeat(255)]) {
      expect(() => checkName("queue", name, "test")).not.toThrow();
    }
    for (const name of ["", "a@b", "a\nb", "a\0", "\ud800", "x".repeat(256), "ü".repeat(128)]) {
      expect(() => checkName("queue", name, "test")).toThrow(/^Cannot test as the name of a queue must/);
    }
  });

  it("of ids may have line breaks, but no NUL and no more than 1,024 bytes", () => {
    for (const id of ["1", "run:a b\nc", "ü".repeat(512)]) expect(() => checkId(id, "test")).not.toThrow();
    for (const id of ["", "a\0b", "\udc00", "ü".repeat(513)]) {
      expect(() => checkId(id, "test")).toThrow(/'id'/);
    }
  });

  it("of headers are kept with their texts, as a copy", () => {
    const headers = { a: "1" };
    const copy = checkHeaders(headers, "test");
    headers.a = "2";
    expect(copy).toEqual({ a: "1" });
    expect(() => checkHeaders({ a: 1 as unknown as string }, "test")).toThrow("header 'a' must be a string");
    expect(() => checkHeaders({ a: "x".repeat(9_000) }, "test")).toThrow(RangeError);
  });
});

describe("a record", () => {
  it("is refused when a field that decides the job's fate is nonsense", () => {
    for (const text of ['{"v":"1"}', '{"v":1,"attempts":"x"}', '{"v":1,"timeout":-1}', "[]", "1", "null"]) {
      expect(() => readMeta(text)).toThrow();
    }
    expect(readMeta("")).toEqual({ v: 1 });
  });

  it("holds an error's text cut to 8 KiB of whole characters", () => {
    const record = errorRecordOf(new Error("ü".repeat(10_000)));
    expect(new TextEncoder().encode(record.message).length).toBe(8_192);
    expect(record.message).toBe("ü".repeat(4_096));
    expect(errorRecordOf("text")).toMatchObject({ name: "Error", message: "text" });
    expect(
      errorRecordOf({
        toString: () => {
          throw new Error();
        },
      }).message,
    ).toBe("an object without a message was thrown");
  });
});

describe("recurrences", () => {
  it("after, at and every say when, and every keeps to its grid", () => {
    const tick = { now: 10_500, due: 10_000 };
    expect(nextOf(after(5), tick)).toEqual({ delay: 5 });
    expect(nextOf(at(new Date(7)), tick)).toEqual({ at: 7 });
    expect(nextOf(every(1_000), tick)).toEqual({ at: 11_000 });
    expect(nextOf(every(1_000), { now: 13_000, due: 10_000 })).toEqual({ at: 14_000 });
    expect(nextOf(every(1_000), { now: 9_000, due: 10_000 })).toEqual({ at: 11_000 });
  });

  it("that give nonsense are refused", () => {
    for (const by of [after(-1), after(Number.NaN), at(new Date("x")), at(Number.POSITIVE_INFINITY)]) {
      expect(() => nextOf(by, { now: 0, due: 0 })).toThrow(RangeError);
    }
    expect(() => every(0)).toThrow("'period' must be milliseconds from 1");
  });
});

describe("ids", () => {
  it("are unique, 26 characters long, and sort in the order in which they were made", () => {
    const { id } = systemRuntime();
    const ids = Array.from({ length: 10_000 }, id);
    expect(new Set(ids).size).toBe(10_000);
    expect(ids.toSorted()).toEqual(ids);
    expect(ids.every((one) => /^[0-9A-HJKMNP-TV-Z]{26}$/.test(one))).toBe(true);
  });
});

describe("a meter", () => {
  it("allows nothing ahead before it knows, nor for slow handlers", () => {
    const meter = createMeter();
    expect(meter.allowance(0, 30_000, 500)).toBe(0);
    for (let i = 1; i <= 64; i++) meter.record(i * 101, 101);
    expect(meter.allowance(64 * 101, 30_000, 500)).toBe(0);
  });

  it("allows what starts within a tenth of a second, a third of the lease, and the limit", () => {
    const meter = createMeter();
    for (let i = 1; i <= 64; i++) meter.record(i, 10);
    expect(meter.allowance(64, 30_000, 500)).toBe(101);
    expect(meter.allowance(64, 30_000, 50)).toBe(50);
    expect(meter.allowance(64, 30, 500)).toBe(10);
  });
});
