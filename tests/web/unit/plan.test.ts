/** What is to be done about a schedule that is due, by its stored tick and the store's clock alone. */
import { expect, test } from "vitest";
import { cron } from "../../../src/cron/mod.ts";
import { every, type Recurrence } from "../../../src/jobs/schedule.ts";
import { countOf, type Plan, planOf, type Step } from "../../../src/schedules/plan.ts";
import type { Missed } from "../../../src/schedules/text.ts";
import { createRandom } from "../../../src/testing/fake_runtime.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

function plan(missed: Missed, tick: number, now: number, by: Recurrence = every(SECOND), end?: number): Plan {
  return planOf({ by, missed, end }, tick, now);
}

function pushed(steps: readonly Step[]): readonly (number | undefined)[] {
  return steps.flatMap(({ push }) => push === undefined ? [] : [push]);
}

test("a tick that is found in time has its job, whatever is done with missed ones", () => {
  for (const missed of ["once", "skip", "all"] as const) {
    expect(plan(missed, 5_000, 5_400)).toEqual({
      steps: [{ tick: 5_000, push: 5_000, next: 6_000 }],
      left: undefined,
    });
  }
});

test("the next tick is computed from the slot, not from now", () => {
  expect(plan("once", 5_000, 7_999).steps).toEqual([{ tick: 5_000, push: 7_000, next: 8_000 }]);
  expect(plan("once", 5_000, 8_000).steps).toEqual([{ tick: 5_000, push: 8_000, next: 9_000 }]);
});

test("'skip' pushes the newest up to a minute late, and not a millisecond more", () => {
  const by = every(10 * MINUTE);
  expect(pushed(plan("skip", MINUTE, 2 * MINUTE, by).steps)).toEqual([MINUTE]);
  expect(pushed(plan("skip", MINUTE, 2 * MINUTE + 1, by).steps)).toEqual([]);
  expect(plan("skip", MINUTE, 2 * MINUTE + 1, by)).toEqual({
    steps: [{ tick: MINUTE, push: undefined, next: 11 * MINUTE }],
    left: { from: MINUTE, to: MINUTE },
  });
});

test("'all' moves from slot to slot, of more than a hundred from the hundredth newest", () => {
  const few = plan("all", 1_000, 4_500);
  expect(few.steps).toEqual([
    { tick: 1_000, push: 1_000, next: 2_000 },
    { tick: 2_000, push: 2_000, next: 3_000 },
    { tick: 3_000, push: 3_000, next: 4_000 },
    { tick: 4_000, push: 4_000, next: 5_000 },
  ]);
  const many = plan("all", 1_000, 150_000);
  expect(many.steps[0]).toEqual({ tick: 1_000, push: undefined, next: 51_000 });
  expect(pushed(many.steps)).toHaveLength(100);
  expect(many.left).toEqual({ from: 1_000, to: 50_000 });
  expect(countOf(every(SECOND), { from: 1_000, to: 50_000 }, 1_000)).toBe(50);
});

test("no tick is after the end, and the schedule ends with its last one", () => {
  expect(plan("once", 5_000, 5_400, every(SECOND), 5_999).steps).toEqual([{
    tick: 5_000,
    push: 5_000,
    next: undefined,
  }]);
  expect(plan("once", 5_000, 9_400, every(SECOND), 7_999).steps).toEqual([{
    tick: 5_000,
    push: 7_000,
    next: undefined,
  }]);
  expect(plan("once", 5_000, 9_400, every(SECOND), 4_999).steps).toEqual([
    { tick: 5_000, push: undefined, next: undefined },
  ]);
});

test("years of missed ticks are passed over in no time", () => {
  const now = Date.parse("2026-01-01T00:00:30Z");
  const asked: number[] = [];
  const counting: Recurrence = {
    next(tick) {
      asked.push(tick.now);
      return every(1).next(tick);
    },
  };
  expect(pushed(plan("once", 0, now, counting).steps)).toEqual([now]);
  expect(asked.length).toBeLessThan(100);
  const minutes = plan("once", Date.parse("2020-01-01T00:00:00Z"), now, cron("* * * * *"));
  expect(pushed(minutes.steps)).toEqual([now - 30_000]);
  const leap = plan("once", Date.parse("2004-02-29T00:00:00Z"), now, cron("0 0 29 2 *"));
  expect(pushed(leap.steps)).toEqual([Date.parse("2024-02-29T00:00:00Z")]);
});

test("whatever the tick and the clock, a plan's steps join, grow and end behind now", () => {
  const random = createRandom(7);
  const roll = (most: number): number => Math.floor(random() * most);
  const kinds: readonly Recurrence[] = [every(7), every(1_500), cron("*/7 * * * *"), cron("15 3 * * MON")];
  for (let n = 0; n < 400; n++) {
    const by = kinds[roll(kinds.length)] ?? every(7);
    const first = by.next({ now: roll(1e9), due: 0 });
    const tick = "at" in first ? first.at : 0;
    const now = tick + roll([2_000, 1e6, 3e9][roll(3)] ?? 1);
    const missed = (["once", "skip", "all"] as const)[roll(3)] ?? "once";
    const { steps, left } = plan(missed, tick, now, by);
    let at = tick;
    for (const step of steps) {
      expect(step.tick).toBe(at);
      if (step.push !== undefined) {
        expect(step.push).toBeGreaterThanOrEqual(step.tick);
        expect(step.push).toBeLessThanOrEqual(now);
      }
      expect(step.next ?? 0).toBeGreaterThan(Math.max(step.tick, step.push ?? 0));
      at = step.next ?? Infinity;
    }
    expect(at).toBeGreaterThan(now);
    const jobs = pushed(steps);
    expect(new Set(jobs).size).toBe(jobs.length);
    expect(jobs.length).toBeLessThanOrEqual(missed === "all" ? 100 : 1);
    if (left !== undefined) {
      expect(left.from).toBe(tick);
      expect(left.to).toBeLessThan(jobs[0] ?? Infinity);
    } else expect(jobs[0]).toBe(tick);
  }
});
