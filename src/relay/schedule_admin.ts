/**
 * The operator's calls upon schedules: look at them, let them rest and go on, remove them, push a job beside their
 * ticks.
 *
 * @module
 */

import type { User } from "../flow/users.ts";
import type { AdminOptions } from "./admin.ts";
import { MAX_NAME, MAX_PAGE, PAGE, PREVIEW } from "../defaults.ts";
import type { Dispatched } from "./dispatch.ts";
import { UnknownScheduleError } from "../errors.ts";
import type { Events } from "../events/events.ts";
import type { Call, PushJob } from "../jobs/exchange.ts";
import { checkQueueName, checkText } from "../names.ts";
import { checkInteger, checkKnown, checkSignal } from "../options.ts";
import type { Desk } from "./prepare.ts";
import type { Schedule, Schedules } from "../contract/recurring.ts";
import { holdersOf, queuesOf, schedulesOf } from "./schedule_store.ts";
import { jobOf } from "../schedules/job.ts";
import { type Kinds, lackOf } from "../schedules/kinds.ts";
import { slotAfter } from "../schedules/plan.ts";
import {
  type Definite,
  type Missed,
  type Overlap,
  readNote,
  readText,
  type Rest,
  type WrittenWhen,
} from "../schedules/text.ts";
import { failureOf } from "./sending.ts";
import type { Ticks } from "../worker/state.ts";

/** Which schedule is meant, and the bounds of the call. */
export interface ScheduleCall extends AdminOptions {
  /** The queue that the schedule is in; needed where several have one of its key. Default: the one that has it. */
  readonly queue?: string | undefined;
}

/** How a schedule is paused. */
export interface PauseOptions extends ScheduleCall {
  /** Why, for a later reader; up to 255 bytes. */
  readonly reason?: string | undefined;
  /** The program or person that calls; up to 255 bytes. */
  readonly by?: string | undefined;
}

/** Which schedules to list. */
export interface ScheduleListOptions extends ScheduleCall {
  /** Schedules of one page, 1 to 1,000. Default 100. */
  readonly limit?: number | undefined;
  /** The `cursor` of the page before. Default: the first page. */
  readonly cursor?: string | undefined;
}

/** A schedule as it is stored. Instants and times are milliseconds. */
export interface ScheduleInfo {
  /** Names it among those of its queue. */
  readonly key: string;
  /** Where its jobs go; a topic's own is named `topic@`. */
  readonly queue: string;
  /** When its next tick is. */
  readonly next: number;
  /** Present while it rests: the note of `pause`, and since when. */
  readonly paused?: Rest;
  /** The name of its jobs. */
  readonly name?: string;
  /** The recurrence, as it is written. */
  readonly when?: WrittenWhen;
  /** The policy for ticks that are found due together. */
  readonly missed?: Missed;
  /** Whether a tick has a job while that of an earlier one is live. */
  readonly overlap?: Overlap;
  /** How much later than its tick a job may be due. */
  readonly jitter?: number;
  /** No tick is before it; absent where none was given. */
  readonly start?: number;
  /** No tick is after it; absent where it goes on. */
  readonly end?: number;
  /** Whose `sync` stored it; absent where none did. */
  readonly owner?: string;
  /** The first bytes of its jobs' payload. */
  readonly payload: Uint8Array;
  /** Bytes of the whole payload. */
  readonly size: number;
  /** Why it cannot be read; then all that its text says is absent. */
  readonly problem?: string;
}

/** A page of schedules. */
export interface ScheduleListing {
  /** By queue and key; an empty page is the last one. */
  readonly schedules: readonly ScheduleInfo[];
  /** Asks for the next page; absent on the last. */
  readonly cursor?: string;
}

