/**
 * The consumer states of a queue. Where a stream has copies each consumer is led by one of their servers, which knows
 * the messages of its own copy, and that may lag behind the stream's.
 *
 * @module
 */

import { FAULT, isFault } from "../client/errors.ts";
import type { Link } from "../client/link.ts";
import { isFront } from "./front.ts";
import type { Stored } from "./message.ts";
import type { Counted, QueueStream } from "./queue_stream.ts";
import { nextOf } from "./read.ts";
import type { PullState } from "./subjects.ts";

/** The server's counts of a consumer. */
export interface ConsumerState {
  readonly delivered: { readonly stream_seq: number };
  readonly num_ack_pending: number;
  readonly num_pending: number;
  /** Of a consumer with copies its leader. */
  readonly cluster?: { readonly leader?: string };
}

/** A stream, as far as its copies go. */
interface Copies {
  readonly cluster?: {
    readonly leader?: string;
    readonly replicas?: readonly {
      readonly name: string;
      readonly current: boolean;
      readonly lag?: number;
    }[];
  };
}

/** Milliseconds after which a consumer has heard of a message that its stream has stored. */
export const HEARD_OF = 20;
/**
 * Milliseconds for which a copy that lags behind is waited for at most. One that was begun a moment later than the
 * others hears of the messages that it missed with the next one, or a second or two later.
 */
export const LAG = 5_000;
/** Milliseconds between two questions about it at most. */
const PAUSE_MAX = 160;
const STATES = ["w", "b"] as const;
const COUNTED = { d: "delayed", f: "failed", t: "timeout" } as const;

/** The consumer state of `w` or of `b`. */
export async function stateOf(
  { link }: { readonly link: Link },
  queueStream: QueueStream,
  state: PullState,
  until: number,
): Promise<ConsumerState> {
  for (;;) {
    const found = await link.api<ConsumerState>(
      `CONSUMER.INFO.${queueStream.stream}.${queueStream.consumers[state]}`,
      undefined,
      until,
    );
    // A server that is about to keep a copy answers, too, and knows nothing; so it does not name the leader.
    if (queueStream.replicas === 1 || found.cluster?.leader) return found;
    await link.elections.rest(HEARD_OF);
  }
}

/** How many messages there are of a kind that no worker pulls: a consumer counts them, made when it is first asked. */
export async function countOf(
  { link }: { readonly link: Link },
  { stream, base, suffix, replicas }: QueueStream,
  kind: Counted,
  until: number,
): Promise<number> {
  const name = `${link.settings.group}${suffix}_${COUNTED[kind]}`;
  for (;;) {
    try {
      const { num_pending, cluster } = await link.api<ConsumerState>(
        `CONSUMER.INFO.${stream}.${name}`,
        undefined,
        until,
      );
      if (replicas === 1 || cluster?.leader) return num_pending;
      await link.elections.rest(HEARD_OF);
    } catch (error) {
      if (!isFault(error, FAULT.consumerNotFound)) throw error;
      const filter_subject = kind === "d" ? `${base}j.d.>` : `${base}x.${kind}.>`;
      const config = { durable_name: name, filter_subject, deliver_policy: "all", ack_policy: "explicit" };
      await link.api(`CONSUMER.DURABLE.CREATE.${stream}.${name}`, { stream_name: stream, config }, until);
    }
  }
}

/**
 * The first message of a state that its consumer has not handed over, as the stream's leader knows it. Most often it is
 * the next message of any kind, for which the server need not go through all subjects.
 */
export async function nextIn(
  reader: { readonly link: Link },
  queueStream: QueueStream,
  state: PullState,
  { delivered }: ConsumerState,
  until: number,
): Promise<Stored | undefined> {
  const { base } = queueStream;
  const from = delivered.stream_seq + 1;
  const filters = state === "w" ? [`${base}j.w.>`, `${base}in.>`] : [`${base}j.b.>`];
  let next = await nextOf(reader, queueStream, ">", from, until);
  if (next !== undefined && isFront(queueStream, next.subject)) {
    next = await nextOf(reader, queueStream, ">", next.seq + 1, until);
  }
  if (next === undefined) return undefined;
  const { subject, seq } = next;
  if (filters.some((filter) => subject.startsWith(filter.slice(0, -1)))) return next;
  const found = await Promise.all(filters.map((filter) => nextOf(reader, queueStream, filter, seq, until)));
  return found.reduce((a, b) => a === undefined || (b !== undefined && b.seq < a.seq) ? b : a);
}

/** The consumer states of `w` and of `b`, once the consumers know all that the stream had when this was asked. */
export async function statesOf(
  reader: { readonly link: Link },
  queueStream: QueueStream,
  until: number,
): Promise<Readonly<Record<PullState, ConsumerState>>> {
  const { link } = reader;
  const { runtime } = link.settings;
  const late = Math.min(until, runtime.monotonic() + LAG);
  for (let pause = HEARD_OF;; pause = longer(pause)) {
    const lagging = queueStream.replicas === 1 ? undefined : await laggards(link, queueStream, until);
    const [w, b] = await Promise.all([
      stateOf(reader, queueStream, "w", until),
      stateOf(reader, queueStream, "b", until),
    ]);
    const states = { w, b };
    if (lagging === undefined || runtime.monotonic() >= late) return states;
    const unheard = await Promise.all(STATES.map(async (state) => {
      const found = states[state];
      if (lagging.has(found.cluster?.leader ?? "")) return true;
      if (found.num_pending > 0) return false;
      return await nextIn(reader, queueStream, state, found, until) !== undefined;
    }));
    if (!unheard.includes(true)) return states;
    await link.elections.rest(pause);
  }
}

/** The pause behind a pause, while a copy lags behind. */
export function longer(pause: number): number {
  return Math.min(PAUSE_MAX, 2 * pause);
}

/** The servers whose copy lacks something that the leader's has. */
async function laggards(link: Link, { stream }: QueueStream, until: number): Promise<ReadonlySet<string>> {
  const { cluster } = await link.api<Copies>(`STREAM.INFO.${stream}`, undefined, until);
  const behind = (cluster?.replicas ?? []).filter(({ current, lag = 0 }) => !current || lag > 0);
  return new Set(behind.map(({ name }) => name));
}
