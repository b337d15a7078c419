/**
 * Operations on queues.
 *
 * @module
 */

import * as v from "valibot";
import type { QueueInfo } from "../jobs/job.ts";
import { noInput } from "./input.ts";
import { type Bounds, type Desk, type Operation, operation } from "./operation.ts";

/** Queues that are counted at a time: a thousand of them take their counts by tens. */
const AT_A_TIME = 50;

/** A queue with its counts. */
export interface QueueView extends QueueInfo {
  readonly queue: string;
}

const list = operation<object, { readonly queues: readonly QueueView[] }>({
  name: "queues.list",
  about:
    "Shows every queue with the number of jobs in each of its channels, and how long the oldest has waited.",
  kind: "read",
  input: noInput,
  output: v.object({
    queues: v.array(v.object({
      queue: v.string(),
      waiting: v.number(),
      delayed: v.number(),
      reserved: v.number(),
      failed: v.number(),
      timeout: v.number(),
      oldest: v.exactOptional(v.number()),
    })),
  }),
  run: async (desk, _, bounds) => ({ queues: await countsOf(desk, bounds) }),
});

/** Every queue with its counts. */
export async function countsOf({ relay }: Desk, { signal }: Bounds): Promise<readonly QueueView[]> {
  const names = await relay.queues({ signal });
  const queues: QueueView[] = [];
  for (let from = 0; from < names.length; from += AT_A_TIME) {
    const some = names.slice(from, from + AT_A_TIME);
    queues.push(
      ...await Promise.all(some.map(async (queue) => ({ queue, ...await relay.info(queue, { signal }) }))),
    );
  }
  return queues;
}

/** The operations. */
export const queueOperations: readonly Operation[] = [list];
