/**
 * A batch in parts, where the disk is so full that the log has no room for all of it: each part needs less, and what is
 * done frees space for the next.
 *
 * @module
 */

import { TransportFull } from "../../../errors.ts";

/**
 * Carries out a batch whose items share no fate: in halves where it has more items than `rows` says that one transaction
 * may change, or finds no room all the same.
 */
export async function inParts<Item, Result>(
  items: readonly Item[],
  rows: (most: number) => number,
  carryOut: (part: readonly Item[]) => Promise<readonly (Result | Error)[]>,
): Promise<readonly (Result | Error)[]> {
  if (items.length <= rows(items.length) || items.length <= 1) {
    try {
      return await carryOut(items);
    } catch (error) {
      if (!(error instanceof TransportFull)) throw error;
      // One that finds no room must not keep from a caller that those before it did.
      if (items.length <= 1) return items.map(() => error);
    }
  }
  const half = Math.ceil(items.length / 2);
  const first = await inParts(items.slice(0, half), rows, carryOut);
  return [...first, ...await inParts(items.slice(half), rows, carryOut)];
}
