/**
 * The errors that a caller may want to catch, each with a stable `code`.
 *
 * A mistake of the caller ends in `Error`; a state of the world is named by that state. An option that is simply
 * wrong is a built-in `TypeError` or `RangeError` whose message says the action, the value wanted and the value given.
 * No message holds a payload or a credential.
 *
 * @module
 */

import type { ErrorCode } from "./error_codes.ts";
import { type Issue, placesOf } from "./issues.ts";

/** The family: whatever Relevo itself rejects with, but for wrong options. */
export class RelevoError extends Error {
  /** The name of the class, also where a bundler renames it. */
  override readonly name: string = "RelevoError";
  /** Tells errors apart for programs; stable across versions. */
  readonly code: ErrorCode;

  /** Takes a code of its own; the subclasses set theirs. */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A payload that its schema refuses, with every issue. */
export class InvalidPayloadError extends RelevoError {
  /** `InvalidPayloadError`, also where a bundler renames the class. */
  override readonly name: string = "InvalidPayloadError";
  /** At least one, in the order in which the schema gave them. */
  readonly issues: readonly Issue[];

  /**
   * `job` is the job's name. The message tells where each issue is and which type was expected there, and no more: the
   * words of schemas often repeat the value, and messages go into logs. `advice` ends the message, where there is one.
   */
  constructor(job: string, issues: readonly Issue[], advice = "") {
    super(
      "INVALID_PAYLOAD",
      `The payload of '${job}' does not fit its schema at ${placesOf(issues)}` +
        (advice === "" ? "" : ` ${advice}`),
    );
    this.issues = issues;
  }
}

/** A value that its codec cannot write; `cause` says why. */
export class UnencodableError extends RelevoError {
  /** `UnencodableError`, also where a bundler renames the class. */
  override readonly name: string = "UnencodableError";

  /** `job` is the job's name, `cause` the error of the codec. */
  constructor(job: string, cause: unknown) {
    super("UNENCODABLE", `Cannot encode the payload of '${job}': ${messageOf(cause)}`, { cause });
  }
}

/** Stored bytes that no codec here can read; `cause` says why. */
export class UndecodableError extends RelevoError {
  /** `UndecodableError`, also where a bundler renames the class. */
  override readonly name: string = "UndecodableError";

  /** `job` is the job's name, `cause` the error of the codec. */
  constructor(job: string, cause: unknown) {
    super("UNDECODABLE", `Cannot decode the payload of '${job}': ${messageOf(cause)}`, { cause });
  }
}

/** A payload, or a job with its metadata, that is over its limit in bytes. */
export class TooLargeError extends RelevoError {
  /** `TooLargeError`, also where a bundler renames the class. */
  override readonly name: string = "TooLargeError";
  /** Bytes that it has. */
  readonly size: number;
  /** Bytes that it may have. */
  readonly limit: number;

  /** `what` is told in the message; `size` and `limit` are bytes. */
  constructor(what: string, size: number, limit: number) {
    super("TOO_LARGE", `Cannot store ${what} as it must be at most ${limit} bytes: current size is ${size}`);
    this.size = size;
    this.limit = limit;
  }
}

/** A name that no definition, or no handler here, knows. */
export class UnknownJobError extends RelevoError {
  /** `UnknownJobError`, also where a bundler renames the class. */
  override readonly name: string = "UnknownJobError";
  /** The unknown name. */
  readonly job: string;

  /** `job` is the name; `wanted` ends the message, with the names that there are instead. */
  constructor(job: string, wanted: string) {
    super("UNKNOWN_JOB", `Unknown job '${job}': ${wanted}`);
    this.job = job;
  }
}

/** A queue that no definition names, nor, where jobs are looked for, the store. */
export class UnknownQueueError extends RelevoError {
  /** `UnknownQueueError`, also where a bundler renames the class. */
  override readonly name: string = "UnknownQueueError";
  /** The queue that was asked for. */
  readonly queue: string;

  /** `known` are the queues that the message offers instead; `action` completes "Cannot ...". */
  constructor(queue: string, known: readonly string[], action: string = `dispatch to queue '${queue}'`) {
    const named = action.includes(`'${queue}'`) ? "it" : `the queue '${queue}'`;
    super(
      "UNKNOWN_QUEUE",
      `Cannot ${action} as no definition ${
        action.startsWith("dispatch") ? `names ${named}` : `and no job in the store names ${named}`
      }: there are ${known.slice(0, 20).join(", ")}${known.length > 20 ? " and others" : ""}`,
    );
    this.queue = queue;
  }
}

/** A schedule that is not there. */
export class UnknownScheduleError extends RelevoError {
  /** `UnknownScheduleError`, also where a bundler renames the class. */
  override readonly name: string = "UnknownScheduleError";
  /** The key that was asked for. */
  readonly key: string;

