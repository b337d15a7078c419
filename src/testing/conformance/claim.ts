/**
 * How a promise of the contract is written down.
 *
 * @module
 */

import type { Lab } from "./lab.ts";
import type { Need } from "./subject.ts";

/** A claim before it is bound to a subject. */
export interface Claim {
  readonly name: string;
  readonly needs: readonly Need[];
  readonly check: (lab: Lab) => Promise<void>;
}

/** Writes a claim down. */
export function claim(name: string, check: (lab: Lab) => Promise<void>, ...needs: readonly Need[]): Claim {
  return { name, needs, check };
}
