/**
 * Binding: the groups of a worker's handlers get their topics' jobs from before the first reserve of their queues on,
 * so that a worker that is there misses nothing.
 *
 * @module
 */

import { partsOf } from "../names.ts";
import { inTime } from "./patience.ts";
import type { State } from "./state.ts";

/**
 * Those of the queues that are of groups of handlers here, and were not bound since the transport last failed. A group
 * without a handler here is left alone: it may have been unbound for good, and its queue is worked off.
 */
export function unboundOf(
  { bench: { handlers }, bound }: State,
  queues: readonly string[],
): readonly string[] {
  const unbound = queues.filter((queue) => !bound.has(queue) && partsOf(queue).group !== undefined);
  if (unbound.length === 0) return unbound;
  const handled = new Set(handlers.queues());
  return unbound.filter((queue) => handled.has(queue));
}

/** Binds groups by the names of their queues; rejects when one could not be bound. */
export async function bindGroups(
  state: State,
  queues: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { bench: { transport: { topics }, callTimeout }, bound } = state;
  const bind = async (queue: string): Promise<void> => {
    const { topic, group } = partsOf(queue);
    if (topic === undefined || group === undefined) return;
    await topics?.bind(topic, group, { deadline: callTimeout, signal });
    bound.add(queue);
  };
  await inTime(state, Promise.all(queues.map(bind)), { action: "bind groups", wait: 0, signal });
}
