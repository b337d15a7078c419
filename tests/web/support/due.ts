/** What a place owes to due times. */
import { expect } from "vitest";
import type { Pace } from "./kit.ts";

/** Expects that something happened at its time or, as far as the pace allows, later; never before. */
export function expectDue(time: number | undefined, due: number, { late }: Pace): void {
  expect(time).toBeGreaterThan(due - 0.01);
  expect(time).toBeLessThan(due + late + 0.01);
}
