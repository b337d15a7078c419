/**
 * The groups of a topic: one message in the topic's stream, replaced only by a write that knows the last one. Each
 * group begins with a number of the stream: the jobs behind it are the group's.
 *
 * @module
 */

import { isQueueName } from "../../names.ts";
import { jsonOf } from "../../text.ts";
import type { Stored } from "./stream/message.ts";
import { replace } from "./stream/publish.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { lastOf, scan, type StreamCall } from "./stream/read.ts";

/** A group that is bound. */
export interface Bound {
  readonly group: string;
  /**
   * The number behind which a job must lie to be the group's; 0 for the first group, which gets the jobs that waited.
   */
  readonly from: number;
}

/** The groups of a topic. */
export interface Registry {
  /** The number of its message, 0 when there is none. */
  readonly seq: number;
  readonly groups: readonly Bound[];
  /** Groups that were bound once: their queues are there still. */
  readonly former: readonly string[];
}

/** A change of a topic's groups; a group without a number begins with the message that binds it. */
export type Change = (
  groups: readonly Bound[],
) => readonly (Bound | { readonly group: string; readonly from: undefined })[] | undefined;

const TRIES = 100;

function subjectOf({ root }: QueueStream): string {
  return `${root}g.groups`;
}

/** Whether a queue is a topic's own. */
export function isTopic({ queue }: QueueStream): boolean {
  return queue.endsWith("@");
}

/** Reads a topic's groups: those of the last message that is ours, as another program may put one behind it. */
export async function readGroups(call: StreamCall): Promise<Registry> {
  const { queueStream: topic } = call;
  const filter = subjectOf(topic);
  const last = await lastOf(call, filter);
  if (last === undefined) return { seq: 0, groups: [], former: [] };
  const isOurs = ({ header }: Stored): boolean => Array.isArray(jsonOf(header));
  const message = isOurs(last) ? last : (await scan(call, { filter })).findLast(isOurs);
  const parts = message === undefined ? [] : jsonOf(message.header);
  const [bound, former]: readonly unknown[] = Array.isArray(parts) ? parts : [];
  const isName = (name: unknown): name is string =>
    typeof name === "string" && name !== "" && isQueueName(topic.queue + name);
  const groups = (Array.isArray(bound) ? bound : []).flatMap((one: unknown): Bound[] => {
    if (!Array.isArray(one) || !isName(one[0])) return [];
    return [{ group: one[0], from: typeof one[1] === "number" ? one[1] : message?.seq ?? 0 }];
  });
  return { seq: last.seq, groups, former: (Array.isArray(former) ? former : []).filter(isName) };
}

/** Changes a topic's groups; false when the change is none. */
export async function changeGroups(call: StreamCall, change: Change): Promise<boolean> {
  const { queueStream } = call;
  for (let tries = 1;; tries++) {
    const { seq, groups, former } = await readGroups(call);
    const changed = change(groups);
    if (changed === undefined) return false;
    const isLeft = (name: string): boolean => changed.some(({ group }) => group === name);
    const gone = [...former, ...groups.map(({ group }) => group)].filter((name) => !isLeft(name));
    const text = JSON.stringify([changed.map(({ group, from }) => [group, from ?? null]), [
      ...new Set(gone),
    ]]);
    const wanted = { subject: subjectOf(queueStream), text, expected: seq };
    if (await replace(call, wanted) !== undefined) return true;
    if (tries === TRIES) {
      throw new Error(`Cannot change the groups of '${queueStream.queue}' as other calls keep changing them`);
    }
  }
}
