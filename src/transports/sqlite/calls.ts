/**
 * Calls as the contract has them, made of operations: each with its deadline and signal, each answered once.
 *
 * @module
 */

import { DeadlineExceeded, TransportClosed } from "../../errors.ts";
import type { Call } from "../../jobs/exchange.ts";
import type { Runtime } from "../../runtime.ts";
import type { Walk, Walked } from "./admin.ts";
import type { Committer } from "./engine/commit.ts";
import type { Session } from "./context.ts";
import type { Operation } from "./engine/transact.ts";

/** The work of a call with the database. */
export interface Work<T> {
  /** Items; 1 by default. */
  readonly size?: number;
  readonly writes: boolean;
  readonly run: (session: Session) => T;
}

/** Makes calls. */
export interface Calls {
  call<T>(call: Call, work: Work<T>): Promise<T>;
  /** Calls page after page until a walk has ended; answers the counts of all of them. */
  walk(action: string, call: Call, page: (session: Session, walk?: Walk) => Walked): Promise<Walked>;
  /** Calls part after part, for as long as one that was committed says that there is more. */
  repeat<T>(
    action: string,
    call: Call,
    part: (session: Session) => T,
    more: (done: T) => boolean,
  ): Promise<void>;
  close(): void;
}

interface CallsOptions {
  readonly name: string;
  readonly runtime: Runtime;
  readonly committer: Committer;
}

interface State extends CallsOptions {
  closed: boolean;
}

/** What a promise is ended by, from outside. */
interface Answer {
  fail(error: unknown): void;
}

/** Makes the calls of a transport. */
export function createCalls(options: CallsOptions): Calls {
  const state: State = { ...options, closed: false };
  return {
    call: (bounds, work) => call(state, bounds, work),
    walk: (action, bounds, page) => walk(state, action, bounds, page),
    repeat: (action, bounds, part, more) => repeat(state, action, bounds, part, more),
    close() {
      state.closed = true;
    },
  };
}

/** Refuses a call that must not begin, and listens for the abort of one that may. Returns the end of the listening. */
function listen({ closed, name }: State, answer: Answer, signal: AbortSignal | undefined): () => void {
  const abort = (): void => answer.fail(signal?.reason);
  if (closed) answer.fail(new TransportClosed(name));
  else if (signal?.aborted) abort();
  else signal?.addEventListener("abort", abort, { once: true });
  return () => signal?.removeEventListener("abort", abort);
}

function call<T>(state: State, { signal, deadline }: Call, { size = 1, writes, run }: Work<T>): Promise<T> {
  const { runtime, committer } = state;
  return new Promise((resolve, reject) => {
    let deaf = (): void => {};
    const operation: Operation & { over: boolean } = {
      size,
      writes,
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
    deaf = listen(state, operation, signal);
    if (!operation.over) committer.submit(operation);
  });
}

async function repeat<T>(
  state: State,
  action: string,
  { signal, deadline }: Call,
  part: (session: Session) => T,
  more: (done: T) => boolean,
): Promise<void> {
  const { runtime } = state;
  const end = runtime.monotonic() + deadline;
  for (;;) {
    const rest = end - runtime.monotonic();
    if (rest <= 0) throw new DeadlineExceeded(action, deadline);
    if (!more(await call(state, { signal, deadline: rest }, { writes: true, run: part }))) return;
  }
}

async function walk(
  state: State,
  action: string,
  bounds: Call,
  page: (session: Session, walk?: Walk) => Walked,
): Promise<Walked> {
  let changed = 0;
  let taken = 0;
  let next: Walk | undefined;
  await repeat(state, action, bounds, (session) => page(session, next), (walked) => {
    changed += walked.changed;
    taken += walked.taken;
    next = walked.next;
    return next !== undefined;
  });
  return { changed, taken };
}
