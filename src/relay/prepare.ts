/**
 * From a payload and options to a job that a transport can store: checked, encoded and measured before anything waits.
 *
 * @module
 */

import { type BackoffPolicy, checkBackoff } from "../jobs/backoff.ts";
import { ID_WINDOW, MAX_DELAY } from "../defaults.ts";
import type { Definition, Definitions } from "../jobs/definitions.ts";
import { UnknownJobError, UnknownQueueError } from "../errors.ts";
import type { PushJob } from "../jobs/exchange.ts";
import { type Meta, RECORD_VERSION } from "../jobs/job.ts";
import { isDate } from "../kinds.ts";
import { checkHeaders, checkId, checkOwnId } from "../names.ts";
import { checkInteger, checkKnown, checkTime, checkWord, quote, shown } from "../options.ts";
import { type Scale, writePayload } from "./payload.ts";
import { hush } from "../promises.ts";
import { writeMeta } from "../jobs/record.ts";
import type { Runtime } from "../runtime.ts";

/** The options of a dispatch that are about its job. All times are milliseconds. */
export interface JobSettings {
  /**
   * An id of the caller's own, by which a repeated dispatch is refused; must not begin with `#`, as the ids of other
   * programs' entries do. Default: a generated one.
   */
  readonly id?: string | undefined;
  /** How long that id is refused after this dispatch; 0: it is free once the job is settled. Default 120,000. */
  readonly idWindow?: number | undefined;
  /** A taken id: `ignore` answers `duplicate`, `throw` rejects with `DuplicateJobError`. Default `ignore`. */
  readonly onDuplicate?: "ignore" | "throw" | undefined;
  /** How long from now the job may not run, by the broker's clock; 0 or less: at once. Default 0. */
  readonly delay?: number | undefined;
  /** The instant before which it may not run; one in the past: at once. Not together with `delay`. */
  readonly at?: number | Date | undefined;
  /** Runs in all. Default: that of the definition, then the worker's `maxRetry`. */
  readonly maxAttempts?: number | undefined;
  /** How long one run may take. Default: that of the definition. */
  readonly timeout?: number | undefined;
  /** The delay before each further run, as a policy that can travel. Default: that of the definition. */
  readonly backoff?: BackoffPolicy | undefined;
  /** Another queue than the definition's, among those that some definition names. Refused for a topic's job. */
  readonly queue?: string | undefined;
  /** Texts that travel with the job. Default: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Ties the job to its cause. Default: that of the relay's `requestId`, then a generated one. */
  readonly requestId?: string | undefined;
}

/** The request that the jobs of one call are made for, unless they name their own. */
export interface SharedRequest {
  readonly id: string;
  /** The record of those that say nothing else, once one was made: they have the text in common. */
  record: string | undefined;
}

/** The parts that preparation needs from a relay. */
export interface Desk extends Scale {
  readonly definitions: Definitions;
  readonly runtime: Runtime;
  /** The request id of whatever the caller is doing, if there is one. */
  readonly requestId: (() => string | undefined) | undefined;
}

/** The names of {@linkcode JobSettings}. */
export const SETTINGS: readonly string[] = [
  "id",
  "idWindow",
  "onDuplicate",
  "delay",
  "at",
  "maxAttempts",
  "timeout",
  "backoff",
  "queue",
  "headers",
  "requestId",
];

/**
 * Makes a job to be stored. `known` are the names that the call takes beside {@linkcode SETTINGS}, and those. The bytes
 * are taken before this returns, even where the schema still waits.
 *
 * @throws {RelevoError | TypeError | RangeError} for whatever is wrong with it.
 */
export function prepare(
  desk: Desk,
  name: string,
  payload: unknown,
  settings: JobSettings | undefined,
  shared?: SharedRequest,
  known: readonly string[] = SETTINGS,
): PushJob | Promise<PushJob> {
  if (settings?.queue !== undefined) checkQueue(desk.definitions, name, settings.queue);
  const definition = definitionOf(desk.definitions, name);
  if (settings !== undefined) checkSettings(name, settings, desk.runtime.now(), known);
  const { bytes, verdict } = writePayload(desk, definition, payload);
  let job: PushJob;
  try {
    job = makeJob(desk, definition, bytes, settings, shared);
  } catch (error) {
    hush(verdict);
    throw error;
  }
  return verdict === undefined ? job : verdict.then(() => job);
}

function definitionOf(definitions: Definitions, name: string): Definition {
  const definition = definitions.get(name);
  if (definition !== undefined && definition.name === name) return definition;
  const form = typeof name === "object" ? "; write dispatch(name, payload, options)" : "";
  throw new UnknownJobError(shown(name), `there are ${definitions.names.join(", ") || "none"}${form}`);
}

