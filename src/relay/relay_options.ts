/**
 * The options of a relay, and their checks.
 *
 * @module
 */

import type { Codec } from "../payload/codec.ts";
import type { Jobs } from "../jobs/definitions.ts";
import type { Log } from "../events/log.ts";
import type { AnyMiddleware } from "../sides/middleware.ts";
import { checkBoolean, checkKnown, quote, wrongType } from "../options.ts";
import { hush, isPromise } from "../promises.ts";
import type { Runtime } from "../runtime.ts";
import type { RecurrenceKind } from "../jobs/schedule.ts";
import type { Transport } from "../contract/transport.ts";

/** The options of a relay. */
export interface RelayOptions<
  J extends Jobs,
  Use extends readonly AnyMiddleware[] = readonly AnyMiddleware[],
> {
  /** The jobs: any Standard Schema, or one with options, under each name. */
  readonly jobs: J;
  /** Where jobs are kept. Default: the memory of this process. */
  readonly transport?: Transport | undefined;
  /** Codecs that records may name beside those of the definitions, `json` and `raw`. Default: none. */
  readonly codecs?: readonly Codec[] | undefined;
  /** Bytes of an encoded payload. Default 524,288, or the transport's own limit if that is less. */
  readonly maxPayload?: number | undefined;
  /** Milliseconds that one call to the transport, or a schema or filter that waits, may take. Default 10,000. */
  readonly callTimeout?: number | undefined;
  /**
   * Jobs that may be under way to the store at once; a dispatch beyond them waits for room in its turn, and rejects
   * with `TransportBusy` after `callTimeout`. A bulk counts its jobs. Dispatches in a transaction do not wait. Default:
   * no limit.
   */
  readonly maxPending?: number | undefined;
  /** The request id of whatever dispatches, from a context of the user's own. Default: none. */
  readonly requestId?: (() => string | undefined) | undefined;
  /** Kinds of recurrences beside `every` whose ticks its workers push, such as `[cron]`. Default: none. */
  readonly recurrences?: readonly RecurrenceKind[] | undefined;
  /** Clock, timers and randomness; for tests. Default: the real ones. */
  readonly runtime?: Runtime | undefined;
  /**
   * Where the relay writes its events: `false`: nowhere; a logger: everything, at its level; else the console: one line
   * for each `failed`, `error`, `connection` and `queue` event of a type that the program does not listen to, at most
   * ten a second of each type and then their count. Default: the console, and silent with a runtime that prints nothing.
   */
  readonly log?: Log | undefined;
  /**
   * Jobs run in the caller, as in a test or a script: a dispatch runs the handlers with validation, codec and
   * middleware, resolves with `done` after the last, at once where there is none, and rejects with the first error.
   * Nothing is stored, so `delay`, `at` and `transaction` are refused, and so is a handler's reschedule. Default false.
   */
  readonly inline?: boolean | undefined;
  /** Middlewares around every run and every dispatch; the first is outermost. Default: none. */
  readonly use?: Use | undefined;
}

const KNOWN = [
  "jobs",
  "transport",
  "codecs",
  "maxPayload",
  "callTimeout",
  "maxPending",
  "requestId",
  "recurrences",
  "runtime",
  "log",
  "use",
  "inline",
];

/** Refuses options that nothing reads. */
export function checkNames(action: string, options: object): void {
  checkKnown(action, options, KNOWN);
}

/** A promise of a transport is none yet: a program that forgets to await `connect` is told so. */
export function checkParts(
  action: string,
  { codecs, requestId, inline }: Pick<RelayOptions<Jobs>, "codecs" | "requestId" | "inline">,
  transport: unknown,
): void {
  const { push, reserve, limits, features }: Partial<Transport> = Object(transport);
  if (
    typeof push !== "function" || typeof reserve !== "function" || limits === undefined ||
    features === undefined
  ) {
    hush(transport);
    const given = isPromise(transport) ? "a promise of one: await it" : quote(transport);
    throw new TypeError(`Cannot ${action} as 'transport' must be a transport: current value is ${given}`);
  }
  if (inline !== undefined) checkBoolean(action, "inline", inline);
  if (codecs !== undefined && !Array.isArray(codecs)) {
    throw wrongType(action, "'codecs'", "a list of codecs", codecs);
  }
  if (requestId !== undefined && typeof requestId !== "function") {
    throw wrongType(action, "'requestId'", "a function", requestId);
  }
}
