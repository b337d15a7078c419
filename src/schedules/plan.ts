/**
 * The plan for a schedule that is due: which of its ticks get a job, and from which tick it goes on. Only
 * the tick that is stored and the clock of the store count, so that every worker comes to the same plan.
 *
 * @module
 */

import { nextOf, type Recurrence } from "../jobs/schedule.ts";
import { LATE, type Missed, MOST_MISSED } from "./text.ts";

/** One move of a schedule. */
export interface Step {
  /** The tick that it has. */
  readonly tick: number;
  /** The tick that has a job with this move; undefined: none. */
  readonly push: number | undefined;
  /** The tick that it has next; undefined: it ends. */
  readonly next: number | undefined;
}

/** Ticks that have no job. */
export interface Left {
  /** The first of them. */
  readonly from: number;
  /** The last of them. */
  readonly to: number;
}

/** A plan. */
export interface Plan {
  /** In order; each begins where the one before ends. */
  readonly steps: readonly Step[];
  readonly left: Left | undefined;
}

/** The facts that a plan is made by. */
export interface Clockwork {
  readonly by: Recurrence;
  readonly missed: Missed;
  /** The last instant that may be a tick. */
  readonly end?: number | undefined;
}

/**
 * Plans for a schedule whose tick has come.
 *
 * @throws {Error} when the recurrence cannot say its next tick.
 */
export function planOf(work: Clockwork, tick: number, now: number): Plan {
  const limit = Math.min(now, work.end ?? now);
  // Its end was moved to before its tick.
  if (tick > limit) return { steps: [{ tick, push: undefined, next: undefined }], left: undefined };
  const second = slotAfter(work.by, tick, tick);
  if (second > limit) return single(work, tick, tick, second, now);
  const slots = lastSlots(work.by, tick, limit, work.missed === "all" ? MOST_MISSED : 1);
  const first = slots[0] ?? tick;
  const newest = slots.at(-1) ?? tick;
  const after = slotAfter(work.by, newest, tick);
  if (work.missed !== "all") return single(work, tick, newest, after, now);
  const steps: Step[] = first > tick ? [{ tick, push: undefined, next: first }] : [];
  slots.forEach((slot, n) => {
    steps.push({ tick: slot, push: slot, next: within(work, slots[n + 1] ?? after) });
  });
  return { steps, left: first > tick ? { from: tick, to: slotBefore(work.by, tick, first) } : undefined };
}

/** A schedule that goes on from its newest tick, which alone may have a job. */
function single(work: Clockwork, tick: number, newest: number, after: number, now: number): Plan {
  const late = work.missed === "skip" && now - newest > LATE;
  const step = { tick, push: late ? undefined : newest, next: within(work, after) };
  if (late) return { steps: [step], left: { from: tick, to: newest } };
  return {
    steps: [step],
    left: newest > tick ? { from: tick, to: slotBefore(work.by, tick, newest) } : undefined,
  };
}

function within({ end }: Clockwork, slot: number): number | undefined {
  return end !== undefined && slot > end ? undefined : slot;
}

/** The first slot after an instant, on the grid of a tick. */
export function slotAfter(by: Recurrence, after: number, tick: number): number {
  const next = nextOf(by, { now: after, due: tick });
  const slot = "at" in next ? next.at : after + next.delay;
  if (slot > after) return slot;
  throw new RangeError("a recurrence must give an instant that lies ahead");
}

/** The last slots from a tick until a limit, oldest first: looked for backwards, as millions may have been missed. */
function lastSlots(by: Recurrence, tick: number, limit: number, most: number): readonly number[] {
  for (let span = Math.max(1, slotAfter(by, tick, tick) - tick);; span *= 2) {
    const from = Math.max(tick, limit - span);
    const slots = from === tick ? [tick] : [];
    for (let slot = slotAfter(by, from, tick); slot <= limit; slot = slotAfter(by, slot, tick)) {
      slots.push(slot);
    }
    if (slots.length >= most || from === tick) return slots.slice(-most);
  }
}

/** The last slot before another one. */
function slotBefore(by: Recurrence, tick: number, slot: number): number {
  return lastSlots(by, tick, slot - 1, 1)[0] ?? tick;
}

/** Ticks of a span, no more than `most` counted. */
export function countOf(by: Recurrence, { from, to }: Left, most: number): number {
  let count = 1;
  for (let slot = from; count < most; count++) {
    slot = slotAfter(by, slot, from);
    if (slot > to) break;
  }
  return count;
}
