/**
 * The meaning of the server's and the client's errors.
 *
 * @module
 */

import { messageOf, RelevoError, TransportError, TransportFull } from "../../../errors.ts";
import { permissionOf } from "../../../permission.ts";

/** An error as the JetStream API answers it. */
export interface ApiFault {
  readonly code: number;
  readonly err_code?: number | undefined;
  readonly description?: string | undefined;
}

/** The server's numbers of the faults that this transport handles. */
export const FAULT = {
  consumerNotFound: 10014,
  sequenceNotFound: 10043,
  deleteFailed: 10057,
  noMessage: 10037,
  streamNotFound: 10059,
  streamNameInUse: 10058,
  subjectsOverlap: 10065,
  wrongLastId: 10070,
  wrongLastSequence: 10071,
  /** The same of a cluster, where another write to the subject is under way. */
  otherLastSequence: 10164,
  idInProcess: 10158,
  duplicateInBatch: 10201,
  /** A message of a batch was refused, or it was dropped: nothing of it is stored. */
  incompleteBatch: 10176,
} as const;

/** The fault of a cluster that lacks servers for the copies of a stream: one may be about to come back. */
const NO_PEERS = 10005;
/** The faults of a cluster that chooses a leader: the same may be asked again, as nothing was done. */
const PASSING: ReadonlySet<number> = new Set([10004, 10008, 10009, 10163]);

const FULL: ReadonlySet<number> = new Set([
  10002,
  10023,
  10026,
  10027,
  10028,
  10047,
  10077,
  10122,
  10167,
]);
const OFF: ReadonlySet<number> = new Set([10008, 10035, 10039, 10076]);

/** The causes that keep a connection from being made, by the words in which the runtimes and the client tell it. */
const KINDS: readonly (readonly [words: RegExp, kind: string])[] = [
  [/refused|tcp connect error|failed to connect$/i, "connection refused"],
  [/resolve|ENOTFOUND|dns/i, "its name cannot be resolved"],
  [/altname|not ?valid ?for ?name/i, "its certificate is another host's"],
  [/certificate|self.signed/i, "its certificate is not trusted"],
  [/does not support 'tls'|wrong.version.number|InvalidContentType/i, "it does not speak TLS"],
  [
    /^$|non-101/,
    "its WebSocket was refused, or its certificate is not trusted: the runtime does not say which",
  ],
];

/** A push or a move whose answer was lost: whether it was stored is unknown. */
export class AnswerLost extends Error {
  override readonly name: string = "AnswerLost";

  constructor(cause: unknown) {
    super(`The link to the server was lost before it answered: ${messageOf(cause)}`, { cause });
  }
}

/** Messages that belong together, of which a part is stored, or may be. */
export class HalfStored extends Error {
  override readonly name: string = "HalfStored";

  constructor(cause: unknown) {
    super(`A part of what belongs together may be stored: ${messageOf(cause)}`, { cause });
  }
}

/** The server's refusal, with its number. */
export class ApiError extends Error {
  override readonly name: string = "ApiError";
  readonly fault: number;

  constructor({ err_code, code, description = "" }: ApiFault) {
    super(`${description} (${err_code ?? code})`);
    this.fault = err_code ?? code;
  }
}

/** Whether an error is one of the server's with this number. */
export function isFault(error: unknown, fault: number): boolean {
  return error instanceof ApiError && error.fault === fault;
}

/** Whether an error says that a message which was to be deleted is not there any more. */
export function isGone(error: unknown): boolean {
  return [FAULT.sequenceNotFound, FAULT.deleteFailed, FAULT.noMessage].some((fault) => isFault(error, fault));
}

/** This library's error for a server's refusal. `what` completes "Cannot ...". */
export function refusal(fault: ApiFault, what: string): Error {
  const cause = new ApiError(fault);
  const { description = "", err_code: code = 0 } = fault;
  if (FULL.has(code) || /maximum (messages|bytes)|insufficient|limit/i.test(description)) {
    return new TransportFull(`Cannot ${what} as a limit of the server is reached: ${cause.message}`, {
      cause,
    });
  }
  if (OFF.has(code)) {
    return unavailable(`Cannot ${what} as the account has no JetStream: ${cause.message}`, cause);
  }
  if (fault.code === 503) {
    return unavailable(`Cannot ${what} as JetStream does not answer: ${cause.message}`, cause);
  }
  if (code === NO_PEERS) {
    return unavailable(`Cannot ${what} as too few servers are there for its copies: ${cause.message}`, cause);
  }
  return new TransportError(
    "TRANSPORT_INCOMPATIBLE",
    `Cannot ${what} as the server refused: ${cause.message}`,
    {
      cause,
    },
  );
}

/** A stream or a consumer of a queue is not there any more: the next call checks anew. */
export class StreamGone extends TransportError {
  constructor(what: string, why: string) {
    super("TRANSPORT_UNAVAILABLE", `Cannot ${what} as ${why}`);
  }
}

/** No server answers where JetStream should. */
export class NoResponders extends StreamGone {
  constructor(what: string) {
    super(what, "no server answers for it: JetStream is off, or the stream is gone");
  }
}

/** Whether the server refused something only because a leader is being chosen. */
export function isPassing(error: unknown): boolean {
  return error instanceof ApiError && PASSING.has(error.fault);
}

/** Whether too few servers are there, or none that answers, which may be so for a moment where one has just begun. */
export function isShort(error: unknown): boolean {
  return error instanceof NoResponders || isFault(error, NO_PEERS);
}

/** Whether an error says that there is no JetStream for this account. */
export function isOff(error: unknown): boolean {
  return error instanceof ApiError && OFF.has(error.fault) && !PASSING.has(error.fault);
}

/** Whether an error says that a stream or a consumer which was there is not. */
export function isStreamGone(error: unknown): boolean {
  return error instanceof StreamGone || isFault(error, FAULT.streamNotFound) ||
    isFault(error, FAULT.consumerNotFound);
}

/** A refusal of the API as this library's error; any other error as it is. */
export function typed(error: unknown, what: string): unknown {
  if (!(error instanceof ApiError)) return error;
  if (isStreamGone(error)) return new StreamGone(what, `it is gone: ${error.message}`);
  return refusal({ code: 0, err_code: error.fault, description: error.message }, what);
}

/** A store that cannot be reached. */
export function unavailable(message: string, cause?: unknown): TransportError {
  return new TransportError("TRANSPORT_UNAVAILABLE", message, cause === undefined ? undefined : { cause });
}

/** The error of a connection that cannot be made; nothing of a URL is in its message. */
export function connectFault(error: unknown): Error {
  if (error instanceof RelevoError || error instanceof RangeError || error instanceof TypeError) return error;
  const name = error instanceof Error ? error.name : "";
  if (/Authorization|Authentication|Permission/.test(name) || /authoriz|authent/i.test(messageOf(error))) {
    return unavailable("Cannot connect to NATS as the server refused the credentials", error);
  }
  if (name === "TimeoutError") {
    return unavailable("Cannot connect to NATS as no server answered in time", error);
  }
  return unavailable(`Cannot connect to NATS: ${kindOf(error)}`, error);
}

function kindOf(error: unknown): string {
  const missing = permissionOf(error);
  if (missing !== undefined) return missing;
  const message = messageOf(error);
  const [, kind] = KINDS.find(([words]) => words.test(message)) ?? [];
  return kind ?? (error instanceof Error ? error.name : "unknown");
}