/** The operator's calls upon schedules. */
export interface ScheduleAdmin {
  /** A page of the schedules, of one queue or of all. */
  list(options?: ScheduleListOptions): Promise<ScheduleListing>;
  /**
   * Lets a schedule rest: it pushes nothing until it is resumed. False when there is none.
   *
   * @throws {TypeError} when several queues have a schedule of this key, and none was named.
   */
  pause(key: string, options?: PauseOptions): Promise<boolean>;
  /** Lets a schedule go on with the tick that it has: those that went by count as missed. False when there is none. */
  resume(key: string, options?: ScheduleCall): Promise<boolean>;
  /** Removes a schedule; jobs that it pushed stay. False when there was none. */
  remove(key: string, options?: ScheduleCall): Promise<boolean>;
  /**
   * Pushes a job of the schedule now, beside its ticks, also while it rests.
   *
   * @throws {UnknownScheduleError} when there is none.
   */
  run(key: string, options?: ScheduleCall): Promise<Dispatched>;
  /**
   * The next ticks of a schedule, 1 to 1,000, fewer where it ends before: instants in milliseconds since the epoch.
   *
   * @throws {UnknownScheduleError} when there is none.
   * @throws {TypeError} when this relay does not know its kind of recurrence.
   */
  preview(key: string, count: number, options?: ScheduleCall): Promise<readonly number[]>;
}

/** The parts of the calls upon schedules. */
export interface ScheduleParts {
  readonly desk: Desk;
  /** The relays on the same transport. */
  readonly users: Iterable<User>;
  readonly events: Events;
  readonly callTimeout: number;
  readonly kinds: Kinds;
  readonly outgoing: Ticks["outgoing"];
}

/** Makes the operator's part. */
export function createScheduleAdmin(
  { desk, events, callTimeout, kinds, outgoing }: ScheduleParts,
): ScheduleAdmin {
  const begin = (
    action: string,
    key: string,
    options: ScheduleCall,
    known: readonly string[] = [],
  ): Begun => {
    const schedules = schedulesOf(desk, action);
    checkKnown(action, options, ["queue", "signal", ...known]);
    checkSignal(action, options.signal);
    checkText("key of a schedule", key, action, MAX_NAME);
    if (options.queue !== undefined) checkQueueName(options.queue, action);
    options.signal?.throwIfAborted();
    const call: Call = { deadline: callTimeout, signal: options.signal };
    return { schedules, call, find: () => find(desk, schedules, action, key, options.queue, call) };
  };
  const must = async (key: string, options: ScheduleCall, { find }: Begun): Promise<Found> => {
    const schedule = await find();
    if (schedule === undefined) throw new UnknownScheduleError(key, options.queue);
    return { schedule, definite: readText(schedule.text) };
  };
  const rest = async (begun: Begun, paused: boolean, note: string): Promise<boolean> => {
    const one = await begun.find();
    return one !== undefined && await begun.schedules.pause(one.queue, one.key, paused, note, begun.call);
  };
  return {
    list: (options = {}) => listed(desk, options, callTimeout),
    async pause(key, options = {}) {
      const action = "pause a schedule";
      const begun = begin(action, key, options, ["reason", "by"]);
      const { reason, by } = options;
      if (reason !== undefined) checkText("reason of a pause", reason, action, MAX_NAME);
      if (by !== undefined) checkText("'by' of a pause", by, action, MAX_NAME);
      const why = { ...(by === undefined ? {} : { by }), ...(reason === undefined ? {} : { reason }) };
      return await rest(begun, true, JSON.stringify({ ...why, since: desk.runtime.now() }));
    },
    async resume(key, options = {}) {
      return await rest(begin("resume a schedule", key, options), false, "");
    },
    async remove(key, options = {}) {
      const begun = begin("remove a schedule", key, options);
      const one = await begun.find();
      return one !== undefined && await begun.schedules.remove(one.queue, key, begun.call);
    },
    async run(key, options = {}) {
      const begun = begin("run a schedule", key, options);
      const { schedule, definite } = await must(key, options, begun);
      const job = jobOf(desk.runtime, schedule, definite);
      await pushNow(desk, outgoing, job, begun.call);
      const { id, name, queue } = job;
      events.emit("dispatched", { id, name, queue, status: "stored" });
      return { id, status: "stored" };
    },
    async preview(key, count, options = {}) {
      const action = "preview a schedule";
      const begun = begin(action, key, options);
      checkInteger(action, "count", count, 1, MAX_PAGE);
      const { schedule, definite } = await must(key, options, begun);
      return ticksFrom(schedule, definite, kinds, count);
    },
  };
}

/** Pushes one job. An error of a middleware says that nothing was stored; one of the store may not. */
async function pushNow(desk: Desk, outgoing: Ticks["outgoing"], job: PushJob, call: Call): Promise<void> {
  const { signal } = call;
  signal?.throwIfAborted();
  const [pushed] = await outgoing(
    [job],
    (jobs) => desk.transport.push(jobs, call).catch((thrown: unknown) => [failureOf(job.id, thrown, signal)]),
  );
  if (pushed instanceof Error) throw failureOf(job.id, pushed, undefined);
}

