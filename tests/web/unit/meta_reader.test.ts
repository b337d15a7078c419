/**
 * Metadata that comes again next, as that of the jobs of one bulk.
 *
 * @module
 */

import { describe, expect, it } from "vitest";
import { createMetaReader } from "../../../src/jobs/record.ts";

describe("a reader of metadata", () => {
  it("reads a text that comes again next once", () => {
    const read = createMetaReader();
    const text = '{"v":1,"requestId":"a"}';
    const meta = read(text);
    expect(meta).toEqual({ v: 1, requestId: "a" });
    expect(read(text)).toBe(meta);
    expect(read('{"v":1,"requestId":"b"}')).toEqual({ v: 1, requestId: "b" });
    expect(read("")).toEqual({ v: 1 });
    expect(read(text)).toEqual(meta);
  });

  it("shares no headers between jobs, as a handler may write into them", () => {
    const read = createMetaReader();
    const text = '{"v":1,"headers":{"a":"b"}}';
    expect(read(text)).toEqual(read(text));
    expect(read(text)).not.toBe(read(text));
  });

  it("refuses a text that is no metadata each time", () => {
    const read = createMetaReader();
    expect(() => read("{")).toThrow(TypeError);
    expect(() => read("{")).toThrow(TypeError);
  });
});
