/**
 * Topics. A job that is pushed to a topic is stored as a copy for each group, in the topic's stream, as one atomic
 * batch. While no group is bound the job waits in the topic itself, and goes to the first group when that is bound.
 *
 * @module
 */

import { groupQueue, partsOf, topicQueue } from "../../names.ts";
import type { Topics } from "../../contract/transport.ts";
import type { Calls } from "./calls.ts";
import type { Context, QueueCall } from "./stream/context.ts";
import { type Bound, changeGroups, readGroups } from "./topics_groups.ts";
import { secondsUntil, windowOf } from "./push_jobs.ts";
import { createShared, type Shared } from "./stream/batch.ts";
import type { Stored } from "./stream/message.ts";
import { type Message, partOf, published } from "./stream/publish.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { deleteMessage, liveOf, pagesOf } from "./stream/read.ts";
import { delayedFilter, idFilter, isRawSubject, liveSubject, pullFilters, rawId } from "./stream/subjects.ts";

/** The ability to fan out. */
export function createTopics(context: Context, { ask, on }: Calls): Topics {
  const { streams } = context;
  return {
    bind: (topic, group, bounds) =>
      ask(bounds, "bind a group", async (until) => {
        const queueStream = await streams.make(topicQueue(topic), until);
        await streams.make(groupQueue(topic, group), until);
        const call = { ...context, queueStream, until };
        await changeGroups(call, (groups) => {
          if (groups.some((bound) => bound.group === group)) return undefined;
          return [...groups, groups.length === 0 ? { group, from: 0 } : { group, from: undefined }];
        });
        await sweepTopic(call);
      }),
    unbind: (topic, group, bounds) =>
      on(topicQueue(topic), bounds, "unbind a group", false, (call) =>
        changeGroups(call, (groups) => {
          const left = groups.filter((bound) => bound.group !== group);
          return left.length === groups.length ? undefined : left;
        })),
    groups: (topic, bounds) =>
      on(
        topicQueue(topic),
        bounds,
        "list groups",
        [],
        async (call) => (await readGroups(call)).groups.map(({ group }) => group).sort(),
      ),
  };
}

/** Sends the jobs that wait in a topic to its groups, in their order. */
export async function sweepTopic(call: QueueCall): Promise<void> {
  const { groups } = await readGroups(call);
  if (groups.length === 0) return;
  const { batches, streams, queueStream: { queue, base }, until } = call;
  const { topic = "" } = partsOf(queue);
  const targets = new Map<string, QueueStream>();
  for (const { group } of groups) targets.set(group, await streams.make(groupQueue(topic, group), until));
  for (const filter of [...pullFilters(base, "w"), delayedFilter(base)]) {
    for await (const page of pagesOf(call, filter)) {
      const shared = createShared(batches, () => until);
      const sent = page.map((message) => sendOn(call, shared, groups, targets, message));
      shared.send();
      await Promise.all(sent);
    }
  }
}

/**
 * Sends a job on: its copies, and the message that keeps its id taken behind them, are stored together, then it is removed
 * from the topic.
 */
async function sendOn(
  call: QueueCall,
  shared: Shared,
  groups: readonly Bound[],
  targets: ReadonlyMap<string, QueueStream>,
  message: Stored,
): Promise<void> {
  const { queueStream: own, batches, clock, until } = call;
  const since = groups.filter(({ from }) => from < message.seq);
  // Jobs that were left behind by groups that are gone are the first group's.
  const first = groups.reduce((a, b) => b.from < a.from ? b : a);
  const chosen = since.length > 0 ? since : [first];
  const copies = chosen.flatMap(({ group }) => {
    const target = targets.get(group);
    return target === undefined ? [] : [copyOf(call, target, message)];
  });
  const now = clock.now();
  const { id, name, marks: { until: window } } = message;
  const kept = secondsUntil(window, now) === 0 ? [] : [{
    ...windowOf(own, { id, name }, window, now),
    once: `t${message.seq}`,
    expected: { seq: message.seq, filter: idFilter(own.base, id) },
  }];
  const parts = [...copies, ...kept].map(partOf);
  const sent = await shared.add(own, parts);
  const receipt = sent === "alone" ? await batches.store(own, parts, until) : sent;
  if (receipt.state !== "stored" && !await sentBefore(call, message, copies, kept)) return;
  await deleteMessage(call, message.seq);
}

/**
 * Whether a job that is refused was sent on before: what a server left out that ran out of room in the middle of the
 * batch is stored now. False where its id is another job's by now: then it waits until that is over.
 */
async function sentBefore(
  call: QueueCall,
  { id }: Stored,
  copies: readonly Message[],
  kept: readonly Message[],
): Promise<boolean> {
  const { link, queueStream: own, until } = call;
  // The message that keeps the id taken is the last of the batch: where it is there, all copies were.
  const live = await liveOf(call, id);
  if (live?.subject === liveSubject(own.base, "i", id)) return true;
  const found = await Promise.all(
    copies.map(({ queueStream, record }) => liveOf({ link, queueStream, until }, record.id)),
  );
  if (found.some((copy, index) => copy !== undefined && copy.once !== copies[index]?.once)) return false;
  const missing = copies.filter((_, index) => found[index] === undefined);
  for (const message of [...missing, ...kept]) {
    // A copy that was stored before, and is done, is known to the server by its message id.
    const { state } = await published(link, message, until);
    if (state === "refused") return false;
  }
  return true;
}

function copyOf({ queueStream: own, clock }: QueueCall, target: QueueStream, message: Stored): Message {
  const { seq, name, meta, payload, subject, time } = message;
  const id = isRawSubject(own.base, subject) ? rawId(seq) : message.id;
  const { until: _, due = time, ...marks } = message.marks;
  // The clock of this process may be a little behind the server's, by which a job without a delay was stored.
  const isDelayed = message.marks.due !== undefined && due > clock.now();
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
