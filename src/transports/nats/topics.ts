/**
 * Topics. A job that is pushed to a topic is stored as a copy for each group, in the topic's stream, as one atomic
 * batch. While no group is bound the job waits in the topic itself, and goes to the first group when that is bound.
 *
 * @module
 */

import type { Call } from "../../jobs/exchange.ts";
import { groupQueue, partsOf, topicQueue } from "../../names.ts";
import type { Topics } from "../../contract/transport.ts";
import type { Context } from "./stream/context.ts";
import { type Bound, changeGroups, readGroups } from "./topics_groups.ts";
import { secondsUntil, windowOf } from "./push_jobs.ts";
import { createShared, partOf, type Shared } from "./stream/batch.ts";
import type { Stored } from "./stream/message.ts";
import type { Message } from "./stream/publish.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { deleteMessage, liveOf, pagesOf } from "./stream/read.ts";
import { idFilter, isRawSubject, liveSubject, rawId } from "./stream/subjects.ts";

/** Bounds a call and waits for a connection. */
export type Run = <T>(call: Call, action: string, work: (until: number) => Promise<T>) => Promise<T>;

/** The ability to fan out. */
export function createTopics(context: Context, run: Run): Topics {
  const { streams } = context;
  return {
    bind: (topic, group, call) =>
      run(call, "bind a group", async (until) => {
        const own = await streams.make(topicQueue(topic), until);
        await streams.make(groupQueue(topic, group), until);
        await changeGroups(context, own, (groups) => {
          if (groups.some((bound) => bound.group === group)) return undefined;
          return [...groups, groups.length === 0 ? { group, from: 0 } : { group, from: undefined }];
        }, until);
        await sweepTopic(context, own, until);
      }),
    unbind: (topic, group, call) =>
      run(call, "unbind a group", async (until) => {
        const own = await streams.find(topicQueue(topic), until);
        if (own === undefined) return false;
        return await changeGroups(context, own, (groups) => {
          const left = groups.filter((bound) => bound.group !== group);
          return left.length === groups.length ? undefined : left;
        }, until);
      }),
    groups: (topic, call) =>
      run(call, "list groups", async (until) => {
        const own = await streams.find(topicQueue(topic), until);
        if (own === undefined) return [];
        return (await readGroups(context, own, until)).groups.map(({ group }) => group).sort();
      }),
  };
}

/** Sends the jobs that wait in a topic to its groups, in their order. */
export async function sweepTopic(context: Context, own: QueueStream, until: number): Promise<void> {
  const { groups } = await readGroups(context, own, until);
  if (groups.length === 0) return;
  const { topic = "" } = partsOf(own.queue);
  const targets = new Map<string, QueueStream>();
  for (const { group } of groups) {
    targets.set(group, await context.streams.make(groupQueue(topic, group), until));
  }
  const filters = [`${own.base}j.w.>`, `${own.base}in.>`, `${own.base}j.d.>`];
  for (const filter of filters) {
    for await (const page of pagesOf(context, own, filter, { from: 1 }, until)) {
      const shared = createShared(context.batches, () => until);
      const sent = page.map((message) => sendOn(context, shared, own, groups, targets, message, until));
      shared.send();
      await Promise.all(sent);
    }
  }
}

/**
 * Sends a job on: its copies, and the message that keeps its id taken, are stored together, then it is removed from the
 * topic.
 */
async function sendOn(
  context: Context,
  shared: Shared,
  own: QueueStream,
  groups: readonly Bound[],
  targets: ReadonlyMap<string, QueueStream>,
  message: Stored,
  until: number,
): Promise<void> {
  const since = groups.filter(({ from }) => from < message.seq);
  // Jobs that were left behind by groups that are gone are the first group's.
  const first = groups.reduce((a, b) => b.from < a.from ? b : a);
  const chosen = since.length > 0 ? since : [first];
  const copies = chosen.flatMap(({ group }) => {
    const target = targets.get(group);
    return target === undefined ? [] : [copyOf(context, target, own, message)];
  });
  const now = context.clock.now();
  const { id, name, marks: { until: window } } = message;
  const kept = secondsUntil(window, now) === 0 ? [] : [{
    ...windowOf(own, { id, name }, window, now),
    expected: { seq: message.seq, filter: idFilter(own.base, id) },
  }];
  const parts = [...kept, ...copies].map(partOf);
  const sent = await shared.add(own, parts);
  const receipt = sent === "alone" ? await context.batches.store(own, parts, until) : sent;
  // Where it is refused it was sent on before, or its id is another job's by now: then it waits until that is over.
  if (receipt.state === "refused" && !await areThere(context, copies, until)) return;
  await deleteMessage(context, own, message.seq, until);
}

async function areThere(context: Context, copies: readonly Message[], until: number): Promise<boolean> {
  const found = await Promise.all(copies.map(async ({ queueStream, record: { id }, once }) => {
    const live = await liveOf(context, queueStream, id, until);
    return live !== undefined && live.once === once;
  }));
  return found.every(Boolean);
}

function copyOf(context: Context, target: QueueStream, own: QueueStream, message: Stored): Message {
  const { seq, name, meta, payload, subject, time } = message;
  const id = isRawSubject(own.base, subject) ? rawId(seq) : message.id;
  const { until: _, due = time, ...marks } = message.marks;
  // The clock of this process may be a little behind the server's, by which a job without a delay was stored.
  const isDelayed = message.marks.due !== undefined && due > context.clock.now();
  return {
    queueStream: target,
    subject: liveSubject(target.base, isDelayed ? "d" : "w", id, isDelayed ? due : undefined),
    payload,
    record: { id, name, meta, marks: { ...marks, due } },
    due: isDelayed ? due : undefined,
    once: `t${seq}${target.suffix}`,
    expected: { seq: 0, filter: idFilter(target.base, id) },
  };
}
