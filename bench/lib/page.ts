/**
 * The README of the benchmark: the tables and goals of the kept results between marks, so that they are never written
 * by hand, and a picture of each table beside it.
 *
 * @module
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { foundOf, goalTableOf } from "./goals.ts";
import { plotOf } from "./plot.ts";
import type { Result } from "./result.ts";
import { gridsOf, tableOf } from "./table.ts";

const README = fileURLToPath(new URL("../README.md", import.meta.url));
const PLOTS = new URL("../results/plots/", import.meta.url);

/** Writes a store's part of the README, and its pictures. */
export function writePage(store: string, result: Result): void {
  const pictures = draw(store, result);
  const [open, close] = [`<!-- results of ${store} -->`, `<!-- end of ${store} -->`];
  const page = readFileSync(README, "utf8");
  const [start, end] = [page.indexOf(open), page.indexOf(close)];
  if (start < 0 || end < start) {
    throw new Error(`Cannot write the results of ${store} as README.md has no mark ${open}`);
  }
  const part = [
    open,
    "",
    `${saidOf(result)}`,
    "",
    tableOf(result),
    "### Goals",
    "",
    goalTableOf(foundOf(store, result)),
    "",
    `The same as pictures: ${pictures.join(", ")}.`,
    "",
    "",
  ].join("\n");
  writeFileSync(README, page.slice(0, start) + part + page.slice(end));
}

/** When and on what it was measured. */
function saidOf({ date, settings, rounds }: Result): string {
  const parts = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
  const most = Math.max(0, ...rounds.map(({ round }) => round + 1));
  return `${date}, up to ${most} rounds; ${parts.join(", ")}.`;
}

/** Draws anew all pictures of a store; links to them. */
function draw(store: string, result: Result): readonly string[] {
  mkdirSync(PLOTS, { recursive: true });
  for (const file of readdirSync(PLOTS)) {
    if (file.startsWith(`${store}-`)) rmSync(new URL(file, PLOTS));
  }
  const counts = new Map<string, number>();
  return gridsOf(result).map((grid) => {
    const count = (counts.get(grid.workload) ?? 0) + 1;
    counts.set(grid.workload, count);
    const name = [store, grid.workload.replaceAll(" ", "-"), ...count > 1 ? [count] : []].join("-");
    writeFileSync(new URL(`${name}.svg`, PLOTS), plotOf(result, grid));
    return `[${grid.workload}${count > 1 ? ` ${count}` : ""}](results/plots/${name}.svg)`;
  });
}
