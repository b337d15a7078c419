/**
 * A worker's options, checked and completed.
 *
 * @module
 */

import { type Backoff, checkBackoff, exponential } from "../jobs/backoff.ts";
import {
  ABORT_GRACE,
  CONCURRENCY,
  GRACE,
  LEASE,
  MAX_ATTEMPTS,
  MAX_CONCURRENCY,
  MAX_LOST,
  MAX_PREFETCH,
  UNKNOWN_FOR,
} from "../defaults.ts";
import { checkQueueName, isTopicQueue } from "../names.ts";
import { checkInteger, checkKnown, checkTime, checkWord, quote } from "../options.ts";
import type { Transport } from "../contract/transport.ts";

/** How a worker works. Times are milliseconds. */
export interface WorkerOptions {
  /** Handlers that run at once. Default 10. */
  readonly concurrency?: number | undefined;
  /**
   * The longest wait for a job before the worker asks again. Default 1,000; once there was nothing to do on a transport
   * that no other process uses, as long as it takes: such a store tells of everything by itself.
   */
  readonly poll?: number | undefined;
  /**
   * The delay before a failed job's next run, where neither the job nor its definition says. Default `exponential()`.
   */
  readonly backoff?: Backoff | undefined;
  /**
   * Runs of a job in all, the first counts, where neither the job nor its definition says. Default: what the transport
   * says (`maxRetries` of Redis, `maxDeliver` of NATS), else 3.
   */
  readonly maxRetry?: number | undefined;
  /** How long a delivery is this worker's own; extended at a third of that. At least 10. Default 30,000. */
  readonly lease?: number | undefined;
  /** How long handlers may go on after the signal of `run` aborted. Default 30,000. */
  readonly grace?: number | undefined;
  /** How long a handler may go on after its job's own timeout. Default 5,000. */
  readonly abortGrace?: number | undefined;
  /**
   * Lost leases that a job survives; one more, and it is dead in `timeout`, its reason `lost`. 0: none. Jobs that the
   * next one would kill run one at a time, so that none dies of another's fault. Default 3.
   */
  readonly maxLost?: number | undefined;
  /** A name without a handler here: released for `unknownFor`, `dead` at once, or `drop`ped. Default `retry`. */
  readonly unknown?: "retry" | "dead" | "drop" | undefined;
  /** How long such a job is released before it is dead. Default 3,600,000. */
  readonly unknownFor?: number | undefined;
  /** A payload that its schema refuses: `dead` at once, or treated like an unknown name. Default `dead`. */
  readonly invalid?: "dead" | "retry" | undefined;
  /**
   * The queues to consume, round robin; a group's is named `topic@group`. One that neither a definition nor the store
   * knows when it is found empty is told as an `error` event. Default: those of all names that have a handler.
   */
  readonly queues?: readonly string[] | undefined;
  /** Deliveries that may be held beyond the running ones; 0: none. Never more than finish soon. Default 500. */
  readonly prefetch?: number | undefined;
}

/** Options with nothing left open. */
export type Settings =
  & {
    readonly [Option in Exclude<keyof WorkerOptions, "queues" | "poll">]-?: Exclude<
      WorkerOptions[Option],
      undefined
    >;
  }
  & { readonly queues: readonly string[] | undefined; readonly poll: number | undefined };

/** The settings of a worker without options; `maxAttempts` is that of its transport. */
export function defaultSettings({ maxAttempts = MAX_ATTEMPTS }: Pick<Transport, "maxAttempts">): Settings {
  return {
    concurrency: CONCURRENCY,
    poll: undefined,
    backoff: exponential(),
    maxRetry: maxAttempts,
    lease: LEASE,
    grace: GRACE,
    abortGrace: ABORT_GRACE,
    maxLost: MAX_LOST,
    unknown: "retry",
    unknownFor: UNKNOWN_FOR,
    invalid: "dead",
    queues: undefined,
    prefetch: MAX_PREFETCH,
  };
}

/**
 * Lays options over settings. `beside` are those that the call takes apart from them, for a message that lists all.
 *
 * @throws {TypeError | RangeError} for an option that is wrong or unknown; the settings stay as they were.
 */
export function withOptions(
  settings: Settings,
  options: WorkerOptions,
  action: string,
  beside: readonly string[] = [],
): Settings {
  if (typeof options === "string" || typeof options === "function") {
    throw new TypeError(
      `Cannot ${action} as its options must be an object: current value is ${quote(options)}; ` +
        "relay.handle(name, handler) registers a handler",
    );
  }
  checkKnown(action, options, [...Object.keys(settings), ...beside]);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const merged: Settings = { ...settings, ...given };
  checkInteger(action, "concurrency", merged.concurrency, 1, MAX_CONCURRENCY);
  checkInteger(action, "maxRetry", merged.maxRetry, 1, Number.MAX_SAFE_INTEGER);
  checkInteger(action, "maxLost", merged.maxLost, 0, Number.MAX_SAFE_INTEGER);
  checkInteger(action, "prefetch", merged.prefetch, 0, MAX_PREFETCH);
  if (merged.poll !== undefined) checkTime(action, "poll", merged.poll, 1);
  checkTime(action, "lease", merged.lease, 10);
  checkTime(action, "grace", merged.grace);
  checkTime(action, "abortGrace", merged.abortGrace);
  checkTime(action, "unknownFor", merged.unknownFor);
  checkWord(action, "unknown", merged.unknown, ["retry", "dead", "drop"]);
  checkWord(action, "invalid", merged.invalid, ["dead", "retry"]);
  if (typeof merged.backoff !== "function") checkBackoff(merged.backoff, action);
  if (merged.queues !== undefined) {
    if (!Array.isArray(merged.queues) || merged.queues.length === 0) {
      throw new TypeError(
        `Cannot ${action} as 'queues' must be a non-empty list of names: current value is ${
          Array.isArray(merged.queues) ? "empty" : quote(merged.queues)
        }`,
      );
    }
    for (const queue of merged.queues) {
      checkQueueName(queue, action);
      if (!isTopicQueue(queue)) continue;
      throw new TypeError(
        `Cannot ${action} as each of 'queues' must be a plain one or a group's: current value is '${queue}'`,
      );
    }
  }
  return merged;
}
