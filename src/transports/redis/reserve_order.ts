/**
 * The order of polls of one client: jobs that a poll still brings for a call that was aborted go back first. A poll
 * that was sent meanwhile would hand over the jobs behind those.
 *
 * @module
 */

import type { Delivery } from "../../jobs/exchange.ts";
import type { Poll } from "../../store/poll.ts";

/** Keeps polls in order. */
export interface Order {
  /** Sends a poll, at once unless jobs of its queues are on their way back. */
  poll(asked: Poll): Promise<void>;
  /** Gives deliveries back. */
  giveBack(deliveries: readonly Delivery[]): Promise<void>;
}

/** How polls are sent and deliveries given back. */
export interface OrderOptions {
  readonly poll: (asked: Poll) => Promise<void>;
  readonly giveBack: (deliveries: readonly Delivery[]) => Promise<void>;
}

/** A poll under way, or deliveries that are being given back. */
interface UnderWay {
  readonly queues: readonly string[];
  /** Whether the jobs that it brings go back. */
  readonly returns: () => boolean;
  /** Never rejects. */
  readonly ended: Promise<void>;
}

function nothing(): void {}

/** Makes an order without a poll yet. */
export function createOrder({ poll, giveBack }: OrderOptions): Order {
  const underWay = new Set<UnderWay>();

  function follow(work: Promise<void>, queues: readonly string[], returns: () => boolean): Promise<void> {
    const one: UnderWay = { queues, returns, ended: work.then(nothing, nothing) };
    underWay.add(one);
    void one.ended.then(() => underWay.delete(one));
    return work;
  }

  function returning(queues: readonly string[]): readonly Promise<void>[] {
    const found = [...underWay].filter(({ returns }) => returns());
    if (found.length === 0) return [];
    const asked = new Set(queues);
    return found.filter((one) => one.queues.some((queue) => asked.has(queue))).map(({ ended }) => ended);
  }

  return {
    async poll(asked) {
      const { queues } = asked;
      for (let some = returning(queues); some.length > 0; some = returning(queues)) await Promise.all(some);
      await follow(poll(asked), queues, () => asked.over);
    },
    giveBack: (deliveries) => follow(giveBack(deliveries), deliveries.map(({ queue }) => queue), () => true),
  };
}
