/**
 * Streams and consumers that are there: whether they can do what a queue needs, and how they differ from what was asked
 * for. They are never changed.
 *
 * @module
 */

import { TransportError } from "../../errors.ts";
import type { Line } from "./names.ts";
import type { Asked } from "./options.ts";
import type { Place } from "./place.ts";

/** A stream, as the server has it. */
export interface StreamConfig {
  readonly name: string;
  readonly description?: string;
  readonly subjects?: readonly string[];
  readonly retention: string;
  readonly storage: string;
  readonly num_replicas: number;
  readonly max_age?: number;
  readonly discard?: string;
  readonly allow_direct?: boolean;
  readonly allow_rollup_hdrs?: boolean;
  readonly duplicate_window?: number;
  readonly max_msgs_per_subject?: number;
  readonly max_msg_size?: number;
  readonly no_ack?: boolean;
  readonly deny_delete?: boolean;
  readonly deny_purge?: boolean;
}

/** What is known of a consumer. */
export interface Consumer {
  /** Milliseconds. */
  readonly ackWait: number;
  /** It hands a message over only so often. */
  readonly limited: boolean;
}

/** A consumer, as the server has it. */
export interface ConsumerInfo {
  readonly config: {
    readonly filter_subject?: string;
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
/** What the description of a stream of ours begins with; the queue follows. */
export const DESCRIPTION = "Relevo queue ";

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

/** What is not as a caller asked for, and what loses jobs unasked. */
export function differencesOf(
  asked: Asked,
  { ackWait }: Place,
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

/** Refuses a stream that cannot do what a queue needs; says what differs. */
export function compareStream({ stream, base, queue, ackWait }: Place, config: StreamConfig): void {
  const owner = queueOf(config.description);
  const window = (config.duplicate_window ?? 0) / NANOS;
  const differs = owner !== undefined && owner !== queue
    ? `it belongs to queue '${owner}'`
    : config.retention !== "workqueue"
    ? `its retention must be 'workqueue': current value is '${config.retention}'`
    : !(config.subjects ?? []).includes(`${base}>`)
    ? `its subjects must include '${base}>': current value is '${(config.subjects ?? []).join("', '")}'`
    : config.allow_direct !== true
    ? "it must allow direct gets"
    : config.allow_rollup_hdrs !== true
    ? "it must allow rollup headers"
    : config.no_ack === true
    ? "it must acknowledge what it stores"
    : config.deny_delete === true || config.deny_purge === true
    ? "it must allow messages to be deleted and purged"
    : (config.max_age ?? 0) > 0
    ? "it must have no maximum age: jobs would be dropped"
    : (config.max_msgs_per_subject ?? -1) > 0
    ? "it must have no limit of messages per subject: jobs would be dropped"
    : config.discard !== "new"
    ? `its discard policy must be 'new', or jobs would be dropped: current value is '${
      String(config.discard)
    }'`
    : window < WINDOW_LEASES * ackWait
    ? `its duplicate window must be at least ${WINDOW_LEASES * ackWait} ms: current value is ${window}`
    : undefined;
  if (differs === undefined) return;
  throw new TransportError(
    "TRANSPORT_INCOMPATIBLE",
    `Cannot use stream '${stream}' for a queue as ${differs}`,
  );
}

/** Refuses a consumer that cannot do what a line needs. Of a work queue the server itself wants all jobs acknowledged. */
export function compareConsumer(
  { stream, base, consumers }: Place,
  line: Line,
  { config }: ConsumerInfo,
): Consumer {
  const { filter_subject: filter, max_ack_pending: pending = 0, max_deliver: most = -1 } = config;
  const { replay_policy: replay = "instant" } = config;
  const bounds = [config.max_batch, config.max_expires, config.max_bytes];
  const differs = filter !== `${base}${line}.>`
    ? `its subject must be '${base}${line}.>': current value is '${String(filter)}'`
    : pending !== -1
    ? `its 'max_ack_pending' must be -1: current value is ${pending}`
    : replay !== "instant"
    ? `its replay policy must be 'instant': current value is '${replay}'`
    : config.headers_only === true
    ? "it must hand over whole messages, and not their headers only"
    : bounds.some((bound = 0) => bound > 0)
    ? "it must not limit what is asked of it at once: 'max_batch', 'max_expires' and 'max_bytes'"
    : line === "d" && most > 0
    ? `its 'max_deliver' must be -1, as a delayed job is handed over until it is due: current value is ${most}`
    : undefined;
  if (differs === undefined) return { ackWait: (config.ack_wait ?? 0) / NANOS, limited: most > 0 };
  throw new TransportError(
    "TRANSPORT_INCOMPATIBLE",
    `Cannot use consumer '${consumers[line]}' of stream '${stream}' as ${differs}`,
  );
}
