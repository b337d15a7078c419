/**
 * From a delivery's bytes to the payload that its handler gets: the codec that the record names, its filters, and the
 * schema. A job that stops here was never run.
 *
 * @module
 */

import type { Codec } from "../payload/codec.ts";
import type { Definition } from "../jobs/definitions.ts";
import {
  DeadlineExceeded,
  errorOf,
  InvalidPayloadError,
  UndecodableError,
  UnknownJobError,
} from "../errors.ts";
import { checking, contextOf } from "../payload/filtering.ts";
import { PayloadVersionError, UnknownKeyError, UpcastError } from "../payload/payload_errors.ts";
import { secretsOf } from "../payload/pipeline.ts";
import { validate } from "../payload/schema.ts";
import { openError, sealedIn } from "../payload/sealing.ts";
import { climbed, decodeWith, versionsOf } from "../payload/stored_payload.ts";
import type { Fate } from "./fate.ts";
import { buried, fateOfError, handedBack, timeoutFor } from "./judge.ts";
import type { Run } from "./run.ts";
import type { State } from "./state.ts";

/** A payload that a handler may get, or the fate of its job. */
export type Read = { readonly payload: unknown } | { readonly fate: Fate };

/** The payload of a run whose record can be read, at once where no filter and no schema waits. */
export function readPayload(state: State, run: Run, definition: Definition): Read | Promise<Read> {
  const { delivery: { name, payload }, meta } = run;
  const codec = state.bench.definitions.codecs.get(meta.codec ?? "json");
  if (codec === undefined) {
    const error = new UnknownJobError(name, `this worker has no codec '${meta.codec}' for it`);
    return { fate: fateOfUnknown(state, run, error) };
  }
  if (definition.require && secretsOf(codec).length === 0) {
    const cause = new TypeError(`it is '${codec.id}', in clear text, and its definition requires encryption`);
    return { fate: fateOfUndecodable(state, run, cause) };
  }
  const { first, last } = versionsOf(definition);
  const { version = 1 } = meta;
  if (version < first || version > last) {
    const error = new PayloadVersionError(name, version, first, last);
    // An older one is read by nothing that will be deployed again; a newer one by a program that is being deployed.
    return {
      fate: version < first || state.settings.unknown === "dead"
        ? buried(state, run, "failed", "version", error, false)
        : handedBack(state, run, "version", error),
    };
  }
  return codec.pipeline === undefined && sealedIn(meta) === undefined
    ? decode(state, run, definition, codec, payload)
    : unfilter(state, run, definition, codec);
}

async function unfilter(state: State, run: Run, definition: Definition, codec: Codec): Promise<Read> {
  const { bench: { definitions, filtering } } = state;
  const { delivery, meta } = run;
  const sealed = sealedIn(meta);
  if (sealed !== undefined) {
    run.lastError = await openError(filtering, definitions, sealed, delivery, run.signal);
  }
  let bytes: Uint8Array;
  try {
    const filters = codec.pipeline?.filters ?? [];
    const context = contextOf(delivery, meta.schedule, "payload");
    bytes = await filtering.undo(filters, delivery.payload, context, run.signal);
  } catch (cause) {
    // Nothing waits for the bytes any more: the worker stops, the job's time is over or its lease is lost.
    if (run.signal.aborted) return { fate: fateOfError(state, run, cause) };
    if (cause instanceof UnknownKeyError) return { fate: fateOfUnknown(state, run, cause) };
    // A filter that did not answer may do so the next time.
    if (cause instanceof DeadlineExceeded) return { fate: fateOfError(state, run, cause) };
    return { fate: fateOfUndecodable(state, run, cause) };
  }
  return await decode(state, run, definition, codec, bytes);
}

function decode(
  state: State,
  run: Run,
  definition: Definition,
  codec: Codec,
  bytes: Uint8Array,
): Read | Promise<Read> {
  let written: unknown;
  try {
    if (run.delivery.bare === true) throw new TypeError("the entry has no payload");
    written = decodeWith(codec, bytes);
  } catch (cause) {
    return { fate: fateOfUndecodable(state, run, cause) };
  }
  const { delivery: { name }, meta: { version = 1 } } = run;
  try {
    const payload = validate(definition.schema, name, climbed(definition, name, version, written));
    if (!(payload instanceof Promise)) return { payload };
    // The job's own limit bounds it where it has one.
    const answer = timeoutFor(run) === undefined
      ? state.bench.filtering.inTime(checking(name), payload, run.signal)
      : payload;
    return answer.then((late) => ({ payload: late }), (error) => fateOfInvalid(state, run, error));
  } catch (error) {
    return fateOfInvalid(state, run, error);
  }
}

/** Bytes that cannot be read are no better the next time. */
export function fateOfUndecodable(state: State, run: Run, cause: unknown): Fate {
  const error = new UndecodableError(run.delivery.name, cause);
  return buried(state, run, "failed", "undecodable", error, false);
}

/** A payload that does not fit is no better the next time; a schema that could not tell may be, so that run counts. */
function fateOfInvalid(state: State, run: Run, thrown: unknown): Read {
  const error = errorOf(thrown);
  if (!(error instanceof InvalidPayloadError || error instanceof UpcastError)) {
    return { fate: fateOfError(state, run, error) };
  }
  if (state.settings.invalid === "retry") return { fate: handedBack(state, run, "invalid", error) };
  return { fate: buried(state, run, "failed", "invalid", error, false) };
}

/** A job that another worker may know, and this one does not. */
export function fateOfUnknown(state: State, run: Run, error: Error): Fate {
  const { unknown } = state.settings;
  if (unknown === "drop") return { to: "done", dropped: error };
  return unknown === "dead"
    ? buried(state, run, "failed", "unknown", error, false)
    : handedBack(state, run, "unknown", error);
}
