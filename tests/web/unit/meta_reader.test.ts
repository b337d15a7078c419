/**
 * Metadata that comes again next, as that of the jobs of one bulk.
 *
 * @module
 */

import { describe, expect, it } from "vitest";
import { MetaReader } from "../../../src/jobs/record.ts";

describe("a reader of metadata", () => {
  it("reads a text that comes again next once", () => {
    const reader = new MetaReader();
    const text = '{"v":1,"requestId":"a"}';
    const meta = reader.read(text);
    expect(meta).toEqual({ v: 1, requestId: "a" });
    expect(reader.read(text)).toBe(meta);
    expect(reader.read('{"v":1,"requestId":"b"}')).toEqual({ v: 1, requestId: "b" });
    expect(reader.read("")).toEqual({ v: 1 });
    expect(reader.read(text)).toEqual(meta);
  });

  it("shares no headers between jobs, as a handler may write into them", () => {
    const reader = new MetaReader();
    const text = '{"v":1,"headers":{"a":"b"}}';
    expect(reader.read(text)).toEqual(reader.read(text));
    expect(reader.read(text)).not.toBe(reader.read(text));
  });

  it("refuses a text that is no metadata each time", () => {
    const reader = new MetaReader();
    expect(() => reader.read("{")).toThrow(TypeError);
    expect(() => reader.read("{")).toThrow(TypeError);
  });
});
