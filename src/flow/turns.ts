/**
 * Turns: jobs that are made ready at different speeds go on in the order in which it began, for each queue.
 *
 * @module
 */

import { hush, unlessAborted } from "../promises.ts";

/** How a turn is taken. */
export interface TurnOptions {
  /** Ends the wait for the turn, and for the job that is made ready. */
  readonly signal: AbortSignal | undefined;
  /**
   * It goes a way of its own: it waits for the answers of those in front, and those behind wait for its answer. Others
   * share one way, which keeps their order: each goes on as soon as the one in front was handed on.
   */
  readonly apart: boolean;
}

/** Keeps the order of each queue. */
export interface Turns {
  /** Whether nothing of this queue is being made ready. */
  isIdle(queue: string): boolean;
  /** Hands on the result of `ready`, once all that took a turn before in any of the queues was handed on or failed. */
  take<Ready, Answer>(
    queues: ReadonlySet<string>,
    ready: Promise<Ready>,
    go: (ready: Ready) => Promise<Answer>,
    options: TurnOptions,
  ): Promise<Answer>;
}

/** The last that took a turn in a queue. */
interface Tail {
  readonly handed: Promise<unknown>;
  readonly answered: Promise<unknown>;
}

/** Makes turns of which none is taken. */
export function createTurns(): Turns {
  const tails = new Map<string, Tail>();
  return {
    isIdle: (queue) => !tails.has(queue),
    take(queues, ready, go, { signal, apart }) {
      const front = [...queues].map((queue) => tails.get(queue));
      const before = Promise.all(front.map((tail) => apart ? tail?.answered : tail?.handed));
      const taken = turn(before, ready, go, signal);
      const answered = taken.then(({ answer }) => answer);
      // One that was given up keeps its place: those behind wait for those in front of it.
      const tail: Tail = {
        handed: Promise.allSettled([before, apart ? answered : taken]),
        answered: Promise.allSettled([...front.map((one) => one?.answered), answered]),
      };
      for (const queue of queues) tails.set(queue, tail);
      tail.answered.then(() => {
        for (const queue of queues) if (tails.get(queue) === tail) tails.delete(queue);
      });
      return answered;
    },
  };
}

async function turn<Ready, Answer>(
  before: Promise<unknown>,
  ready: Promise<Ready>,
  go: (ready: Ready) => Promise<Answer>,
  signal: AbortSignal | undefined,
): Promise<{ readonly answer: Promise<Answer> }> {
  // Its failure is told in its turn.
  hush(ready);
  await unlessAborted(before, signal);
  const made = await unlessAborted(ready, signal);
  signal?.throwIfAborted();
  // Boxed, as the next turn begins before this one's answer is there.
  return { answer: go(made) };
}
