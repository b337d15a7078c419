/**
 * A batch in parts, where the disk is so full that the log has no room for all of it: each part needs less, and what is
 * done frees space for the next.
 *
 * @module
 */

import { TransportFull } from "../../../errors.ts";

/** Items of a batch that is not parted any more, and jobs of a reserve on a full disk. */
export const FEW = 10;

/** Carries out a batch whose items share no fate; in halves where the whole finds no room. */
export async function inParts<Item, Result>(
  items: readonly Item[],
  carryOut: (part: readonly Item[]) => Promise<readonly Result[]>,
): Promise<readonly Result[]> {
  try {
    return await carryOut(items);
  } catch (error) {
    if (!(error instanceof TransportFull) || items.length <= FEW) throw error;
  }
  const half = Math.ceil(items.length / 2);
  const first = await inParts(items.slice(0, half), carryOut);
  return [...first, ...await inParts(items.slice(half), carryOut)];
}
