/**
 * Codecs made of a serializer and filters, and the table in which a record's codec is found by its id.
 *
 * @module
 */

import type { Codec, Filter } from "./codec.ts";
import { quote } from "../options.ts";

/** Stands between the ids of a pipeline's parts. */
const PLUS = "+";
/** Parts that a record's codec may have: any program may have written it. */
const MAX_PARTS = 16;

/** A serializer with filters behind it. */
export function compose(serializer: Codec, filters: readonly Filter[]): Codec {
  return {
    id: [serializer, ...filters].map(({ id }) => id).join(PLUS),
    encode: (value, changed) => serializer.encode(value, changed),
    decode: (bytes) => serializer.decode(bytes),
    pipeline: { serializer, filters },
  };
}

/** The filters of a codec that encrypt. */
export function secretsOf(codec: Codec): readonly Filter[] {
  return codec.pipeline?.filters.filter(({ secret }) => secret === true) ?? [];
}

/** Refuses a value that is no codec. */
export function checkCodec(codec: unknown, action: string): void {
  const { id, encode, decode }: Partial<Codec> = Object(codec);
  if (typeof id === "string" && id !== "" && typeof encode === "function" && typeof decode === "function") {
    return;
  }
  throw new TypeError(
    `Cannot ${action} as a codec must have an 'id' and the functions 'encode' and 'decode': current value is ${
      quote(codec)
    }`,
  );
}

/** The codecs that a relay knows. */
export interface Codecs {
  /**
   * Makes a codec known, with the parts of a pipeline.
   *
   * @throws {TypeError} for no codec, and for one that differs from another with its id.
   */
  add(codec: Codec, action: string): void;
  /** The codec of an id: one that was added, or a pipeline of parts that were. */
  get(id: string): Codec | undefined;
  /** The filters of an id, for bytes that pass these alone. */
  filters(id: string): readonly Filter[] | undefined;
}

/** Makes an empty table. */
export function createCodecs(): Codecs {
  const serializers = new Map<string, Codec>();
  const filters = new Map<string, Filter>();

  function filtersOf(ids: readonly string[]): readonly Filter[] | undefined {
    if (ids.length > MAX_PARTS) return undefined;
    const found = ids.flatMap((id) => filters.get(id) ?? []);
    return found.length === ids.length ? found : undefined;
  }

  function addFilter(filter: Filter, action: string): void {
    const other = filters.get(filter.id);
    if (other !== undefined && !isSame(other, filter)) {
      throw new TypeError(`Cannot ${action} as two filters that differ have the id '${filter.id}'`);
    }
    filters.set(filter.id, filter);
  }

  function add(codec: Codec, action: string): void {
    checkCodec(codec, action);
    if (codec.pipeline !== undefined) {
      add(codec.pipeline.serializer, action);
      for (const filter of codec.pipeline.filters) addFilter(filter, action);
      return;
    }
    const other = serializers.get(codec.id);
    if (other !== undefined && other !== codec) {
      throw new TypeError(`Cannot ${action} as two codecs have the id '${codec.id}'`);
    }
    serializers.set(codec.id, codec);
  }

  return {
    add,
    get(id) {
      const whole = serializers.get(id);
      if (whole !== undefined) return whole;
      const [first = "", ...rest] = id.split(PLUS, MAX_PARTS + 2);
      const serializer = serializers.get(first);
      const behind = filtersOf(rest);
      return serializer === undefined || behind === undefined ? undefined : compose(serializer, behind);
    },
    filters: (id) => filtersOf(id.split(PLUS, MAX_PARTS + 1)),
  };
}

function isSame(one: Filter, other: Filter): boolean {
  if (one === other) return true;
  const { settings } = one;
  return settings !== undefined && settings.length === other.settings?.length &&
    settings.every((value, index) => Object.is(value, other.settings?.[index]));
}