/** A call that has begun. */
interface Begun {
  readonly schedules: Schedules;
  readonly call: Call;
  readonly find: () => Promise<Schedule | undefined>;
}

interface Found {
  readonly schedule: Schedule;
  readonly definite: Definite;
}

async function find(
  desk: Desk,
  schedules: Schedules,
  action: string,
  key: string,
  queue: string | undefined,
  call: Call,
): Promise<Schedule | undefined> {
  if (queue !== undefined) return await schedules.get(queue, key, call);
  const found = await holdersOf(desk, schedules, key, call);
  if (found.length <= 1) return found[0];
  const names = found.map((one) => `'${one.queue}'`).join(", ");
  throw new TypeError(
    `Cannot ${action} as several queues have one with the key '${key}', ${names}: give { queue }`,
  );
}

function ticksFrom(
  { tick }: Schedule,
  { when, end }: Definite,
  kinds: Kinds,
  count: number,
): readonly number[] {
  const by = kinds.read(when);
  if (by === undefined) throw new TypeError(`Cannot preview a schedule as ${lackOf(when.kind)}`);
  const ticks: number[] = [];
  for (let slot = tick; ticks.length < count && slot <= (end ?? Infinity);) {
    ticks.push(slot);
    if (ticks.length < count) slot = slotAfter(by, slot, tick);
  }
  return ticks;
}

async function listed(desk: Desk, options: ScheduleListOptions, deadline: number): Promise<ScheduleListing> {
  const action = "list schedules";
  const schedules = schedulesOf(desk, action);
  checkKnown(action, options, ["queue", "signal", "limit", "cursor"]);
  checkSignal(action, options.signal);
  const limit = checkInteger(
    action,
    "limit",
    options.limit === undefined ? PAGE : options.limit,
    1,
    MAX_PAGE,
  );
  if (options.queue !== undefined) checkQueueName(options.queue, action);
  options.signal?.throwIfAborted();
  const call: Call = { deadline, signal: options.signal };
  const queues = options.queue === undefined ? await queuesOf(desk, call) : [options.queue];
  const place = options.cursor === undefined ? undefined : placeOf(options.cursor);
  const found: ScheduleInfo[] = [];
  for (const queue of queues) {
    if (place !== undefined && queue < place.queue) continue;
    const cursor = place?.queue === queue ? place.cursor : undefined;
    const page = await schedules.list(queue, { limit: limit - found.length, cursor }, call);
    found.push(...page.schedules.map(infoOf));
    if (page.cursor !== undefined) return { schedules: found, cursor: JSON.stringify([queue, page.cursor]) };
    const behind = queues[queues.indexOf(queue) + 1];
    if (found.length >= limit && behind !== undefined) {
      return { schedules: found, cursor: JSON.stringify([behind]) };
    }
  }
  return { schedules: found };
}

function placeOf(cursor: string): { readonly queue: string; readonly cursor: string | undefined } {
  try {
    const read: unknown = JSON.parse(cursor);
    const [queue, inner]: readonly unknown[] = Array.isArray(read) ? read : [];
    if (typeof queue === "string" && (inner === undefined || typeof inner === "string")) {
      return { queue, cursor: inner };
    }
  } catch {
    // Said below.
  }
  throw new TypeError("Cannot list schedules as 'cursor' must be that of a page before");
}

function infoOf({ key, queue, tick, paused, note, text, payload }: Schedule): ScheduleInfo {
  const stored = {
    key,
    queue,
    next: tick,
    ...(paused ? { paused: readNote(note) } : {}),
    payload: payload.slice(0, PREVIEW),
    size: payload.length,
  };
  try {
    const { name, when, missed, overlap, jitter, start, end, owner } = readText(text);
    return {
      ...stored,
      name,
      when,
      missed,
      overlap,
      jitter,
      ...(start === undefined ? {} : { start }),
      ...(end === undefined ? {} : { end }),
      ...(owner === undefined ? {} : { owner }),
    };
  } catch (error) {
    return { ...stored, problem: error instanceof Error ? error.message : "its text cannot be read" };
  }
}
