/**
 * Recurring jobs: the schedules by queue and key.
 *
 * @module
 */

import type { Prompt } from "../../contract/around.ts";
import type { Schedule, SchedulePage, Schedules } from "../../contract/recurring.ts";
import { schedulePage } from "../../store/pages.ts";
import { advancedBy, dueAmong, fateOfPut } from "../../store/schedules.ts";
import { push } from "./push.ts";
import type { Store } from "./context.ts";

/** The schedules, and the queues that hold one. */
export interface Recurring extends Prompt<Schedules> {
  queues(): Iterable<string>;
}

/** Makes an empty book of schedules over a store. */
export function createRecurring(store: Store): Recurring {
  const byQueue = new Map<string, Map<string, Schedule>>();
  const wall = (): number => {
    const { now, skew } = store.clock.moment();
    return store.clock.epoch + skew + now;
  };

  function change(queue: string, key: string, part: Partial<Schedule>): boolean {
    const found = byQueue.get(queue)?.get(key);
    if (found === undefined) return false;
    byQueue.get(queue)?.set(key, { ...found, ...part });
    return true;
  }

  function remove(queue: string, key: string): boolean {
    const ofQueue = byQueue.get(queue);
    if (ofQueue === undefined || !ofQueue.delete(key)) return false;
    if (ofQueue.size === 0) byQueue.delete(queue);
    return true;
  }

  return {
    put(schedule) {
      const ofQueue = byQueue.get(schedule.queue) ?? new Map<string, Schedule>();
      const found = ofQueue.get(schedule.key);
      const fate = fateOfPut(found, schedule);
      if (fate === "same" || fate === "stale") return fate;
      const { queue, key, tick, text, payload } = schedule;
      const { paused, note } = found ?? { paused: false, note: "" };
      byQueue.set(queue, ofQueue);
      ofQueue.set(key, { queue, key, tick, paused, note, text, payload: payload.slice() });
      return fate;
    },
    get: (queue, key) => byQueue.get(queue)?.get(key),
    list: (queue, page) => listed([...byQueue.get(queue)?.values() ?? []], page),
    queues: () => byQueue.keys(),
    remove,
    pause: (queue, key, paused, note) => change(queue, key, { paused, note }),
    due(queues, limit) {
      const all = queues.flatMap((queue) => [...byQueue.get(queue)?.values() ?? []]);
      return dueAmong(all, wall(), limit);
    },
    advance(queue, key, tick, next, job) {
      const found = byQueue.get(queue)?.get(key);
      if (found === undefined || found.paused || found.tick !== tick) return "stale";
      const answer = advancedBy(job && push(store, [job], false)[0]);
      if (next === undefined) remove(queue, key);
      else change(queue, key, { tick: next });
      return answer;
    },
  };
}

function listed(
  all: readonly Schedule[],
  { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
): SchedulePage {
  const rest = all.filter(({ key }) => cursor === undefined || key > cursor).sort(byKey);
  return schedulePage(rest, limit);
}

function byKey(a: Schedule, b: Schedule): number {
  return a.key < b.key ? -1 : 1;
}
