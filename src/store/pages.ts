/**
 * Pages of listings: a store finds one item more than a page shows, and so knows whether another page follows.
 *
 * @module
 */

import type { Schedule, SchedulePage } from "../contract/recurring.ts";
import { wrongCursor } from "../guard/checks.ts";
import type { Entry, Page } from "../jobs/exchange.ts";

/** The page of the items found; its cursor names the last one that it shows. */
export function pageOf<Item>(
  found: readonly Item[],
  limit: number,
  entryOf: (item: Item) => Entry,
  cursorOf: (last: Item) => string,
): Page {
  const shown = found.slice(0, limit);
  const last = shown.at(-1);
  const entries = shown.map(entryOf);
  return found.length > limit && last !== undefined ? { entries, cursor: cursorOf(last) } : { entries };
}

/** A list in parts of so many items at most, one after the other. */
export function* parted<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}

/** The parts of the cursor of a page of this form; none for the first page. Refuses one that no page has given. */
export function placeIn(cursor: string | undefined, form: RegExp): readonly (string | undefined)[] {
  if (cursor === undefined) return [];
  const [whole, ...parts] = form.exec(cursor) ?? [];
  if (whole === undefined) throw wrongCursor("list jobs", cursor);
  return parts;
}

/** The page of schedules in the order of their keys, each of which is a cursor. */
export function schedulePage(found: readonly Schedule[], limit: number): SchedulePage {
  const schedules = found.slice(0, limit);
  const last = schedules.at(-1);
  return found.length > limit && last !== undefined ? { schedules, cursor: last.key } : { schedules };
}
