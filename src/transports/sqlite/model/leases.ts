/**
 * Numbers of leases: no two deliveries of a file have the same one, so that a token fits its own delivery alone.
 *
 * @module
 */

import { integerOf, type Statement } from "../engine/driver.ts";

/** Gives numbers. */
export interface Leases {
  /** A number that no delivery had, and none will have. Within a transaction that writes. */
  next(): number;
  /** Gives up the numbers that were not given yet: the transaction that took them may be undone. */
  forget(): void;
}

/**
 * Numbers taken from the table at once; those of a process that ends are left out. One at a time had each lone delivery
 * write a page more, a tenth of what it costs.
 */
const TAKEN = 100;
const TAKE = `UPDATE relevo_leases SET last = last + ${TAKEN} RETURNING last`;

/** Makes it for one connection. */
export function createLeases(statement: (sql: string) => Statement): Leases {
  let last = 0;
  let left = 0;
  return {
    next() {
      if (left === 0) {
        last = integerOf(statement(TAKE).get()?.last);
        left = TAKEN;
      }
      return last - --left;
    },
    forget() {
      left = 0;
    },
  };
}
