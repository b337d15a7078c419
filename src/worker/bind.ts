/**
 * Binding: the groups of a worker's handlers get their topics' jobs from before the first reserve of their queues on, and
 * for as long as the worker runs. It goes on beside reserving, so that a topic that cannot be bound holds up no other queue.
 *
 * @module
 */

import { BINDING_CHECK } from "../defaults.ts";
import { TransportClosed } from "../errors.ts";
import { partsOf } from "../names.ts";
import { inTime } from "./patience.ts";
import { aside, rearm, type State } from "./state.ts";

/**
 * Begins to bind those of the queues that are of groups of handlers here, and are not bound as far as is known. A group
 * without a handler here is left alone: it may have been unbound for good, and its queue is worked off. A drain has
 * nothing to come back to, so it waits until each is bound or has failed. Undefined: there is nothing to wait for.
 */
export function keepBound(state: State, queues: readonly string[]): Promise<unknown> | undefined {
  const { bench: { handlers }, bound, binding } = state;
  const isOpen = (queue: string): boolean =>
    !bound.has(queue) && !binding.has(queue) && partsOf(queue).group !== undefined;
  if (!queues.some(isOpen)) return undefined;
  const handled = new Set(handlers.queues());
  const begun = queues.filter((queue) => isOpen(queue) && handled.has(queue)).map((queue) =>
    bind(state, queue)
  );
  for (const one of begun) aside(state, one);
  return state.drain === undefined ? undefined : Promise.all(begun);
}

/** Binds a group by the name of its queue, however often it takes. */
async function bind(state: State, queue: string): Promise<void> {
  const { ending: { signal }, binding, bound, troubles, bench: { runtime } } = state;
  binding.add(queue);
  for (;;) {
    try {
      await once(state, queue);
      break;
    } catch (error) {
      if (signal.aborted || error instanceof TransportClosed) return;
      const pause = troubles.down(queue, "bind", error);
      if (state.drain !== undefined) {
        state.drain.fault ??= { error };
        return;
      }
      await runtime.sleep(pause, signal).catch(() => undefined);
      if (signal.aborted) return;
    }
  }
  binding.delete(queue);
  bound.add(queue);
  watchBindings(state);
  troubles.up(queue, "bind");
  // The first group of a topic gets the jobs that wait in it, which a reserve under way need not notice.
  rearm(state);
}

async function once(state: State, queue: string): Promise<void> {
  const { bench: { transport: { topics }, callTimeout }, ending: { signal } } = state;
  const { topic, group } = partsOf(queue);
  if (topic === undefined || group === undefined || topics === undefined) return;
  const call = { deadline: callTimeout, signal };
  await inTime(state, topics.bind(topic, group, call), { action: "bind groups", wait: 0, signal });
}

/** Begins to look from time to time whether the groups are bound still: a store may forget, or be another one, without a call that fails. */
function watchBindings(state: State): void {
  if (state.watching || state.drain !== undefined) return;
  state.watching = true;
  const look = (): void => {
    if (state.stopping) return;
    aside(state, lookForGroups(state));
    state.alarms.set(BINDING_CHECK, look);
  };
  state.alarms.set(BINDING_CHECK, look);
}

async function lookForGroups(state: State): Promise<void> {
  const { bound, bench: { transport: { topics }, callTimeout, unbound }, ending: { signal }, troubles } =
    state;
  for (const topic of new Set([...bound].map((queue) => partsOf(queue).topic))) {
    if (topic === undefined || topics === undefined) continue;
    const queues = [...bound].filter((queue) => partsOf(queue).topic === topic);
    try {
      const call = { deadline: callTimeout, signal };
      const groups = await inTime(state, topics.groups(topic, call), {
        action: "list the groups",
        wait: 0,
        signal,
      });
      const isGone = (queue: string): boolean =>
        !groups.includes(partsOf(queue).group ?? "") && !unbound.has(queue);
      const gone = queues.filter(isGone);
      for (const queue of queues) if (!gone.includes(queue)) troubles.up(queue, "bind");
      for (const queue of gone) {
        bound.delete(queue);
        troubles.down(queue, "bind", new Error(`The group of '${queue}' was bound, and is not any more`));
      }
      await keepBound(state, gone);
    } catch (error) {
      if (signal.aborted) return;
      for (const queue of queues) troubles.down(queue, "bind", error);
    }
  }
}
