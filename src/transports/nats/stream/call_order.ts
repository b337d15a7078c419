/**
 * The order of calls on queues: the server gets messages, pulls and acknowledgements by different ways, so that one
 * that was sent later may be carried out sooner. Calls of one kind may overlap; those of the other kind wait.
 *
 * @module
 */

/** The kind of a call: it puts messages into a queue, or takes them from it. */
export type Kind = "put" | "take";

/** The calls under way on one queue. */
export type CallOrder = Readonly<Record<Kind, Promise<unknown>[]>>;

/** Makes an order in which nothing is under way. */
export function createCallOrder(): CallOrder {
  return { put: [], take: [] };
}

/**
 * Carries a call out once those of the other kind that were made on its queues before have ended. `bounded` bounds the
 * wait for them: when it rejects the call is not made.
 */
export function inOrder<T>(
  orders: Iterable<CallOrder>,
  kind: Kind,
  bounded: (before: Promise<unknown>) => Promise<unknown>,
  call: () => Promise<T>,
): Promise<T> {
  const all = [...orders];
  const before = all.flatMap((order) => order[kind === "put" ? "take" : "put"]);
  const running = before.length === 0 ? call() : bounded(Promise.allSettled(before)).then(call);
  for (const order of all) {
    const under = order[kind];
    under.push(running);
    const end = (): void => void under.splice(under.indexOf(running), 1);
    running.then(end, end);
  }
  return running;
}
