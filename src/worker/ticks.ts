/**
 * Ticks of schedules: a worker asks its store for due schedules, pushes the jobs and moves the schedules on. There is
 * no leader; of workers that find the same tick, the store lets one move it on.
 *
 * The store is asked once a second at most, and when a tick is known to come, so that idling beside many schedules
 * costs as many calls as idling beside one.
 *
 * @module
 */

import type { Alarm } from "../flow/alarms.ts";
import { eachOf } from "../flow/abreast.ts";
import { patiently } from "../flow/deadline.ts";
import { POLL } from "../defaults.ts";
import { errorOf, TransportClosed } from "../errors.ts";
import { topicQueue } from "../names.ts";
import type { DueSchedules, Schedule } from "../contract/recurring.ts";
import { createLatch, type Latch } from "../flow/latch.ts";
import type { State, Ticker } from "./state.ts";
import { asStep } from "../flow/trail.ts";
import { moveOn } from "./tick.ts";

/** Schedules of one page, and of those that are moved on side by side. */
const PAGE = 100;
const ABREAST = 50;
/** The shortest time between two looks that nothing but the time brought about, in milliseconds. */
const LOOK_MIN = 1_000;
/** The time between two looks at a store of this process alone that holds no schedule. */
const LOOK_MAX = 3_600_000;
/** The longest time between two looks at a store that fails. */
const PAUSE_MAX = 30_000;

/** Pushes ticks until the worker stops. */
export function startTicker(state: State): Ticker {
  const latch = createLatch();
  const over = new AbortController();
  const unwatch = state.bench.ticks.watch(() => latch.open());
  return {
    wake() {
      if (state.stopping) over.abort();
      latch.open();
    },
    done: work(state, latch, over.signal).finally(unwatch),
  };
}

async function work(state: State, latch: Latch, over: AbortSignal): Promise<void> {
  const { bench } = state;
  const { events, runtime } = bench;
  let failures = 0;
  let empty = 0;
  while (!state.stopping) {
    let interval = Math.max(LOOK_MIN, state.settings.poll ?? POLL);
    let wait: number;
    try {
      const look = await pushDue(state, over);
      // A store whose clock and next tick do not agree must not be asked without end.
      empty = look.pushed > 0 ? 0 : empty + 1;
      failures = 0;
      // In a store of this process alone nothing comes unseen.
      if (look.next === Infinity && !bench.transport.features.shared) interval = LOOK_MAX;
      wait = Math.min(
        interval,
        Math.max(look.next - (runtime.monotonic() - look.at), Math.min(empty, interval)),
      );
    } catch (error) {
      if (error instanceof TransportClosed || state.stopping) return;
      failures++;
      // While the store is away the worker has told so, and a first failure may come before that.
      if (failures === 2 && !state.link.away) {
        events.emit("error", { error: errorOf(error), during: "looking for due schedules" });
      }
      wait = Math.min(PAUSE_MAX, interval * 2 ** Math.min(failures - 1, 8)) * (0.5 + runtime.random() / 2);
    }
    await rest(state, latch, Math.max(0, wait));
  }
}

/** Waits for a time, or until the latch is opened. */
async function rest(state: State, latch: Latch, ms: number): Promise<void> {
  if (state.stopping) return;
  const alarm: Alarm = state.alarms.set(ms, () => latch.open());
  await latch.wait();
  alarm.cancel();
}

/** The result of a poll of the store. */
interface Look {
  /** Schedules that were found due and could be moved on, by whichever worker. */
  readonly pushed: number;
  /** Milliseconds from `at` until the next tick that is known of; Infinity where none is. */
  readonly next: number;
  /** When the store was asked last, by the monotonic clock. */
  readonly at: number;
}

/** Moves everything on that is due, each schedule once. */
async function pushDue(state: State, signal: AbortSignal | undefined): Promise<Look> {
  const { bench: { runtime, definitions, ticks: { schedules } }, alarms, bench } = state;
  if (schedules === undefined) return { pushed: 0, next: Infinity, at: runtime.monotonic() };
  const queues = [...definitions.queues, ...[...definitions.topics].map(topicQueue)];
  const seen = new Set<string>();
  let next = Infinity;
  let pushed = 0;
  for (let limit = PAGE;;) {
    const call = { deadline: bench.callTimeout, signal };
    const asked = runtime.monotonic();
    const due: DueSchedules = await patiently(
      alarms,
      "look for due schedules",
      call,
      schedules.due(queues, limit, call),
    );
    const fresh = due.schedules.filter((one) => !seen.has(nameOf(one)));
    for (const one of fresh) seen.add(nameOf(one));
    const moves = await eachOf(ABREAST, fresh, (one) => moved(state, one, due.now), () => state.stopping);
    for (const later of moves) {
      if (later === undefined) continue;
      pushed++;
      next = Math.min(next, later - due.now);
    }
    const full = due.schedules.length >= limit;
    if (!full || state.stopping) return { pushed, next: Math.min(next, due.next ?? Infinity), at: asked };
    // Those that cannot be moved on here stay in front, and must hide no other.
    limit = PAGE + seen.size;
  }
}

/** For a worker that drains: rejects when the store fails, and ends when the worker stops. */
export async function pushDueOnce(state: State, signal: AbortSignal | undefined): Promise<void> {
  try {
    if (!state.stopping) await pushDue(state, signal);
  } catch (error) {
    if (!state.stopping) throw error;
  }
}

function nameOf({ queue, key }: Schedule): string {
  return `${queue}\n${key}`;
}

/** One that fails keeps no other from being moved on; it is told once, until it succeeds. */
async function moved(state: State, schedule: Schedule, now: number): Promise<number | undefined> {
  const { bench: { events, ticks: { kinds } }, way, beside, roused } = state;
  const failing = `failing ${nameOf(schedule)}`;
  try {
    const move = (): Promise<number | undefined> => moveOn(state, schedule, now);
    // A tick of schedules calls the program's middlewares and recurrences.
    const next = await (way === undefined ? move() : asStep({ way, steps: beside, changed: roused }, move));
    kinds.forget(failing);
    return next;
  } catch (thrown) {
    if (thrown instanceof TransportClosed) throw thrown;
    if (kinds.isNews(failing)) {
      const during = `pushing a tick of schedule '${schedule.key}' in '${schedule.queue}'`;
      events.emit("error", { error: errorOf(thrown), during });
    }
    return undefined;
  }
}
