/**
 * The goals of `goals.json`, each beside what a result reached.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { type Key, medianOf, ratioOf, type Result } from "./result.ts";
import { shown } from "./table.ts";

/** A goal as the file has it: one of the two bounds, and the figure that is held against it. */
interface Goal {
  readonly what: string;
  readonly "at least"?: number;
  readonly "at most"?: number;
  readonly reached: Key;
  /** Where this differs from `reached`: the figure by which that is divided, round by round. */
  readonly over?: Partial<Key>;
  /** Where this differs from `reached`: the figure that is taken off. */
  readonly minus?: Partial<Key>;
  /** A figure that the bound grows by. */
  readonly plus?: Key;
}

/** What became of a goal. */
interface Found {
  readonly what: string;
  readonly wanted: string;
  readonly reached: number;
  readonly met: boolean;
  /** How far what was reached lies from what is wanted, as a part of the latter. */
  readonly off: number;
}

/** The goals of a store, by its name, as far as their workloads ran. */
export function foundOf(store: string, result: Result): readonly Found[] {
  const file = new URL("../goals.json", import.meta.url);
  const goals: Readonly<Record<string, readonly Goal[]>> = JSON.parse(readFileSync(file, "utf8"));
  return (goals[store] ?? []).map((goal) => find(goal, result)).filter(({ reached }) =>
    !Number.isNaN(reached)
  );
}

/** Goals as Markdown. */
export function goalTableOf(goals: readonly Found[]): string {
  const lines = goals.map(
    ({ what, wanted, reached, met }) =>
      `| ${what} | ${wanted} | ${shown(reached)} | ${met ? "yes" : "**no**"} |`,
  );
  return ["| goal | wanted | reached | met |", "| --- | --- | --- | --- |", ...lines].join("\n");
}

/** Those that were missed as Markdown, with how far. */
export function missedTableOf(goals: readonly Found[]): string {
  const missed = goals.filter(({ met }) => !met);
  if (missed.length === 0) return `All ${goals.length} goals are met.`;
  const lines = missed.map(({ what, wanted, reached, off }) =>
    `| ${what} | ${wanted} | ${shown(reached)} | ${off > 0 ? "+" : ""}${Math.round(off * 100)} % |`
  );
  return [
    `Of ${goals.length} goals ${missed.length} are missed.`,
    "",
    "| goal | wanted | reached | off by |",
    "| --- | --- | --- | --- |",
    ...lines,
  ].join("\n");
}

function find(goal: Goal, result: Result): Found {
  const { what, reached: key, over, minus, plus } = goal;
  const least = goal["at least"];
  const bound = (least ?? goal["at most"] ?? Number.NaN) + (plus === undefined ? 0 : medianOf(result, plus));
  const reached = over !== undefined
    ? ratioOf(result, key, { ...key, ...over })
    : medianOf(result, key) - (minus === undefined ? 0 : medianOf(result, { ...key, ...minus }));
  return {
    what,
    wanted: `${least === undefined ? "at most" : "at least"} ${shown(bound)}`,
    reached,
    met: least === undefined ? reached <= bound : reached >= bound,
    off: reached / bound - 1,
  };
}
