/**
 * Messages that the broker handed over, until the jobs that they brought are done or dead: then the promise that the
 * broker's callback got is settled.
 *
 * @module
 */

import type { Delivery, Settlement } from "../../jobs/exchange.ts";

/** Messages under way. */
export interface Ledger {
  /** Whether a job with this id is here, and is neither done nor dead. */
  has(queue: string, id: string): boolean;
  /** The ids for which {@linkcode Ledger.has} is true. */
  ids(queue: string): readonly string[];
  /** Writes a message down, with a job in each of the queues; the promise ends as the job does. */
  enter(queues: readonly string[], id: string): Promise<void>;
  /** Notes a job that no message brought: an operator reloaded it. */
  note(queue: string, id: string): void;
  /** Notes the tokens by which jobs are settled. */
  handed(deliveries: readonly Delivery[]): void;
  /** Notes a settlement that changed something. */
  settled(settlement: Settlement): void;
  /** A job is gone; with a failure, its messages are to come again. */
  drop(queue: string, id: string, failure?: Error): void;
  /** The jobs of a queue are another's from now on. */
  move(from: string, to: string): void;
  /** Rejects whatever has not ended. */
  close(error: Error): void;
}

/** A message; a topic's brought a job for each group. */
interface Message {
  left: number;
  failure: Error | undefined;
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}

/** A live job, and the messages that brought it: more than one where the broker did not wait for the first. */
interface Copy {
  queue: string;
  readonly id: string;
  /** That of its current delivery; empty while no worker has it. */
  token: string;
  readonly messages: Message[];
}

/** Makes an empty ledger. */
export function createLedger(): Ledger {
  const byQueue = new Map<string, Map<string, Copy>>();
  const byToken = new Map<string, Copy>();

  function copyOf(queue: string, id: string): Copy {
    let copies = byQueue.get(queue);
    if (copies === undefined) byQueue.set(queue, copies = new Map());
    let copy = copies.get(id);
    if (copy === undefined) copies.set(id, copy = { queue, id, token: "", messages: [] });
    return copy;
  }

  function end(copy: Copy, failure: Error | undefined): void {
    byToken.delete(copy.token);
    byQueue.get(copy.queue)?.delete(copy.id);
    for (const message of copy.messages) {
      message.failure ??= failure;
      if (--message.left > 0) continue;
      if (message.failure === undefined) message.resolve();
      else message.reject(message.failure);
    }
  }

  return {
    has: (queue, id) => byQueue.get(queue)?.has(id) === true,
    ids: (queue) => [...byQueue.get(queue)?.keys() ?? []],
    enter: (queues, id) =>
      new Promise((resolve, reject) => {
        const message = { left: queues.length, failure: undefined, resolve, reject };
        for (const queue of queues) copyOf(queue, id).messages.push(message);
      }),
    note: (queue, id) => void copyOf(queue, id),
    handed(deliveries) {
      for (const { queue, id, token } of deliveries) {
        const copy = copyOf(queue, id);
        byToken.delete(copy.token);
        copy.token = token;
        byToken.set(token, copy);
      }
    },
    settled(settlement) {
      const copy = byToken.get(settlement.token);
      if (copy === undefined) return;
      if (settlement.to !== "again" && settlement.to !== "release") {
        return end(copy, "failure" in settlement ? settlement.failure : undefined);
      }
      byToken.delete(copy.token);
      copy.token = "";
    },
    drop(queue, id, failure) {
      const copy = byQueue.get(queue)?.get(id);
      if (copy !== undefined) end(copy, failure);
    },
    move(from, to) {
      for (const { id, messages } of byQueue.get(from)?.values() ?? []) {
        copyOf(to, id).messages.push(...messages);
      }
      byQueue.delete(from);
    },
    close(error) {
      for (const copies of byQueue.values()) for (const copy of copies.values()) end(copy, error);
    },
  };
}
