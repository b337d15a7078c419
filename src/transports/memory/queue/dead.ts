/**
 * Dead jobs of one queue: in the order of their deaths per channel, and by id, which any number of them may share.
 *
 * @module
 */

import type { DeadChannel } from "../../../jobs/job.ts";
import { Order, type Placed } from "./order.ts";

/** A dead job; `time` is when it died, by the process clock. */
export interface Dead extends Placed {
  readonly channel: DeadChannel;
  readonly reason: string;
  readonly id: string;
  readonly name: string;
  readonly payload: Uint8Array;
  readonly meta: string;
  readonly lost: number;
  /** By how much the wall clock was ahead of the process clock when it died. */
  readonly skew: number;
  /** Its neighbours among those with its id, so that one of many is taken out without looking at the others. */
  older: Dead | undefined;
  newer: Dead | undefined;
}

/** The dead jobs of one queue. */
export class Graveyard {
  readonly failed: Order<Dead> = new Order();
  readonly timeout: Order<Dead> = new Order();
  #newest: Map<string, Dead> = new Map();

  newest(id: string): Dead | undefined {
    return this.#newest.get(id);
  }

  bury(dead: Dead): void {
    const older = this.#newest.get(dead.id);
    if (older !== undefined) older.newer = dead;
    dead.older = older;
    this.#newest.set(dead.id, dead);
    this[dead.channel].add(dead);
  }

  exhume(dead: Dead): void {
    this[dead.channel].remove(dead);
    if (dead.older !== undefined) dead.older.newer = dead.newer;
    if (dead.newer !== undefined) dead.newer.older = dead.older;
    else if (dead.older !== undefined) this.#newest.set(dead.id, dead.older);
    else this.#newest.delete(dead.id);
  }
}
