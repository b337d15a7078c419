/**
 * Every default and every limit of the core, each with its unit. Times are milliseconds.
 *
 * @module
 */

/** How often a worker looks whether its groups are bound still. */
export const BINDING_CHECK: number = 10_000;
/** Handlers that one worker runs at once. */
export const CONCURRENCY: number = 10;
/** The most handlers that one worker may run at once. */
export const MAX_CONCURRENCY: number = 100_000;
/** The longest wait of one reserve. */
export const POLL: number = 1_000;
/** How long a delivery is its worker's own unless extended. */
export const LEASE: number = 30_000;
/** A lease is extended when this part of it has gone by. */
export const HEARTBEAT_PART: number = 1 / 3;
/** How long handlers may go on after the worker's signal aborted. */
export const GRACE: number = 30_000;
/** How long a handler may go on after its own timeout aborted it. */
export const ABORT_GRACE: number = 5_000;
/** How long one call to a transport may take. */
export const CALL_TIMEOUT: number = 10_000;
/** Runs of a job in all. */
export const MAX_ATTEMPTS: number = 3;
/** The first retry's delay. */
export const BACKOFF_BASE: number = 5_000;
/** The longest delay that a backoff policy gives. */
export const BACKOFF_MAX: number = 600_000;
/** A retry's delay is lengthened by up to this part of itself. */
export const BACKOFF_JITTER: number = 0.1;
/** Lost leases that a job survives; one more, and it is dead. */
export const MAX_LOST: number = 3;
/** How long a caller's id is refused after its dispatch. */
export const ID_WINDOW: number = 120_000;
/** How long a job without a handler is released before it is dead. */
export const UNKNOWN_FOR: number = 3_600_000;
/** The shortest time between two releases of such a job. */
export const UNKNOWN_DELAY_MIN: number = 1_000;
/** The longest time between two releases of such a job. */
export const UNKNOWN_DELAY_MAX: number = 60_000;
/** UTF-8 bytes of a job's metadata, as it is read. */
export const MAX_META: number = 256 * 1024;
/** Levels of nesting in a job's metadata. */
export const MAX_META_DEPTH: number = 32;
/** Bytes of an encoded payload. */
export const MAX_PAYLOAD: number = 512 * 1024;
/** Bytes of a payload before compression. */
export const MAX_INFLATED: number = 8 * 1024 * 1024;
/** Bytes that a payload has at least where it is compressed. */
export const COMPRESS_FROM: number = 1_024;
/** Payloads that pass a relay's filters at once. */
export const MAX_FILTERING: number = 64;
/** Levels that a payload of JSON may have. */
export const MAX_DEPTH: number = 1_000;
/** Bytes that a transport's payload limit leaves to the metadata. */
export const META_RESERVE: number = 32 * 1024;
/** UTF-8 bytes of a stored error's message, and of its stack. */
export const MAX_ERROR_TEXT: number = 8 * 1024;
/** Jobs of one bulk dispatch. */
export const MAX_BULK: number = 10_000;
/** UTF-8 bytes of an id. */
export const MAX_ID: number = 1_024;
/** UTF-8 bytes of a queue's or a job's name. */
export const MAX_NAME: number = 255;
/** UTF-8 bytes of all names of a handler's listeners together. */
export const MAX_REMEMBERED: number = 2 * 1024;
/** UTF-8 bytes of all headers together. */
export const MAX_HEADERS: number = 8 * 1024;
/** The longest delay: a century. */
export const MAX_DELAY: number = 36_525 * 86_400_000;
/** Deliveries that a worker holds without having started them. */
export const MAX_PREFETCH: number = 500;
/** Settlements that may be under way before a worker fetches no more. */
export const MAX_UNSETTLED: number = 2_000;
/** Items of one batch to a transport, unless its own limit is lower. */
export const MAX_BATCH: number = 500;
/** Bytes of payload in one batch to a transport. */
export const MAX_BATCH_BYTES: number = 4 * 1024 * 1024;
/** Jobs of one page of a listing. */
export const PAGE: number = 100;
/** Jobs of one page that a caller may ask for. */
export const MAX_PAGE: number = 1_000;
/** Bytes of a payload that a listing shows. */
export const PREVIEW: number = 1_024;
/** The queue of a job that names none. */
export const QUEUE: string = "default";
