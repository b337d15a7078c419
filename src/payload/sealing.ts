/**
 * The messages and stacks of stored errors: encrypted where the job's codec encrypts, in the metadata and so in every
 * copy of it. The class, the code and the reason stay clear.
 *
 * @module
 */

import { type Codec, type Filter, type FilterContext } from "./codec.ts";
import type { Definitions } from "../jobs/definitions.ts";
import { contextOf, type Filtering } from "./filtering.ts";
import type { Entry } from "../jobs/exchange.ts";
import type { ErrorRecord, Meta, StoredJob } from "../jobs/job.ts";
import { secretsOf } from "./pipeline.ts";
import { readMeta, storedJobOf, writeMeta } from "../jobs/record.ts";
import { readText, textBytes } from "../text.ts";

/** An error as it stands in a record: with its texts beside it where these are encrypted. */
export interface SealedError extends ErrorRecord {
  readonly sealed: {
    /** The ids of the filters that the texts passed, as in a pipeline's id. */
    readonly by: string;
    /** Base64 of the encrypted message. */
    readonly message: string;
    /** Base64 of the encrypted stack; absent where there was none. */
    readonly stack?: string;
  };
}

/** The job that a text belongs to. */
interface Owner {
  readonly name: string;
  readonly queue: string;
  readonly id: string;
}

/** Whether a record's error is encrypted. */
export function isSealed(error: unknown): error is SealedError {
  const { sealed }: Partial<SealedError> = Object(error);
  const { by, message, stack }: Partial<SealedError["sealed"]> = Object(sealed);
  return typeof by === "string" && typeof message === "string" &&
    (stack === undefined || typeof stack === "string");
}

/** The filters that the error of a job is to pass; none where nothing of it is secret. */
export function sealersOf(
  definitions: Definitions,
  name: string,
  codec: string | undefined,
): readonly Filter[] {
  const used: readonly (Codec | undefined)[] = [
    definitions.get(name)?.codec,
    codec === undefined ? undefined : definitions.codecs.get(codec),
  ];
  for (const one of used) {
    const secrets = one === undefined ? [] : secretsOf(one);
    if (secrets.length > 0) return secrets;
  }
  return [];
}

/** Metadata whose error can be read only with the key; where that fails, without the error's texts. */
export async function sealMeta(
  filtering: Filtering,
  filters: readonly Filter[],
  text: string,
  owner: Owner,
  signal: AbortSignal,
): Promise<string> {
  const meta = readMeta(text);
  const { lastError } = meta;
  if (lastError === undefined || isSealed(lastError)) return text;
  return writeMeta({ ...meta, lastError: await sealError(filtering, filters, lastError, owner, signal) });
}

async function sealError(
  filtering: Filtering,
  filters: readonly Filter[],
  { message, stack, ...clear }: ErrorRecord,
  owner: Owner,
  signal: AbortSignal,
): Promise<ErrorRecord> {
  const seal = (part: "message" | "stack", text: string): Promise<Uint8Array> =>
    filtering.apply(filters, textBytes(text), contextOf(owner, undefined, part), signal);
  try {
    const [first, second] = await Promise.all([
      seal("message", message),
      stack === undefined ? undefined : seal("stack", stack),
    ]);
    const sealed: SealedError["sealed"] = {
      by: filters.map(({ id }) => id).join("+"),
      message: base64Of(first),
      ...(second === undefined ? {} : { stack: base64Of(second) }),
    };
    const key = filters.at(-1)?.keyOf?.(first);
    const error: SealedError = { ...clear, message: placeholder(key), sealed };
    return error;
  } catch {
    // Better no text than a clear one.
    return { ...clear, message: "[not stored, as it could not be encrypted]" };
  }
}

function placeholder(key: string | undefined): string {
  return key === undefined ? "[encrypted]" : `[encrypted, key ${key}]`;
}

/** A record's error as people see it: an encrypted text is there where the key is, else a word that says so. */
export async function openError(
  filtering: Filtering,
  definitions: Definitions,
  error: SealedError,
  owner: Owner,
  signal?: AbortSignal,
): Promise<ErrorRecord> {
  const { sealed, ...shown } = error;
  const filters = definitions.codecs.filters(sealed.by);
  if (filters === undefined) return shown;
  const open = async (part: FilterContext["part"], text: string): Promise<string> =>
    readText(await filtering.undo(filters, bytesOf(text), contextOf(owner, undefined, part), signal));
  try {
    const [message, stack] = await Promise.all([
      open("message", sealed.message),
      sealed.stack === undefined ? undefined : open("stack", sealed.stack),
    ]);
    return { ...shown, message, ...(stack === undefined ? {} : { stack }) };
  } catch {
    // Whatever keeps it shut, an operator sees the job all the same.
    return shown;
  }
}

/** A stored job as an operator sees it, at once where nothing of it is encrypted. */
export function showJob(
  filtering: Filtering,
  definitions: Definitions,
  entry: Entry,
): StoredJob | Promise<StoredJob> {
  const job = storedJobOf(entry);
  if (job.lastError === undefined) return job;
  const sealed = sealedIn(readMeta(entry.meta));
  if (sealed === undefined) return job;
  return openError(filtering, definitions, sealed, entry).then((lastError) => ({ ...job, lastError }));
}

/** The error of a job's metadata, if it is encrypted. */
export function sealedIn(meta: Meta): SealedError | undefined {
  return meta.lastError !== undefined && isSealed(meta.lastError) ? meta.lastError : undefined;
}

function base64Of(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}
