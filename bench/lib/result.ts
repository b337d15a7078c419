/**
 * What a run found: every round of every task, and the medians of them.
 *
 * @module
 */

import type { Task } from "./plan.ts";
import { median } from "./stats.ts";

/** One round of one task. */
export interface Measured {
  readonly round: number;
  readonly task: Task;
  readonly figures: Readonly<Record<string, number>>;
}

/** A run with where it ran. */
export interface Result {
  readonly date: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly rounds: readonly Measured[];
}

/** Which figure of which task is meant. */
export interface Key {
  readonly workload: Task["workload"];
  readonly contender: string;
  readonly durability?: Task["durability"];
  readonly figure: string;
}

/** The rounds' values of a figure, by round. */
export function valuesOf(
  { rounds }: Result,
  { workload, contender, durability = "full", figure }: Key,
): Map<number, number> {
  const values = new Map<number, number>();
  for (const { round, task, figures } of rounds) {
    if (task.workload !== workload || task.contender !== contender || task.durability !== durability) {
      continue;
    }
    const value = figures[figure];
    if (value !== undefined) values.set(round, value);
  }
  return values;
}

/** The median of a figure; `NaN` when it was not measured. */
export function medianOf(result: Result, key: Key): number {
  return median([...valuesOf(result, key).values()]);
}

/** The median of one figure's ratios to another, each of one round. */
export function ratioOf(result: Result, ours: Key, theirs: Key): number {
  const others = valuesOf(result, theirs);
  const ratios: number[] = [];
  for (const [round, value] of valuesOf(result, ours)) {
    const other = others.get(round);
    if (other !== undefined) ratios.push(value / other);
  }
  return median(ratios);
}
