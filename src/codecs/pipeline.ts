/**
 * Pipelines: a serializer, and filters behind it.
 *
 * @module
 */

import type { Codec, Filter } from "../payload/codec.ts";
import { quote } from "../options.ts";
import { checkCodec, compose } from "../payload/pipeline.ts";

/**
 * A codec of a serializer and filters: `pipeline(json, gzip(), aesGcm(ring))`. Its id names them all, as
 * `json+gzip+a256gcm:main`, and stands in each record.
 *
 * The serializer has run when `dispatch` returns; the filters follow, and jobs of one queue are stored in the order of
 * their dispatch, whatever their filters take. A filter has the relay's `callTimeout`.
 *
 * @throws {TypeError} for a first part that is no serializer, and for others that are no filters.
 */
export function pipeline(serializer: Codec, ...filters: readonly Filter[]): Codec {
  const action = "make a pipeline";
  checkCodec(serializer, action);
  if (serializer.pipeline !== undefined) {
    throw new TypeError(
      `Cannot ${action} as its first part must be a serializer: current value is the pipeline '${serializer.id}'`,
    );
  }
  checkPart(serializer.id, 1);
  filters.forEach(checkFilter);
  return compose(serializer, filters);
}

function checkFilter(filter: unknown, index: number): void {
  const { id, apply, undo, encode }: Partial<Filter & Codec> = Object(filter);
  if (typeof id === "string" && id !== "" && typeof apply === "function" && typeof undo === "function") {
    return checkPart(id, index + 2);
  }
  const given = typeof encode === "function" && typeof id === "string"
    ? `the serializer '${id}', which may only be first`
    : quote(filter);
  throw new TypeError(
    `Cannot make a pipeline as part ${
      index + 2
    } must be a filter, with an 'id' and the functions 'apply' and 'undo': ` +
      `current value is ${given}`,
  );
}

function checkPart(id: string, place: number): void {
  if (!id.includes("+")) return;
  throw new TypeError(
    `Cannot make a pipeline as the id of part ${place} must not hold '+': current value is ${quote(id)}`,
  );
}
