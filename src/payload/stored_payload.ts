/**
 * What is stored, as today's definitions read it: decoded by the codec that its record names, brought to the newest
 * version, and shown to the schema.
 *
 * @module
 */

import type { Codec } from "./codec.ts";
import type { Definition, Definitions } from "../jobs/definitions.ts";
import { InvalidPayloadError, UndecodableError, UnknownJobError } from "../errors.ts";
import type { Entry } from "../jobs/exchange.ts";
import { checking, contextOf, type Filtering } from "./filtering.ts";
import { type Meta, RECORD_VERSION } from "../jobs/job.ts";
import { PayloadVersionError, UnknownKeyError, UpcastError } from "./payload_errors.ts";
import { secretsOf } from "./pipeline.ts";
import { hush, isPromise } from "../promises.ts";
import { readMeta } from "../jobs/record.ts";
import { validate } from "./schema.ts";
import { StepFailed } from "./version.ts";

/** The versions of a definition that says nothing of them. */
const ONE = { first: 1, last: 1 };

/** What a codec reads; throws where it gives nothing, or not at once. */
export function decodeWith(codec: Codec, bytes: Uint8Array): unknown {
  const written = codec.decode(bytes);
  if (!isPromise(written)) return written;
  hush(written);
  throw new TypeError(`the codec '${codec.id}' must give the value at once`);
}

/** Which versions of payloads a definition reads. */
export function versionsOf({ upcast }: Definition): { readonly first: number; readonly last: number } {
  return upcast ?? ONE;
}

/** A payload as its definition's newest version. */
export function climbed({ upcast }: Definition, name: string, version: number, written: unknown): unknown {
  if (upcast === undefined) return written;
  try {
    return upcast.climb(written, version);
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    throw new UpcastError(name, error.step, upcast.first + error.step - 1, error.cause);
  }
}

/** Why no handler would get a stored payload, in the words of dead letters. */
export interface PayloadFault {
  /** The job's id. */
  readonly id: string;
  /** The job's name. */
  readonly name: string;
  /** `unknown`: no definition, codec or key for it; else as the reason of a dead letter. */
  readonly reason: "unknown" | "undecodable" | "version" | "invalid";
  /** What a worker would say; an `InvalidPayloadError` has every issue. */
  readonly error: Error;
}

/**
 * Why no handler would get the payload of a stored job; undefined where it would, and where the record is of a newer
 * program. What a schema says of its own troubles is thrown.
 */
export async function faultOfStored(
  filtering: Filtering,
  definitions: Definitions,
  entry: Entry,
  signal?: AbortSignal,
): Promise<PayloadFault | undefined> {
  const { id, name } = entry;
  const fault = (reason: PayloadFault["reason"], error: Error): PayloadFault => ({ id, name, reason, error });
  let meta: Meta;
  try {
    meta = readMeta(entry.meta);
  } catch (cause) {
    return fault("undecodable", new UndecodableError(name, cause));
  }
  if (meta.v > RECORD_VERSION) return undefined;
  const definition = definitions.get(name);
  if (definition === undefined) {
    return fault("unknown", new UnknownJobError(name, "no definition has this name"));
  }
  const codec = definitions.codecs.get(meta.codec ?? "json");
  if (codec === undefined) {
    return fault("unknown", new UnknownJobError(name, `there is no codec '${meta.codec}'`));
  }
  const { version = 1 } = meta;
  const { first, last } = versionsOf(definition);
  if (version < first || version > last) {
    return fault("version", new PayloadVersionError(name, version, first, last));
  }
  let written: unknown;
  try {
    if (definition.require && secretsOf(codec).length === 0) {
      throw new TypeError(`it is '${codec.id}', in clear text, and its definition requires encryption`);
    }
    const filters = codec.pipeline?.filters ?? [];
    const context = contextOf(entry, meta.schedule, "payload");
    const { payload } = entry;
    const bytes = filters.length === 0 ? payload : await filtering.undo(filters, payload, context, signal);
    written = decodeWith(codec, bytes);
  } catch (cause) {
    signal?.throwIfAborted();
    return cause instanceof UnknownKeyError
      ? fault("unknown", cause)
      : fault("undecodable", new UndecodableError(name, cause));
  }
  try {
    const verdict = validate(definition.schema, name, climbed(definition, name, version, written));
    if (verdict instanceof Promise) await filtering.inTime(checking(name), verdict, signal);
    return undefined;
  } catch (error) {
    if (error instanceof InvalidPayloadError || error instanceof UpcastError) return fault("invalid", error);
    throw error;
  }
}
