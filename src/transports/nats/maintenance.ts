/**
 * Maintenance beside the work, done now and then by the processes that reserve: the server's clock is read anew,
 * delayed jobs that are overdue are given to the server anew, and jobs that wait in a topic are sent to its groups.
 *
 * @module
 */

import { partsOf, topicQueue } from "../../names.ts";
import { hush } from "../../promises.ts";
import type { Context } from "./stream/context.ts";
import { moveOverdue } from "./maintenance_overdue.ts";
import { restoreFront } from "./stream/front.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { sweepTopic } from "./topics.ts";

/**
 * Milliseconds between two rounds of one queue's maintenance, half of which are left to chance, and those that a round
 * may take.
 */
const PAUSE = 40_000;
/** Milliseconds until the next round where jobs are overdue, or the store is full: it may have room by then. */
const SOON = 5_000;
/** Milliseconds until the next round after a time of a full store: jobs that were due last in it are overdue by then. */
const AFTER = 5_000;
const LATEST = 60_000;

/** Makes the maintenance of the queues that are reserved from. */
export function createMaintenance(context: () => Context): (queueStreams: readonly QueueStream[]) => void {
  /** When the last round of each queue began or ended, and the pause behind it. */
  const rounds = new Map<QueueStream, { readonly at: number; readonly pause: number }>();
  return (queueStreams) => {
    const { runtime } = context().link.settings;
    const now = runtime.monotonic();
    for (const queueStream of queueStreams) {
      const last = rounds.get(queueStream);
      if (last !== undefined && now < last.at + (queueStream.full === undefined ? last.pause : SOON)) {
        continue;
      }
      rounds.set(queueStream, { at: now, pause: PAUSE * (0.5 + runtime.random() / 2) });
      // A step that fails is done by the next round.
      hush(
        tend(context(), queueStream, now + LATEST).then((pause) => {
          if (pause !== undefined) rounds.set(queueStream, { at: runtime.monotonic(), pause });
        }),
      );
    }
  };
}

/** One round; the pause until the next one where that is to be soon, as jobs were overdue or the store full. */
async function tend(context: Context, queueStream: QueueStream, until: number): Promise<number | undefined> {
  await context.clock.renew(queueStream, until);
  const { topic } = partsOf(queueStream.queue);
  if (topic !== undefined) {
    const own = await context.streams.find(topicQueue(topic), until);
    if (own !== undefined) await sweepTopic(context, own, until);
  }
  const isLate = await moveOverdue(context, queueStream, until);
  const wasFull = queueStream.full !== undefined;
  await restoreFront(context.link, queueStream, until);
  if (isLate || queueStream.full !== undefined) return SOON;
  return wasFull ? AFTER : undefined;
}
