/**
 * Whether a queue is there at all: a misspelt one must not look like one that is empty. Asked only where an answer was
 * empty and nothing in this program names the queue.
 *
 * @module
 */

import type { Definitions } from "../jobs/definitions.ts";
import { UnknownQueueError } from "../errors.ts";
import type { Call } from "../jobs/exchange.ts";
import type { Handlers } from "../jobs/handle.ts";
import { CHANNELS } from "../jobs/job.ts";
import { partsOf } from "../names.ts";
import type { Transport } from "../contract/transport.ts";

/** The queues of a relay. */
export interface KnownQueues {
  /**
   * Returns when a definition, a handler or the store knows the queue; asks the store only where the first two do not.
   *
   * @throws {UnknownQueueError} when none of them does. `action` completes "Cannot ...".
   */
  ensure(queue: string, action: string, call: Call): Promise<void>;
}

/** Makes the list of a relay; a queue that the store was once found to know is not asked for again. */
export function createKnownQueues(
  definitions: Definitions,
  handlers: Pick<Handlers, "queues">,
  transport: Transport,
): KnownQueues {
  const found = new Set<string>();

  function isNamed(queue: string): boolean {
    if (definitions.queues.has(queue) || found.has(queue) || handlers.queues().includes(queue)) return true;
    const { topic, group } = partsOf(queue);
    return topic !== undefined && group === "" && definitions.topics.has(topic);
  }

  async function isStored(queue: string, stored: readonly string[], call: Call): Promise<boolean> {
    if (stored.includes(queue)) return true;
    const { topic, group } = partsOf(queue);
    if (topic !== undefined && group !== undefined && group !== "" && transport.topics !== undefined) {
      return (await transport.topics.groups(topic, call)).includes(group);
    }
    // A queue that another program made need not be among them yet.
    const info = await transport.info(queue, call);
    return CHANNELS.some((channel) => info[channel] > 0);
  }

  return {
    async ensure(queue, action, call) {
      if (isNamed(queue)) return;
      const stored = await transport.queues(call);
      if (!(await isStored(queue, stored, call))) {
        throw new UnknownQueueError(queue, [...new Set([...definitions.queues, ...stored])], action);
      }
      found.add(queue);
    },
  };
}
