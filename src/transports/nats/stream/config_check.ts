/**
 * Streams and consumers that are there: whether they meet the needs of a queue, and how they differ from the caller's
 * options. They are never changed.
 *
 * @module
 */

import { TransportError } from "../../../errors.ts";
import type { Asked } from "../client/link.ts";
import type { QueueStream, StreamConfig } from "./queue_stream.ts";
import { pullFilters, type PullState } from "./subjects.ts";

/** A consumer, as the server has it. */
export interface ConsumerInfo {
  readonly config: {
    readonly filter_subject?: string;
    readonly filter_subjects?: readonly string[];
    readonly ack_wait?: number;
    readonly max_ack_pending?: number;
    readonly max_deliver?: number;
    readonly replay_policy?: string;
    readonly headers_only?: boolean;
    readonly max_batch?: number;
    readonly max_expires?: number;
    readonly max_bytes?: number;
  };
}

const NANOS = 1_000_000;
/** Leases at least for which a server remembers the ids of messages. */
export const WINDOW_LEASES = 10;
/** The beginning of the description of a stream of ours; the queue follows. */
export const DESCRIPTION = "Relevo queue ";

/** Features that a stream must allow, as its settings and in words. */
const ALLOWED: readonly (readonly [setting: keyof StreamConfig, what: string])[] = [
  ["allow_direct", "direct gets"],
  ["allow_rollup_hdrs", "rollup headers"],
  ["allow_msg_ttl", "messages with a time to live ('allow_msg_ttl')"],
  ["allow_msg_schedules", "messages with a schedule ('allow_msg_schedules')"],
  ["allow_atomic", "atomic batches ('allow_atomic')"],
];
/** Limits at which a stream drops its oldest messages, and in words. */
const LIMITS: readonly (readonly [setting: keyof StreamConfig, what: string])[] = [
  ["max_age", "maximum age"],
  ["max_msgs", "limit of messages"],
  ["max_bytes", "limit of bytes (set the option 'maxBytes' instead)"],
  ["max_msgs_per_subject", "limit of messages per subject"],
];

/** The queue of a stream of ours. */
export function queueOf(description: string | undefined): string | undefined {
  if (description === undefined || !description.startsWith(DESCRIPTION)) return undefined;
  try {
    const queue: unknown = JSON.parse(description.slice(DESCRIPTION.length));
    return typeof queue === "string" ? queue : undefined;
  } catch {
    return undefined;
  }
}

/** Settings that are not as a caller asked for, and those that lose jobs unasked. */
export function differencesOf(
  asked: Asked,
  { ackWait }: QueueStream,
  { num_replicas, storage }: StreamConfig,
): string[] {
  const differs: string[] = [];
  if (asked.replicas !== undefined && asked.replicas !== num_replicas) {
    differs.push(`it has ${num_replicas} replicas, and not ${asked.replicas}`);
  }
  if (storage !== (asked.storage ?? "file")) {
    const loses = storage === "memory" ? ", which loses jobs with the server" : "";
    differs.push(`its storage is '${storage}'${loses}, and not '${asked.storage ?? "file"}'`);
  }
  if (asked.ackWait !== undefined && asked.ackWait !== ackWait) {
    differs.push(`its consumers have an ack wait of ${ackWait} ms, and not ${asked.ackWait}`);
  }
  return differs;
}

/** Refuses a stream that does not meet the needs of a queue; the error says how it differs. */
export function checkStream({ stream, root, owner, ackWait }: QueueStream, config: StreamConfig): void {
  const described = queueOf(config.description);
  const window = (config.duplicate_window ?? 0) / NANOS;
  const forbidden = ALLOWED.find(([setting]) => config[setting] !== true);
  const limit = LIMITS.find(([setting]) => Number(config[setting] ?? 0) > 0);
  const differs = described !== undefined && described !== owner
    ? `it belongs to queue '${described}'`
    : config.mirror !== undefined
    ? `it is a mirror of '${config.mirror.name}'`
    : config.retention !== "workqueue"
    ? `its retention must be 'workqueue': current value is '${config.retention}'`
    : !(config.subjects ?? []).includes(`${root}>`)
    ? `its subjects must include '${root}>': current value is '${(config.subjects ?? []).join("', '")}'`
    : forbidden !== undefined
    ? `it must allow ${forbidden[1]}`
    : config.no_ack === true
    ? "it must acknowledge what it stores"
    : config.deny_delete === true || config.deny_purge === true
    ? "it must allow messages to be deleted and purged"
    : limit !== undefined
    ? `it must have no ${limit[1]}: jobs would be dropped`
    : window < WINDOW_LEASES * ackWait
    ? `its duplicate window must be at least ${WINDOW_LEASES * ackWait} ms: current value is ${window}`
    : undefined;
  if (differs !== undefined) throw incompatible(`stream '${stream}' for a queue`, differs);
}

/** Refuses a consumer that does not meet the needs of a state; else its `ack_wait` in milliseconds. */
export function checkConsumer(queueStream: QueueStream, state: PullState, { config }: ConsumerInfo): number {
  const { filter_subject: one, filter_subjects: several, max_ack_pending: pending = 0 } = config;
  const { max_deliver: most = -1, replay_policy: replay = "instant" } = config;
  const bounds = [config.max_batch, config.max_expires, config.max_bytes];
  const filters = several ?? (one === undefined ? [] : [one]);
  const wanted = pullFilters(queueStream.base, state);
  const differs = filters.length !== wanted.length || wanted.some((filter) => !filters.includes(filter))
    ? `its subjects must be '${wanted.join("' and '")}': current value is '${filters.join("', '")}'`
    : pending !== -1
    ? `its 'max_ack_pending' must be -1: current value is ${pending}`
    : replay !== "instant"
    ? `its replay policy must be 'instant': current value is '${replay}'`
    : config.headers_only === true
    ? "it must hand over whole messages, and not their headers only"
    : bounds.some((bound = 0) => bound > 0)
    ? "it must not limit what is asked of it at once: 'max_batch', 'max_expires' and 'max_bytes'"
    : most > 0
    ? `its 'max_deliver' must be -1, as the server would give jobs up: current value is ${most}. ` +
      "Set it to -1; how often a job runs is said by 'maxAttempts', how many leases it may lose by 'maxLost'"
    : undefined;
  if (differs === undefined) return (config.ack_wait ?? 0) / NANOS;
  throw incompatible(
    `consumer '${queueStream.consumers[state]}' of stream '${queueStream.stream}'`,
    differs,
  );
}

function incompatible(what: string, differs: string): TransportError {
  return new TransportError("TRANSPORT_INCOMPATIBLE", `Cannot use ${what} as ${differs}`);
}
