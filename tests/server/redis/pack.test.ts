import { Buffer } from "node:buffer";
import { expect, test } from "vitest";
import { createPacker, Reader } from "../../../src/transports/redis/layout/pack.ts";

test("what was packed stays as it is when more is packed, as it may not have been sent yet", () => {
  const pack = createPacker();
  const first = pack(["one", 1, new Uint8Array([1, 2, 3])]);
  const before = Buffer.from(first).toString("hex");
  pack(["another", 2, new Uint8Array([4, 5, 6])]);
  expect(Buffer.from(first).toString("hex")).toBe(before);
});

test("texts of every length that the server writes are read", () => {
  for (const size of [0, 31, 32, 255, 256, 65_535, 65_536]) {
    const text = Buffer.alloc(size, "x");
    const head = size < 32
      ? [0xa0 + size]
      : size < 256
      ? [0xd9, size]
      : size < 65_536
      ? [0xda, size >> 8, size & 255]
      : [0xdb, 0, size >> 16, (size >> 8) & 255, size & 255];
    const packed = Buffer.concat([Buffer.from(head), text]);
    expect(new Reader(packed).text()).toBe(`${text}`);
    expect(new Reader(packed).bytes()).toEqual(new Uint8Array(text));
  }
});
