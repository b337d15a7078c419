/**
 * The codec `json`: a payload is read again as it was, or refused at dispatch with the place of the value that JSON
 * would lose or change.
 *
 * @module
 */

import type { Codec } from "./codec.ts";
import { MAX_DEPTH } from "../defaults.ts";
import { isHeldAsIs, writeChecked } from "./json_values.ts";
import { createWriter, NOTHING, readText } from "../text.ts";

const write = createWriter();

/**
 * Plain JSON: the stored bytes are exactly `JSON.stringify(value)`, and no bytes at all for `undefined`. A value that
 * comes back has no key `__proto__`, at any depth.
 *
 * Refuses, with the place, values that would come back as something else: functions, symbols, bigints, NaN and
 * Infinity, `undefined` inside arrays, Map, Set, Error, RegExp, Promise, bytes and other objects whose contents are not
 * in fields of their own, cycles, and more than 1,000 levels. A property that is `undefined` is left out. An instance
 * with fields becomes a plain object; one with `toJSON` becomes the result of that, a Date so its text: the schema is
 * then asked at dispatch of the value that will be read, too. The codec `rich` of `@relevo/relevo/rich` keeps Date,
 * Map, Set and others.
 */
export const json: Codec = {
  id: "json",
  encode(value, changed) {
    if (value === undefined) return NOTHING;
    return write(isHeldAsIs(value, MAX_DEPTH) ? JSON.stringify(value) : writeChecked(value, changed));
  },
  decode(bytes) {
    if (bytes.length === 0) return undefined;
    const text = readText(bytes);
    try {
      return text.includes("__proto__") || text.includes("\\u")
        ? JSON.parse(text, withoutPrototype)
        : JSON.parse(text);
    } catch {
      // The parser's message repeats a part of the payload, and errors go into logs.
      throw new SyntaxError("the bytes are no JSON");
    }
  },
};

/** A key `__proto__` is harmless as it is parsed, and sets a prototype as soon as the object is copied. */
function withoutPrototype(this: unknown, _key: string, value: unknown): unknown {
  if (typeof value === "object" && value !== null && Object.hasOwn(value, "__proto__")) {
    Reflect.deleteProperty(value, "__proto__");
  }
  return value;
}
