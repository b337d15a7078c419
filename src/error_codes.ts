/**
 * The codes of errors, each with its meaning: docs/reference/errors.md shows these comments.
 *
 * @module
 */

/** The stable codes, for programs; messages are for people and may change. */
export type ErrorCode =
  /** The schema refuses the payload; `issues` has every reason. */
  | "INVALID_PAYLOAD"
  /** The codec cannot write the payload. */
  | "UNENCODABLE"
  /** The codec cannot read the stored bytes; found in dead letters. */
  | "UNDECODABLE"
  /** The payload was encrypted with `key`, which the key ring here does not have. */
  | "UNKNOWN_KEY"
  /** The payload has a `version` that the definition here does not read. */
  | "PAYLOAD_VERSION"
  /** A step of the definition's `upcast` threw; `step` is its number. */
  | "UPCAST_FAILED"
  /** The payload, or the job with its metadata, has `size` bytes, and may have `limit`. */
  | "TOO_LARGE"
  /** No definition, or no handler here, has this name. */
  | "UNKNOWN_JOB"
  /** No definition names this queue, nor, where jobs are looked for, the store. */
  | "UNKNOWN_QUEUE"
  /** There is no schedule with this key. */
  | "UNKNOWN_SCHEDULE"
  /** The id is taken, and `onDuplicate` is `"throw"`. */
  | "DUPLICATE_JOB"
  /** At least one job of a bulk dispatch was refused, or it is unknown whether it was stored; `failures` has each. */
  | "BULK_REFUSED"
  /** A bulk dispatch with `atomic` is more than the transport stores all or none (`limits.atomic`); `limit` is how many. */
  | "ATOMIC_LIMIT"
  /** The answer did not come: the job may be stored. Repeat it with the same `id`. */
  | "OUTCOME_UNKNOWN"
  /** Another worker may be running the job. */
  | "LEASE_LOST"
  /** A run took longer than its `timeout`. */
  | "JOB_TIMEOUT"
  /** The handler settled in a transaction that it did not commit. */
  | "NOT_COMMITTED"
  /** A call did not end within its deadline. */
  | "DEADLINE_EXCEEDED"
  /** The relay is closed. */
  | "RELAY_CLOSED"
  /** The transport is closed. */
  | "TRANSPORT_CLOSED"
  /** Others kept the store locked until the call's deadline. */
  | "TRANSPORT_BUSY"
  /** The store takes no more; nothing was stored. */
  | "TRANSPORT_FULL"
  /** The store can be read, and not written. */
  | "TRANSPORT_READ_ONLY"
  /** The user of the store may not do this, or the server does not know a command that is needed; the message names it. */
  | "TRANSPORT_FORBIDDEN"
  /** The store is corrupt, or is no store. */
  | "TRANSPORT_CORRUPT"
  /** The store was made by another version. */
  | "TRANSPORT_INCOMPATIBLE"
  /** The store cannot be reached, opened or written. */
  | "TRANSPORT_UNAVAILABLE"
  /** Leases were extended too late, as something blocks this thread; only as an `error` event. */
  | "HEARTBEAT_LATE";
