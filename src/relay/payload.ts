/**
 * From a payload to the bytes that are stored: checked by its schema, written by its codec and measured.
 *
 * @module
 */

import type { FilterContext } from "../payload/codec.ts";
import { META_RESERVE } from "../defaults.ts";
import type { Definition } from "../jobs/definitions.ts";
import { InvalidPayloadError, RelevoError, TooLargeError, UnencodableError } from "../errors.ts";
import { checking, type Filtering } from "../payload/filtering.ts";
import { isByteArray, ofThisRealm, revokedIn } from "../kinds.ts";
import { hush } from "../promises.ts";
import { validate } from "../payload/schema.ts";
import type { Transport } from "../contract/transport.ts";

/** The limits of a payload. */
export interface Scale {
  readonly transport: Transport;
  /** Bytes that a payload may have. */
  readonly maxPayload: number;
  readonly filtering: Filtering;
}

/** A payload as bytes. */
export interface WrittenPayload {
  readonly bytes: Uint8Array;
  /** Rejects when a schema that waits refuses it; absent where the schema has accepted it already. */
  readonly verdict: Promise<unknown> | undefined;
}

/**
 * The bytes of a payload, taken before this returns, also where the schema still waits.
 *
 * @throws {RelevoError} for whatever is wrong with it.
 */
export function writePayload(scale: Scale, definition: Definition, value: unknown): WrittenPayload {
  let verdict: unknown;
  try {
    verdict = validate(definition.schema, definition.name, value);
    let kinds: string[] | undefined;
    const bytes = encode(scale, definition, value, (kind) => void (kinds ??= []).push(kind));
    const read = kinds === undefined ? undefined : validateRead(definition, bytes, kinds);
    if (!(verdict instanceof Promise) && !(read instanceof Promise)) return { bytes, verdict: undefined };
    hush(read);
    // A schema that never answers must hold up neither its caller nor the close of the relay.
    const both = scale.filtering.inTime(checking(definition.name), Promise.all([verdict, read]));
    return { bytes, verdict: both };
  } catch (error) {
    // A schema that still waits may reject too, and nothing waits for it any more.
    hush(verdict);
    // Neither a schema nor a codec can say what it stumbled over.
    const place = revokedIn(value);
    if (place === undefined) throw error;
    const at = place.length === 0 ? "it is" : `'${place.join(".")}' is`;
    throw new UnencodableError(definition.name, new TypeError(`${at} a revoked Proxy`, { cause: error }));
  }
}

function encode(
  { maxPayload, transport }: Scale,
  { name, codec }: Definition,
  value: unknown,
  changed: (kind: string) => void,
): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = codec.encode(value, changed);
  } catch (cause) {
    throw new UnencodableError(name, cause);
  }
  if (!isByteArray(bytes)) {
    hush(bytes);
    throw new UnencodableError(name, new TypeError(`the codec '${codec.id}' must give a Uint8Array at once`));
  }
  bytes = ofThisRealm(bytes);
  // Bytes that filters will change are measured behind them.
  if (codec.pipeline === undefined) measure({ maxPayload, transport }, name, bytes);
  return bytes;
}

function measure(
  { maxPayload, transport }: Pick<Scale, "maxPayload" | "transport">,
  name: string,
  bytes: Uint8Array,
): void {
  const limit = Math.min(maxPayload, transport.limits.payload - META_RESERVE);
  if (bytes.length > limit) throw new TooLargeError(`the payload of '${name}'`, bytes.length, limit);
}

/**
 * The bytes to store of a payload of `writePayload`, after the filters of the definition's codec.
 *
 * @throws {RelevoError} when a filter refuses, and for too many bytes; as a rejection.
 */
export async function filterPayload(
  scale: Scale,
  { name, codec }: Definition,
  bytes: Uint8Array,
  context: FilterContext,
): Promise<Uint8Array> {
  if (codec.pipeline === undefined) return bytes;
  let filtered: Uint8Array;
  try {
    filtered = await scale.filtering.apply(codec.pipeline.filters, bytes, context);
  } catch (cause) {
    throw cause instanceof RelevoError ? cause : new UnencodableError(name, cause);
  }
  measure(scale, name, filtered);
  return filtered;
}

/** Asks the schema of the value that a worker will read, where the codec wrote some values as another kind. */
function validateRead({ schema, name, codec }: Definition, bytes: Uint8Array, kinds: string[]): unknown {
  const explain = (error: unknown): never => {
    if (!(error instanceof InvalidPayloadError)) throw error;
    const advice = `as a worker will read it, since ${codec.id} has no ${[...new Set(kinds)].join(", ")}: ` +
      "use the codec 'rich' of @relevo/relevo/rich, or a schema that reads what 'toJSON' gives";
    throw new InvalidPayloadError(name, error.issues, advice);
  };
  try {
    const verdict = validate(schema, name, codec.decode(bytes));
    return verdict instanceof Promise ? verdict.catch(explain) : verdict;
  } catch (error) {
    return explain(error);
  }
}
