/**
 * The consumer states of a queue. Where a stream has copies each consumer is led by one of their servers, which knows
 * the messages of its own copy, and that may lag behind the stream's.
 *
 * @module
 */

import { FAULT, isFault } from "../client/errors.ts";
import type { DeadChannel } from "../../../jobs/job.ts";
import { isFront } from "./front.ts";
import type { Stored } from "./message.ts";
import { lastOf, nextOf, type StreamCall, streamInfo } from "./read.ts";
import { deadFilter, delayedFilter, pullFilters, type PullState } from "./subjects.ts";

/** The server's counts of a consumer. */
export interface ConsumerState {
  readonly delivered: { readonly stream_seq: number };
  readonly num_ack_pending: number;
  readonly num_pending: number;
  /** Of a consumer with copies its leader. */
  readonly cluster?: { readonly leader?: string };
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

/** The consumer state of `w` or of `b`. */
export async function stateOf(
  { link, queueStream: { stream, consumers, replicas }, until }: StreamCall,
  state: PullState,
): Promise<ConsumerState> {
  const what = `CONSUMER.INFO.${stream}.${consumers[state]}`;
  for (;;) {
    const found = await link.api<ConsumerState>(what, undefined, until);
    // A server that is about to keep a copy answers, too, and knows nothing; so it does not name the leader.
    if (replicas === 1 || found.cluster?.leader) return found;
    await link.elections.rest(HEARD_OF);
  }
}

/** The same of both. */
export async function bothStates(call: StreamCall): Promise<Readonly<Record<PullState, ConsumerState>>> {
  const [w, b] = await Promise.all([stateOf(call, "w"), stateOf(call, "b")]);
  return { w, b };
}

/**
 * How many jobs a channel has that no worker pulls: a consumer counts them, made when it is first asked. One that counts
 * no job is asked again while the stream has such jobs: it hears of a message behind the answer to the publisher.
 */
export async function countOf(call: StreamCall, channel: "delayed" | DeadChannel): Promise<number> {
  const { link, queueStream: { base }, until } = call;
  const { runtime } = link.settings;
  const filter = channel === "delayed" ? delayedFilter(base) : deadFilter(base, channel);
  const late = Math.min(until, runtime.monotonic() + LAG);
  for (let pause = HEARD_OF;; pause = longer(pause)) {
    const counted = await askCount(call, channel, filter);
    if (counted > 0 || runtime.monotonic() >= late || !await areThere(call, [filter], 1)) return counted;
    await link.elections.rest(pause);
  }
}

async function askCount(
  { link, queueStream: { stream, suffix, replicas }, until }: StreamCall,
  channel: "delayed" | DeadChannel,
  filter: string,
): Promise<number> {
  const name = `${link.settings.group}${suffix}_${channel}`;
  const what = `CONSUMER.INFO.${stream}.${name}`;
  for (;;) {
    try {
      const { num_pending, cluster } = await link.api<ConsumerState>(what, undefined, until);
      if (replicas === 1 || cluster?.leader) return num_pending;
      await link.elections.rest(HEARD_OF);
    } catch (error) {
      if (!isFault(error, FAULT.consumerNotFound)) throw error;
      const config = {
        durable_name: name,
        filter_subject: filter,
        deliver_policy: "all",
        ack_policy: "explicit",
      };
      await link.api(`CONSUMER.DURABLE.CREATE.${stream}.${name}`, { stream_name: stream, config }, until);
    }
  }
}

/**
 * The first message of a state that its consumer has not handed over, as the stream's leader knows it. Most often it is
 * the next message of any kind, for which the server need not go through all subjects.
 */
export async function nextIn(
  call: StreamCall,
  state: PullState,
  { delivered }: ConsumerState,
): Promise<Stored | undefined> {
  const { queueStream } = call;
  const filters = pullFilters(queueStream.base, state);
  let next = await nextOf(call, ">", delivered.stream_seq + 1);
  if (next !== undefined && isFront(queueStream, next.subject)) next = await nextOf(call, ">", next.seq + 1);
  if (next === undefined) return undefined;
  const { subject, seq } = next;
  if (isIn(filters, subject)) return next;
  const found = await Promise.all(filters.map((filter) => nextOf(call, filter, seq)));
  return found.reduce((a, b) => a === undefined || (b !== undefined && b.seq < a.seq) ? b : a);
}

/** Whether a stream has a job of a state that its consumer has not handed over. */
export async function areUnheard(
  call: StreamCall,
  state: PullState,
  { delivered }: ConsumerState,
): Promise<boolean> {
  const { queueStream } = call;
  const from = delivered.stream_seq + 1;
  const next = await nextOf(call, ">", from);
  if (next === undefined) return false;
  const filters = pullFilters(queueStream.base, state);
  return isIn(filters, next.subject) || await areThere(call, filters, from);
}

/**
 * Whether a stream has messages of filters from a number on. The server looks for the last one by subjects, and for the
 * next one through all messages: that takes it ten milliseconds a million.
 */
async function areThere(call: StreamCall, filters: readonly string[], from: number): Promise<boolean> {
  const found = await Promise.all(filters.map((filter) => lastOf(call, filter)));
  return found.some((message) => message !== undefined && message.seq >= from);
}

function isIn(filters: readonly string[], subject: string): boolean {
  return filters.some((filter) => subject.startsWith(filter.slice(0, -1)));
}

/** Waits until the consumers have heard of what this process stored last. */
export async function heardOf({ link, queueStream: { store }, until }: StreamCall): Promise<void> {
  const { elections, settings: { runtime } } = link;
  const left = Math.min(store.wroteAt + HEARD_OF, until) - runtime.monotonic();
  // A rest may end at its half.
  if (left > 0) await elections.rest(2 * left);
}

/**
 * The consumer states of `w` and of `b`, once no consumer counts none while the stream has a job for it. A stream's own
 * server tells its consumers of a message a moment after the publisher has its answer.
 */
export async function statesOf(call: StreamCall): ReturnType<typeof bothStates> {
  const { link, until } = call;
  const { runtime } = link.settings;
  const late = Math.min(until, runtime.monotonic() + LAG);
  for (let pause = HEARD_OF;; pause = longer(pause)) {
    const lagging = await laggards(call);
    const states = await bothStates(call);
    if (runtime.monotonic() >= late) return states;
    const unheard = await Promise.all((["w", "b"] as const).map(async (state) => {
      const found = states[state];
      if (lagging.has(found.cluster?.leader ?? "")) return true;
      if (found.num_pending > 0) return false;
      return await areUnheard(call, state, found);
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
async function laggards({ link, queueStream, until }: StreamCall): Promise<ReadonlySet<string>> {
  if (queueStream.replicas === 1) return new Set();
  const { cluster } = await streamInfo(link, queueStream.stream, until);
  const behind = (cluster?.replicas ?? []).filter(({ current, lag = 0 }) => !current || lag > 0);
  return new Set(behind.map(({ name }) => name));
}
