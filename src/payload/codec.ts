/**
 * How payloads become bytes: JSON by default, bytes as they are, or a codec of the user's own. The codec's id travels
 * in the record, so that a queue may hold jobs of several.
 *
 * @module
 */

import { isByteArray } from "../kinds.ts";
import { NOTHING } from "../text.ts";

/** Writes and reads payloads. */
export interface Codec {
  /** Stands in every record that it wrote; never change the meaning of an id while jobs wait. */
  readonly id: string;
  /**
   * The bytes to store. Throws when the value cannot be written. A codec that knowingly writes a value as another kind
   * calls `changed` with the value's kind: the schema is then asked at dispatch of the value that will be read, too.
   */
  encode(value: unknown, changed?: (kind: string) => void): Uint8Array;
  /** The value again. Throws when the bytes are not this codec's. */
  decode(bytes: Uint8Array): unknown;
  /** Present where `pipeline` made it: its parts. */
  readonly pipeline?: Pipeline | undefined;
}

/** The parts of a pipeline: `encode` and `decode` are those of its serializer. */
export interface Pipeline {
  /** Makes bytes of values. */
  readonly serializer: Codec;
  /** Where the bytes go then, in order; a worker goes back through them. */
  readonly filters: readonly Filter[];
}

/** The job that a filter's bytes belong to. */
export interface FilterContext {
  /** The job's name, as it was dispatched: an alias, where the job was renamed since. */
  readonly name: string;
  /** The queue or topic that it was stored in, without the group. */
  readonly place: string;
  /** The job's id, or the key of the schedule that its job belongs to. */
  readonly id: string;
  /** Whether `id` is a job's or a schedule's. */
  readonly of: "job" | "schedule";
  /** The payload, or the message or stack of a stored error. */
  readonly part: "payload" | "message" | "stack";
}

/**
 * Makes other bytes of bytes, and the same bytes of these again: compression, encryption. It may take its time, up to
 * the relay's `callTimeout`.
 */
export interface Filter {
  /** Stands in every record whose payload passed it, so it must hold no `+`; never change its meaning. */
  readonly id: string;
  /** The bytes to store. Throws or rejects when there are none: the dispatch is refused. */
  apply(bytes: Uint8Array, context: FilterContext): Uint8Array | Promise<Uint8Array>;
  /**
   * The bytes again. Throws or rejects when the given ones are not this filter's: the job is dead at once, its reason
   * `undecodable`; with an `UnknownKeyError` the job is handed back, as another worker may know the key.
   */
  undo(bytes: Uint8Array, context: FilterContext): Uint8Array | Promise<Uint8Array>;
  /** It encrypts: stored error messages pass it, too, and a definition with `require` needs it. Default false. */
  readonly secret?: boolean | undefined;
  /** The id of the key that these bytes of its own were encrypted with. Default: none is shown. */
  keyOf?(bytes: Uint8Array): string | undefined;
  /** Filters of one id may stand in one relay if these are equal, one by one. Default: only the same object may. */
  readonly settings?: readonly unknown[] | undefined;
}

/** Bytes as they are: the payload is a `Uint8Array`, stored and handed over unchanged (seed 004). */
export const raw: Codec = {
  id: "raw",
  encode(value) {
    if (value === undefined) return NOTHING;
    if (isByteArray(value)) return new Uint8Array(value);
    throw new TypeError("the codec 'raw' takes a Uint8Array");
  },
  decode: (bytes) => bytes.slice(),
};
