/**
 * Recurring jobs: what is to be pushed again and again, by queue and key.
 *
 * @module
 */

import type { PushJob } from "../../exchange.ts";
import { checkInteger } from "../../options.ts";
import type { DueSchedules, Schedule, SchedulePage, Schedules } from "../../recurring.ts";
import { push } from "./push.ts";
import type { Store } from "./store.ts";

/** As the contract has it, but at once. */
export type Recurring = {
  readonly [Verb in keyof Schedules]: (
    ...rest: WithoutCall<Parameters<Schedules[Verb]>>
  ) => Awaited<ReturnType<Schedules[Verb]>>;
};

type WithoutCall<All extends readonly unknown[]> = All extends readonly [...infer Rest, infer _Call] ? Rest
  : never;

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
      byQueue.set(schedule.queue, ofQueue);
      const found = ofQueue.get(schedule.key);
      if (found !== undefined && isSame(found, schedule)) return "same";
      ofQueue.set(schedule.key, {
        ...schedule,
        payload: schedule.payload.slice(),
        paused: found?.paused ?? false,
      });
      return found === undefined ? "created" : "replaced";
    },
    list: (queue, page) => listed([...byQueue.get(queue)?.values() ?? []], page),
    remove,
    pause: (queue, key, paused) => change(queue, key, { paused }),
    due(queues, limit) {
      checkInteger("look for due schedules", "limit", limit, 1, Number.MAX_SAFE_INTEGER);
      const all = queues.flatMap((queue) => [...byQueue.get(queue)?.values() ?? []]);
      return dueAmong(all, wall(), limit);
    },
    advance(queue, key, tick, next, job) {
      const found = byQueue.get(queue)?.get(key);
      if (found === undefined || found.paused || found.tick !== tick) return "stale";
      if (job !== undefined) pushOne(store, job);
      if (next === undefined) remove(queue, key);
      else change(queue, key, { tick: next });
      return "advanced";
    },
  };
}

/** A job whose id is taken is there already: its tick is over all the same. */
function pushOne(store: Store, job: PushJob): void {
  const pushed = push(store, [job], false)[0];
  if (pushed instanceof Error) throw pushed;
}

function isSame(one: Schedule, other: Omit<Schedule, "paused">): boolean {
  return one.text === other.text && one.payload.length === other.payload.length &&
    one.payload.every((byte, index) => byte === other.payload[index]);
}

function listed(
  all: readonly Schedule[],
  { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
): SchedulePage {
  checkInteger("list schedules", "limit", limit, 1, Number.MAX_SAFE_INTEGER);
  const rest = all.filter(({ key }) => cursor === undefined || key > cursor).sort(byKey);
  const schedules = rest.slice(0, limit);
  const last = schedules.at(-1);
  return rest.length > limit && last !== undefined ? { schedules, cursor: last.key } : { schedules };
}

function dueAmong(all: readonly Schedule[], now: number, limit: number): DueSchedules {
  const awake = all.filter(({ paused }) => !paused).sort((a, b) => a.tick - b.tick);
  const schedules = awake.filter(({ tick }) => tick <= now).slice(0, limit);
  const next = awake[schedules.length];
  return next === undefined ? { schedules } : { schedules, next: Math.max(0, next.tick - now) };
}

function byKey(a: Schedule, b: Schedule): number {
  return a.key < b.key ? -1 : 1;
}