  /** `queue` is the one that was looked at; absent: all of them. */
  constructor(key: string, queue?: string) {
    super("UNKNOWN_SCHEDULE", `There is no schedule '${key}'${queue === undefined ? "" : ` in '${queue}'`}`);
    this.key = key;
  }
}

/** An id that a live job, or one dispatched within its `idWindow`, holds. */
export class DuplicateJobError extends RelevoError {
  /** `DuplicateJobError`, also where a bundler renames the class. */
  override readonly name: string = "DuplicateJobError";
  /** The id that is taken; the job that holds it was left alone. */
  readonly id: string;

  /** `id` is the one that is taken, `queue` where it is. */
  constructor(id: string, queue: string) {
    super("DUPLICATE_JOB", `Cannot dispatch job '${id}' to queue '${queue}' as its id is taken`);
    this.id = id;
  }
}

/** One job of a bulk dispatch that was refused, or of which it is unknown whether it was stored. */
export interface BulkFailure {
  /** Its place in the array that was dispatched, from 0. */
  readonly index: number;
  /**
   * Why it was refused; where all or nothing was asked for, a taken id is a `DuplicateJobError` too. `OutcomeUnknown`: it
   * may have been stored.
   */
  readonly error: Error;
}

/**
 * A bulk dispatch of which at least one job was refused or may not have been stored; `failures` says which and why, the
 * message counts both apart.
 */
export class BulkRefusedError extends RelevoError {
  /** `BulkRefusedError`, also where a bundler renames the class. */
  override readonly name: string = "BulkRefusedError";
  /** At least one, in the order of the array that was dispatched. */
  readonly failures: readonly BulkFailure[];
  /** How many of the others were stored. */
  readonly stored: number;

  /** `total` is how many jobs were dispatched; the first failure's error becomes the `cause`. */
  constructor(failures: readonly BulkFailure[], total: number, stored: number) {
    const first = failures[0];
    const example = first === undefined ? "" : `; at index ${first.index}: ${first.error.message}`;
    const unknown = failures.filter(({ error }) => error instanceof OutcomeUnknown).length;
    super(
      "BULK_REFUSED",
      `Refused ${failures.length - unknown} of ${total} jobs, stored ${stored}` +
        (unknown === 0 ? "" : `, unknown whether stored: ${unknown}`) + example,
      first === undefined ? undefined : { cause: first.error },
    );
    this.failures = failures;
    this.stored = stored;
  }
}

/**
 * Jobs that were to be stored all or none, and are more than the transport stores so: its `limits.atomic` says how many
 * messages, all of one queue or topic. Nothing was stored.
 */
export class AtomicLimitError extends RelevoError {
  /** `AtomicLimitError`, also where a bundler renames the class. */
  override readonly name: string = "AtomicLimitError";
  /** Messages that a batch may have: the transport's `limits.atomic`. */
  readonly limit: number;

  /** `found` ends the message: the things of which there are too many, and how many. */
  constructor(limit: number, found: string) {
    super(
      "ATOMIC_LIMIT",
      `Cannot push jobs with 'atomic' as a batch must have at most ${limit} messages of one queue or topic, a copy for ` +
        `each group counted ('limits.atomic'): current value is ${found}`,
    );
    this.limit = limit;
  }
}

/** A dispatch that may or may not have been stored: the answer did not come. Repeat it with the same id to be sure. */
export class OutcomeUnknown extends RelevoError {
  /** `OutcomeUnknown`, also where a bundler renames the class. */
  override readonly name: string = "OutcomeUnknown";
  /** The job's id, generated or the caller's, to repeat the dispatch with. */
  readonly id: string;

  /** `cause` is the event that came instead of an answer: a deadline, an abort, a lost connection. */
  constructor(id: string, cause: unknown) {
    super("OUTCOME_UNKNOWN", `Whether job '${id}' was stored is unknown: ${messageOf(cause)}`, { cause });
    this.id = id;
  }
}

/** A delivery whose lease went to another, so that it may settle nothing any more. */
export class LeaseLost extends RelevoError {
  /** `LeaseLost`, also where a bundler renames the class. */
  override readonly name: string = "LeaseLost";
  /** The job whose lease was lost; it may be running elsewhere. */
  readonly id: string;

  /** `id` is the job's. */
  constructor(id: string) {
    super("LEASE_LOST", `The lease of job '${id}' is lost: another worker may be running it`);
    this.id = id;
  }
}

/** A run that took longer than its job's `timeout`; the reason of its signal. */
export class JobTimeout extends RelevoError {
  /** `JobTimeout`, also where a bundler renames the class. */
  override readonly name: string = "JobTimeout";
  /** Milliseconds that it had. */
  readonly timeout: number;

  /** `job` is the job's name, `timeout` the milliseconds that the run had. */
  constructor(job: string, timeout: number) {
    super("JOB_TIMEOUT", `A run of '${job}' took longer than its timeout of ${timeout} ms`);
    this.timeout = timeout;
  }
}

/** A job settled inside a transaction of the handler's that was not committed when the handler ended. */
export class NotCommitted extends RelevoError {
  /** `NotCommitted`, also where a bundler renames the class. */
  override readonly name: string = "NotCommitted";

