/**
 * Recurring jobs as the user holds them: `relay.schedule`, and `relay.schedules` with the operator's calls and the
 * `sync` that makes the store equal to a program's list.
 *
 * @module
 */

import type { Jobs, NameOf, PayloadOf } from "../jobs/definitions.ts";
import type { Call } from "../jobs/exchange.ts";
import type { Gate } from "../flow/gate.ts";
import { shown } from "../options.ts";
import type { Schedules } from "../contract/recurring.ts";
import { createScheduleAdmin, type ScheduleAdmin, type ScheduleParts } from "./schedule_admin.ts";
import { type Draft, draftOf, type ScheduleOptions } from "./schedule_draft.ts";
import { holdersOf, isMoved, moveAll, type Scheduled, schedulesOf, storeDraft } from "./schedule_store.ts";
import { type ListedSchedule, sync, type Synced, type SyncOptions } from "./schedule_sync.ts";
import { createUnread } from "./schedule_unread.ts";
import type { Ticks } from "../worker/state.ts";

/** Stores a schedule: its job's name decides the payload's type. */
export type ScheduleJob<out J extends Jobs> = <Name extends NameOf<J>>(
  name: Name,
  payload: PayloadOf<J, Name>,
  options: ScheduleOptions,
) => Promise<Scheduled>;

/** The part of a relay that deals with schedules. */
export interface RelaySchedules<J extends Jobs> extends ScheduleAdmin {
  /**
   * Makes the store equal to a list: stores its schedules, as `schedule` does, and removes those that an earlier `sync`
   * of the same owner stored and the list no longer has. All of the list is checked before anything is stored.
   *
   * @throws {TypeError} when the list has a key twice, or a key of another owner's.
   */
  sync(list: readonly ListedSchedule<J>[], options: SyncOptions): Promise<Synced>;
}

/** The parts for a relay and its workers. */
export interface Scheduler {
  readonly schedule: (name: string, payload: unknown, options: ScheduleOptions) => Promise<Scheduled>;
  readonly schedules: RelaySchedules<Jobs>;
  readonly ticks: Ticks;
  /** Tells the relay's workers that a schedule was stored on its transport. */
  readonly scheduled: () => void;
}

/** Makes the scheduler of a relay. */
export function createScheduler(parts: ScheduleParts, gate: Gate): Scheduler {
  const { desk, users, events, callTimeout, kinds, outgoing } = parts;
  const watchers = new Set<() => void>();
  const unread = createUnread(kinds, events, () => watchers.size > 0);
  /** Workers of other relays on the same transport are told, too: they need not look to see it. */
  const told = <T>(answer: T): T => {
    for (const user of users) user.scheduled?.();
    return answer;
  };
  const admin = createScheduleAdmin(parts);
  const call: Call = { deadline: callTimeout };
  return {
    schedule(name, payload, options) {
      const action = `schedule '${shown(name)}'`;
      return gate.pass(async () => {
        const schedules = schedulesOf(desk, action);
        const ready = await draftOf(desk, name, payload, options);
        const answer = told(await store(parts, schedules, ready, call));
        unread.stored(ready);
        return answer;
      }, action);
    },
    schedules: {
      list: (...rest) => gate.pass(() => admin.list(...rest), "list schedules"),
      pause: (...rest) => gate.pass(() => admin.pause(...rest), "pause a schedule"),
      resume: (...rest) => gate.pass(() => admin.resume(...rest), "resume a schedule").then(told),
      remove: (...rest) => gate.pass(() => admin.remove(...rest), "remove a schedule"),
      run: (...rest) => gate.pass(() => admin.run(...rest), "run a schedule"),
      preview: (...rest) => gate.pass(() => admin.preview(...rest), "preview a schedule"),
      sync: (list, options) =>
        gate.pass(() => sync(desk, list, options, call, unread.stored), "sync schedules").then(told),
    },
    scheduled() {
      for (const stored of watchers) stored();
    },
    ticks: {
      schedules: desk.transport.schedules,
      kinds,
      outgoing,
      watch(stored) {
        watchers.add(stored);
        unread.began();
        return () => watchers.delete(stored);
      },
    },
  };
}

async function store(
  { desk }: ScheduleParts,
  schedules: Schedules,
  draft: Draft,
  call: Call,
): Promise<Scheduled> {
  const { queue, key } = draft;
  if (draft.definite.placed === true) {
    return await storeDraft(schedules, draft, await schedules.get(queue, key, call), call);
  }
  const holders = await holdersOf(desk, schedules, key, call);
  const known = holders.find((one) => one.queue === queue);
  const moved = holders.filter((one) => isMoved(one, draft));
  if (moved.length === 0) return await storeDraft(schedules, draft, known, call);
  await moveAll(schedules, draft, moved, known, call);
  return "replaced";
}