function makeJob(
  { runtime, requestId }: Desk,
  definition: Definition,
  payload: Uint8Array,
  settings: JobSettings | undefined,
  shared: SharedRequest | undefined,
): PushJob {
  const { name, queue } = definition;
  const codec = definition.codec.id;
  const ambient = settings?.requestId ?? ambientId(requestId) ?? shared?.id;
  const version = definition.upcast?.last ?? 1;
  if (settings === undefined && codec === "json" && version === 1) {
    return { queue, id: runtime.id(), name, payload, meta: recordOf(ambient, shared) };
  }
  const meta: { -readonly [Key in keyof Meta]: Meta[Key] } = { v: RECORD_VERSION };
  if (codec !== "json") meta.codec = codec;
  if (version !== 1) meta.version = version;
  const given: JobSettings = settings ?? {};
  const { id, idWindow, delay, at, maxAttempts, timeout, backoff, headers } = given;
  // A job that may run at once was created when it was due first.
  if (at !== undefined || (delay !== undefined && delay > 0)) meta.createdAt = runtime.now();
  if (maxAttempts !== undefined) meta.maxAttempts = maxAttempts;
  if (timeout !== undefined) meta.timeout = timeout;
  if (backoff !== undefined) meta.backoff = backoff;
  if (headers !== undefined) meta.headers = checkHeaders(headers, `dispatch '${name}'`);
  // A generated id is the request's id too. One that the caller chose may come again, so the request gets its own.
  const request = ambient ?? (id === undefined ? undefined : runtime.id());
  if (request !== undefined) meta.requestId = request;
  return {
    queue: given.queue ?? queue,
    id: id ?? runtime.id(),
    name,
    payload,
    meta: textOf(meta),
    idWindow: id === undefined ? undefined : idWindow ?? ID_WINDOW,
    delay: delay !== undefined && delay > 0 ? delay : undefined,
    at: at === undefined ? undefined : Number(at),
  };
}

/** The record of a job that has a request id at most. */
function recordOf(requestId: string | undefined, shared: SharedRequest | undefined): string {
  if (requestId === undefined) return "";
  const kept: Pick<SharedRequest, "record"> = requestId === shared?.id ? shared : { record: undefined };
  return kept.record ??= writeMeta({ v: RECORD_VERSION, requestId });
}

/** A record that says nothing needs no text. */
function textOf(meta: Meta): string {
  for (const field in meta) if (field !== "v") return writeMeta(meta);
  return "";
}

/** Checked before the name: a caller that gave neither is told of the queue first (seed 004). */
function checkQueue(definitions: Definitions, name: string, queue: string): void {
  const topic = definitions.get(name)?.topic;
  if (topic !== undefined) {
    throw new TypeError(
      `Cannot dispatch '${name}' with 'queue' as its jobs go to the groups of topic '${topic}'`,
    );
  }
  const { queues } = definitions;
  if (!queues.has(queue)) throw new UnknownQueueError(shown(queue), [...queues]);
}

function checkSettings(name: string, settings: JobSettings, now: number, known: readonly string[]): void {
  const action = `dispatch '${name}'`;
  const { id, idWindow, onDuplicate, delay, at, maxAttempts, timeout, backoff, requestId } = settings;
  checkKnown(action, settings, known);
  if (id !== undefined) checkOwnId(id, action);
  if (idWindow !== undefined) {
    checkTime(action, "idWindow", idWindow);
    if (id === undefined) {
      throw new TypeError(`Cannot ${action} with 'idWindow' as it needs an 'id' of the caller's`);
    }
  }
  if (onDuplicate !== undefined) checkWord(action, "onDuplicate", onDuplicate, ["ignore", "throw"]);
  // A delay that is over already means at once, as it does for an instant in the past.
  if (delay !== undefined) {
    checkTime(action, "delay", typeof delay === "number" && delay < 0 && delay > -Infinity ? 0 : delay);
  }
  if (at !== undefined) checkInstant(action, at, now);
  if (delay !== undefined && at !== undefined) {
    throw new TypeError(`Cannot ${action} with both 'delay' and 'at': give one of them`);
  }
  if (maxAttempts !== undefined) checkInteger(action, "maxAttempts", maxAttempts, 1, Number.MAX_SAFE_INTEGER);
  if (timeout !== undefined) checkTime(action, "timeout", timeout, 1);
  if (backoff !== undefined) {
    if (typeof backoff !== "object" || backoff === null) {
      throw new TypeError(
        `Cannot ${action} as 'backoff' must be a policy that can travel, as exponential(5_000) or fixed(5_000): ` +
          `current value is ${quote(backoff)}`,
      );
    }
    checkBackoff(backoff, action);
  }
  if (requestId !== undefined) checkId(requestId, action, "requestId");
}

/** The request id of whatever the caller is doing, checked as one that is given. */
export function ambientId(requestId: Desk["requestId"]): string | undefined {
  const id: unknown = requestId?.();
  if (id === undefined) return undefined;
  hush(id);
  checkId(id as string, "dispatch", "requestId");
  return id as string;
}

function checkInstant(action: string, at: number | Date, now: number): void {
  const instant = typeof at === "number" || isDate(at) ? Number(at) : Number.NaN;
  if (instant >= -8.64e15 && instant <= now + MAX_DELAY) return;
  throw new RangeError(
    `Cannot ${action} as 'at' must be a Date or milliseconds since the epoch, at most a century from now: ` +
      `current value is ${quote(at)}`,
  );
}
