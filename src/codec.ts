/**
 * How payloads become bytes: JSON by default, bytes as they are, or a codec of the user's own. The codec's id travels
 * in the record, so that a queue may hold jobs of several.
 *
 * @module
 */

import { NOTHING } from "./text.ts";

/** Writes and reads payloads. */
export interface Codec {
  /** Stands in every record that it wrote; never change what an id means while jobs wait. */
  readonly id: string;
  /**
   * The bytes to store. Throws when the value cannot be written. A codec that knowingly writes a value as another kind
   * calls `changed` with the value's kind: the schema is then asked at dispatch of what will be read, too.
   */
  encode(value: unknown, changed?: (kind: string) => void): Uint8Array;
  /** The value again. Throws when the bytes are not this codec's. */
  decode(bytes: Uint8Array): unknown;
}

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
