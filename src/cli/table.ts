/**
 * Tables of text: readable without colours, columns as wide as their contents.
 *
 * @module
 */

import { plain } from "./terminal.ts";

/** A column. */
export interface Column {
  readonly title: string;
  /** Numbers are aligned to the right. */
  readonly right?: boolean;
}

/** Characters of a cell at most. */
const WIDEST = 60;

/** Rows as a table with a line of titles; a longer cell is cut, and ends in `…`. */
export function tableOf(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(cellOf))];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => lengthOf(row[index] ?? ""))));
  return cells
    .map((row) =>
      row.map((cell, index) => {
        const gap = " ".repeat((widths[index] ?? 0) - lengthOf(cell));
        return columns[index]?.right ? gap + cell : cell + gap;
      }).join("  ").trimEnd()
    )
    .map((line) => `${line}\n`)
    .join("");
}

function cellOf(text: string): string {
  const shown = Array.from(plain(text));
  return shown.length <= WIDEST ? shown.join("") : `${shown.slice(0, WIDEST - 1).join("")}…`;
}

function lengthOf(text: string): number {
  return Array.from(text).length;
}