  /** `id` is the job's, whose run counts as failed. */
  constructor(id: string) {
    super(
      "NOT_COMMITTED",
      `Job '${id}' was settled in a transaction that was not committed when its handler ended`,
    );
  }
}

/** A call that did not end within its deadline. */
export class DeadlineExceeded extends RelevoError {
  /** `DeadlineExceeded`, also where a bundler renames the class. */
  override readonly name: string = "DeadlineExceeded";

  /** `action` completes "Cannot ..."; `deadline` is in milliseconds, and told in whole ones. */
  constructor(action: string, deadline: number) {
    super("DEADLINE_EXCEEDED", `Cannot ${action} within ${Math.max(0, Math.round(deadline))} ms`);
  }
}

/** A call to a relay that was closed. */
export class RelayClosed extends RelevoError {
  /** `RelayClosed`, also where a bundler renames the class. */
  override readonly name: string = "RelayClosed";

  /** `action` completes "Cannot ...". */
  constructor(action: string) {
    super("RELAY_CLOSED", `Cannot ${action} as the relay is closed`);
  }
}

/** A call to a transport that was closed, or was closed during it. */
export class TransportClosed extends RelevoError {
  /** `TransportClosed`, also where a bundler renames the class. */
  override readonly name: string = "TransportClosed";

  /** `transport` is the transport's `name`. */
  constructor(transport: string) {
    super("TRANSPORT_CLOSED", `The ${transport} transport is closed`);
  }
}

/** A store that others kept locked until the call's deadline. */
export class TransportBusy extends RelevoError {
  /** `TransportBusy`, also where a bundler renames the class. */
  override readonly name: string = "TransportBusy";

  /** `message` names the store and no credential; `options.cause` is the driver's error. */
  constructor(message: string, options?: ErrorOptions) {
    super("TRANSPORT_BUSY", message, options);
  }
}

/** A store that takes no more: its disk, its memory or its limit is full. Nothing was stored. */
export class TransportFull extends RelevoError {
  /** `TransportFull`, also where a bundler renames the class. */
  override readonly name: string = "TransportFull";

  /** `message` names the store and no credential; `options.cause` is the driver's error. */
  constructor(message: string, options?: ErrorOptions) {
    super("TRANSPORT_FULL", message, options);
  }
}

/** The other faults that keep a store from working, told apart by `code`. */
export type TransportFault =
  | "TRANSPORT_READ_ONLY"
  | "TRANSPORT_FORBIDDEN"
  | "TRANSPORT_CORRUPT"
  | "TRANSPORT_INCOMPATIBLE"
  | "TRANSPORT_UNAVAILABLE";

/**
 * A store that cannot be used: read-only, without the rights that are needed (`TRANSPORT_FORBIDDEN`), corrupt, made by
 * another version, or not there.
 */
export class TransportError extends RelevoError {
  /** `TransportError`, also where a bundler renames the class. */
  override readonly name: string = "TransportError";

  /** `code` says which fault; `message` names the store and no credential; `options.cause` is the driver's error. */
  constructor(code: TransportFault, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** A worker whose process was too busy to extend its leases in time; reported as an event, never thrown. */
export class HeartbeatLate extends RelevoError {
  /** `HeartbeatLate`, also where a bundler renames the class. */
  override readonly name: string = "HeartbeatLate";
  /** Milliseconds between two heartbeats. */
  readonly gap: number;

  /** `gap` and `lease` are milliseconds; told when `gap` is the longer. */
  constructor(gap: number, lease: number) {
    super(
      "HEARTBEAT_LATE",
      `Leases of ${lease} ms were not extended for ${gap} ms: something blocks this thread`,
    );
    this.gap = gap;
  }
}

/** The message of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  try {
    // Any program may have put something else there.
    if (thrown instanceof Error) return String(thrown.message);
    const { message }: { readonly message?: unknown } = Object(thrown);
    if (typeof thrown === "object" && typeof message === "string" && message !== "") return message;
    const text = String(thrown);
    if (typeof thrown !== "object" || !text.startsWith("[object ")) return text;
  } catch {
    // A value that cannot be shown has no message.
  }
  return "an object without a message was thrown";
}

/** Whatever was thrown, as an `Error`. */
export function errorOf(thrown: unknown): Error {
  return isError(thrown) ? thrown : new Error(messageOf(thrown), { cause: thrown });
}

function isError(value: unknown): value is Error {
  try {
    return value instanceof Error;
  } catch {
    // A revoked proxy.
    return false;
  }
}

/**
 * The error that a run failed by, and behind it the fault of the code that was to decide about it: by the fault alone an
 * operator would look in the wrong place. Name and code are the error's own, and its stack is there.
 */
export function withFault(thrown: unknown, of: string, fault: unknown): Error {
  const error = errorOf(thrown);
  const both = new Error(`${error.message}; ${of} failed too: ${messageOf(fault)}`, { cause: thrown });
  both.stack = `${error.name}: ${both.message}\nCaused by: ${error.stack ?? error.name}`;
  const code: unknown = "code" in error ? error.code : undefined;
  return Object.assign(both, { name: error.name }, code === undefined ? {} : { code });
}
