/**
 * What a workload gets and gives.
 *
 * @module
 */

import type { Contender, OpenOptions } from "../contenders/contender.ts";

/** What a workload works with. */
export interface Setting {
  readonly contender: Contender;
  /** The contender's name. */
  readonly name: string;
  /** The count of this name. */
  count(name: string): number;
  /** Where to keep jobs: in an empty folder, which is removed at the end, or on the server. */
  place(): OpenOptions;
}

/** Figures by name; the unit is part of the name. */
export type Figures = Readonly<Record<string, number>>;

/** Measures one contender once. */
export type Workload = (setting: Setting) => Promise<Figures>;

/** Collects garbage, so that nobody pays for another's. */
export function collect(): void {
  const gc: unknown = Reflect.get(globalThis, "gc");
  if (typeof gc === "function") gc();
}

/** How many of `count` a second, when they took as long as this work takes. */
export async function rate(count: number, work: () => unknown): Promise<number> {
  collect();
  const start = performance.now();
  await work();
  return count / (performance.now() - start) * 1_000;
}
