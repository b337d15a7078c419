/**
 * Live jobs by id.
 *
 * Ids that the core made need no look-up, and an index that no call asks costs more than all else that happens to a
 * job. So it is made when first asked, by a caller's id, a look at a job or a reload, and kept from then on.
 *
 * @module
 */

import type { Order, Placed } from "./order.ts";

/** An item with an id. */
export interface Named extends Placed {
  readonly id: string;
}

/** The live jobs of one queue by id; of two with one id, which only unchecked ids can share, the later. */
export class LiveJobs<T extends Named> {
  #orders: readonly Order<T>[];
  #byId: Map<string, T> | undefined;

  /** `orders` are where the jobs are; one that is being moved is in none, so nothing may be asked meanwhile. */
  constructor(orders: readonly Order<T>[]) {
    this.#orders = orders;
  }

  add(job: T): void {
    this.#byId?.set(job.id, job);
  }

  delete(job: T): void {
    if (this.#byId !== undefined && this.#byId.get(job.id) === job) this.#byId.delete(job.id);
  }

  get(id: string): T | undefined {
    this.#byId ??= this.#index();
    return this.#byId.get(id);
  }

  #index(): Map<string, T> {
    const byId = new Map<string, T>();
    for (const order of this.#orders) {
      for (const job of order.after()) byId.set(job.id, job);
    }
    return byId;
  }
}
