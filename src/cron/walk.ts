/**
 * From wall times to the instants at which a job is due, across the changes of a zone's clocks.
 *
 * @module
 */

import { changeBetween, instantOf, instantsOf, type Zone } from "./zone.ts";

/** The wall times of an expression; numbers as `zone.ts` has them. */
export interface Walls {
  /** The first one after another; undefined when none follows. */
  next(after: number): number | undefined;
}

/** No zone's clocks are put back by more than a day. */
const LONGEST_OVERLAP = 25 * 3_600_000;

/**
 * The first instant after another where each wall time is met once a day: one in a gap at the gap's end, several of
 * them together, and one that comes twice at the first. Undefined when none follows.
 */
export function nextOnce(zone: Zone, walls: Walls, after: number): number | undefined {
  let wall = walls.next(after + zone.offsetAt(after));
  while (wall !== undefined) {
    const instant = instantOf(zone, wall);
    if (instant > after) return instant;
    // Behind an overlap's beginning, or another wall time of the same gap.
    wall = walls.next(wall);
  }
  return undefined;
}

/**
 * The first instant after another where the hours that go by count: one in a gap is left out, and one that comes twice
 * is met twice. Undefined when none follows.
 */
export function nextElapsed(zone: Zone, walls: Walls, after: number): number | undefined {
  const again = nextAgain(zone, walls, after);
  for (
    let wall = walls.next(after + zone.offsetAt(after));
    wall !== undefined;
    wall = walls.next(wall)
  ) {
    const instant = instantsOf(zone, wall).find((one) => one > after);
    if (instant !== undefined) return again === undefined ? instant : Math.min(instant, again);
  }
  return again;
}

/** The first wall time that an overlap soon after an instant shows for the second time. */
function nextAgain(zone: Zone, walls: Walls, after: number): number | undefined {
  const before = zone.offsetAt(after);
  const behind = zone.offsetAt(after + LONGEST_OVERLAP);
  if (behind >= before) return undefined;
  const change = changeBetween(zone, after, after + LONGEST_OVERLAP);
  const wall = walls.next(change + behind - 1);
  return wall !== undefined && wall < change + before ? wall - behind : undefined;
}
