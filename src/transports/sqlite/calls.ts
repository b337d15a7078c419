/**
 * Calls as the contract has them, made of operations: each with its deadline and signal, each answered once.
 *
 * @module
 */

import type { Alarm } from "../../alarms.ts";
import { DeadlineExceeded, TransportClosed } from "../../errors.ts";
import type { Call, Delivery, ReserveOptions } from "../../exchange.ts";
import type { Runtime } from "../../runtime.ts";
import type { Walk, Walked } from "./admin.ts";
import type { Committer, Operation } from "./commit.ts";
import { hasWork, reserveJobs } from "./reserve.ts";
import type { Session } from "./session.ts";
import type { Waiter, Waiting } from "./waiting.ts";

/** What a call does with the database. */
export interface Work<T> {
  /** Items; 1 by default. */
  readonly size?: number;
  readonly writes: boolean;
  readonly grows?: boolean;
  readonly run: (session: Session) => T;
}

/** Makes calls. */
export interface Calls {
  call<T>(call: Call, work: Work<T>): Promise<T>;
  /** Calls page after page until a walk has ended; answers what all of them did. */
  walk(action: string, call: Call, page: (session: Session, walk?: Walk) => Walked): Promise<Walked>;
  reserve(queues: readonly string[], options: ReserveOptions): Promise<readonly Delivery[]>;
  close(): void;
}

interface CallsOptions {
  readonly name: string;
  readonly runtime: Runtime;
  readonly committer: Committer;
  readonly waiting: Waiting;
}

/** A promise, the operation behind it, and a signal that ends both. */
interface Answer {
  over: boolean;
  fail(error: unknown): void;
}

/** Makes the calls of a transport. */
export function createCalls({ name, runtime, committer, waiting }: CallsOptions): Calls {
  const parked = new Set<Answer>();
  let closed = false;

  /** Refuses what must not begin, and listens for the abort of what may. Returns what ends the listening. */
  function listen(answer: Answer, signal: AbortSignal | undefined): () => void {
    const abort = (): void => answer.fail(signal?.reason);
    if (closed) answer.fail(new TransportClosed(name));
    else if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
    return () => signal?.removeEventListener("abort", abort);
  }

  function call<T>(
    { signal, deadline }: Call,
    { size = 1, writes, grows = false, run }: Work<T>,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      let deaf = (): void => {};
      const operation: Operation & Answer = {
        size,
        writes,
        grows,
        deadline: runtime.monotonic() + deadline,
        over: false,
        run(session) {
          const result = run(session);
          return () => {
            operation.over = true;
            deaf();
            resolve(result);
          };
        },
        fail(error) {
          operation.over = true;
          deaf();
          reject(error);
        },
      };
      deaf = listen(operation, signal);
      if (!operation.over) committer.submit(operation);
    });
  }

  async function walk(
    action: string,
    { signal, deadline }: Call,
    page: (session: Session, walk?: Walk) => Walked,
  ): Promise<Walked> {
    const end = runtime.monotonic() + deadline;
    let changed = 0;
    let taken = 0;
    let next: Walk | undefined;
    for (;;) {
      const rest = end - runtime.monotonic();
      if (rest <= 0) throw new DeadlineExceeded(action, deadline);
      const walked = await call({ signal, deadline: rest }, {
        writes: true,
        run: (session) => page(session, next),
      });
      changed += walked.changed;
      taken += walked.taken;
      if (walked.next === undefined) return { changed, taken };
      next = walked.next;
    }
  }

  function reserve(queues: readonly string[], options: ReserveOptions): Promise<readonly Delivery[]> {
    const { limit, slots, lease, wait, deadline, signal } = options;
    const end = runtime.monotonic() + wait;
    return new Promise((resolve, reject) => {
      let deaf = (): void => {};
      let alarm: Alarm | undefined;
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
        grows: false,
        deadline: end + deadline,
        over: false,
        needed: (session) => hasWork(session, queues, slots),
        idle: () => park,
        run(session) {
          const deliveries = reserveJobs(session, queues, { limit, slots, lease });
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
      deaf = listen(operation, signal);
      if (!operation.over) committer.submit(operation);
    });
  }

  return {
    call,
    walk,
    reserve,
    close() {
      closed = true;
      for (const answer of [...parked]) answer.fail(new TransportClosed(name));
      waiting.alarms.clear();
    },
  };
}
