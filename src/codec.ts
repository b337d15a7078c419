/**
 * How payloads become bytes: JSON by default, bytes as they are, or a codec of the user's own. The codec's id travels
 * in the record, so that a queue may hold jobs of several.
 *
 * @module
 */

/** Writes and reads payloads. */
export interface Codec {
  /** Stands in every record that it wrote; never change what an id means while jobs wait. */
  readonly id: string;
  /** The bytes to store. Throws when the value cannot be written. */
  encode(value: unknown): Uint8Array;
  /** The value again. Throws when the bytes are not this codec's. */
  decode(bytes: Uint8Array): unknown;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const NOTHING = new Uint8Array(0);

/** Bytes of memory that short texts share, and the part of it that a text may take to be a short one. */
const SLAB = 4 * 1024;
const SHORT_PART = 1 / 4;
const write = createWriter();

/** Makes bytes of texts. Memory of its own would cost a short one five times as much as its writing does. */
function createWriter(): (text: string) => Uint8Array {
  let slab = NOTHING;
  let used = 0;
  return (text) => {
    // A UTF-16 unit takes at most three bytes.
    const most = text.length * 3;
    if (most > SLAB * SHORT_PART) return encoder.encode(text);
    if (used + most > slab.length) {
      slab = new Uint8Array(SLAB);
      used = 0;
    }
    const start = used;
    used += encoder.encodeInto(text, slab.subarray(start)).written;
    return slab.subarray(start, used);
  };
}

/**
 * Plain JSON: the stored bytes are exactly `JSON.stringify(value)`, and no bytes at all for `undefined`. What comes
 * back has no key `__proto__`, at any depth. Refuses what JSON would lose as a whole: functions, symbols, bytes.
 */
export const json: Codec = {
  id: "json",
  encode(value) {
    if (value === undefined) return NOTHING;
    if (value instanceof Uint8Array || value instanceof ArrayBuffer) {
      throw new TypeError("JSON does not hold bytes: give the job the codec 'raw'");
    }
    const text: string | undefined = JSON.stringify(value);
    if (text === undefined) throw new TypeError(`JSON does not hold a ${typeof value}`);
    return write(text);
  },
  decode(bytes) {
    if (bytes.length === 0) return undefined;
    const text = decoder.decode(bytes);
    try {
      return text.includes("__proto__") || text.includes("\\u")
        ? JSON.parse(text, withoutPrototype)
        : JSON.parse(text);
    } catch {
      // What the parser says repeats a part of the payload, and errors go into logs.
      throw new SyntaxError("the bytes are no JSON");
    }
  },
};

/** Bytes as they are: the payload is a `Uint8Array`, stored and handed over unchanged (seed 004). */
export const raw: Codec = {
  id: "raw",
  encode(value) {
    if (value === undefined) return NOTHING;
    if (value instanceof Uint8Array) return value.slice();
    throw new TypeError("the codec 'raw' takes a Uint8Array");
  },
  decode: (bytes) => bytes.slice(),
};

/** A key `__proto__` is harmless as it is parsed, and sets a prototype as soon as somebody copies the object. */
function withoutPrototype(this: unknown, _key: string, value: unknown): unknown {
  if (typeof value === "object" && value !== null && Object.hasOwn(value, "__proto__")) {
    Reflect.deleteProperty(value, "__proto__");
  }
  return value;
}
