/**
 * Messages that are looked through now and then, for those of no use any more.
 *
 * @module
 */

import type { Bench } from "./bench.ts";
import type { Patrolled, Place } from "./place.ts";
import { each, scan } from "./read.ts";
import type { Stored } from "./wire.ts";

/** Messages that are looked at in one go, and goes of one call. */
const PAGE = 500;
const PAGES = 40;

/**
 * Visits messages of a kind, from where the last call ended, and from the first on behind the last one: so those that are
 * needed for long hide none behind them, however many they are.
 */
export async function patrol(
  bench: Bench,
  place: Place,
  kind: Patrolled,
  visit: (message: Stored) => Promise<void>,
  until: number,
): Promise<void> {
  for (let pages = 0; pages < PAGES; pages++) {
    const from = place.patrolled[kind] + 1;
    const page = await scan(bench, place, kind, from, Infinity, () => true, PAGE, until);
    await each(page, visit);
    const last = page.at(-1);
    place.patrolled[kind] = page.length < PAGE || last === undefined ? 0 : last.seq;
    if (place.patrolled[kind] === 0) return;
  }
}
