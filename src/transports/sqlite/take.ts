/**
 * The call that takes jobs: it asks, waits in the crowd, and asks again when it is woken.
 *
 * @module
 */

import type { Alarm } from "../../alarms.ts";
import type { Runtime } from "../../runtime.ts";
import type { Transport } from "../../transport.ts";
import type { Committer } from "./commit.ts";
import { hasWork, reserveJobs } from "./reserve.ts";
import type { Operation } from "./transact.ts";
import type { Waiter, Waiting } from "./waiting.ts";

/** What a promise is ended by, from outside. */
export interface Answer {
  over: boolean;
  fail(error: unknown): void;
}

interface ReserveParts {
  readonly runtime: Runtime;
  readonly committer: Committer;
  readonly waiting: Waiting;
  /** Fails what must not begin, and at its signal what did; returns what ends the listening. */
  readonly listen: (answer: Answer, signal: AbortSignal | undefined) => () => void;
  /** The waiting reserve calls, for the call that closes. */
  readonly parked: Set<Answer>;
}

/** Makes the call. */
export function createReserve(
  { runtime, committer, waiting, listen, parked }: ReserveParts,
): Transport["reserve"] {
  return (queues, options) => {
    const { limit, slots, lease, wait, deadline, signal, ready } = options;
    const end = runtime.monotonic() + wait;
    return new Promise((resolve, reject) => {
      let deaf = (): void => {};
      let alarm: Alarm | undefined;
      let hungry = false;
      const answer = (settle: () => void): void => {
        operation.over = true;
        parked.delete(operation);
        waiting.leave(waiter);
        alarm?.cancel();
        deaf();
        settle();
      };
      const operation: Operation & Answer = {
        size: limit,
        writes: true,
        deadline: end + deadline,
        over: false,
        needed: (session) => hasWork(session, queues, slots),
        idle: () => park,
        hungry: (touched) => hungry && queues.some((queue) => (touched.get(queue) ?? 0) > 0),
        run(session) {
          const held = ready?.();
          hungry = false;
          if (held !== undefined) return () => postpone(held);
          const deliveries = reserveJobs(session, queues, { limit, slots, lease });
          hungry = deliveries.length === 0 && end > runtime.monotonic();
          return () => deliveries.length > 0 ? answer(() => resolve(deliveries)) : park();
        },
        fail: (error) => answer(() => reject(error)),
      };
      const waiter: Waiter = { queues, operation };
      /** Waits on, unless the wait is over. */
      const park = (): void => {
        const rest = end - runtime.monotonic();
        if (!(rest > 0)) return answer(() => resolve([]));
        parked.add(operation);
        waiting.park(waiter);
        // An alarm that rings while it asks again leaves the answer to that.
        alarm ??= waiting.alarms.set(rest, () => waiting.leave(waiter) && answer(() => resolve([])));
      };
      /** Asks again when the caller is ready. */
      const postpone = (held: Promise<void>): void => {
        parked.add(operation);
        held.then(() => operation.over || committer.submit(operation));
      };
      deaf = listen(operation, signal);
      if (!operation.over) committer.submit(operation);
    });
  };
}
