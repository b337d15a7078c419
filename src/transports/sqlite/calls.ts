/**
 * Calls as the contract has them, made of operations: each with its deadline and signal, each answered once.
 *
 * @module
 */

import { TransportClosed } from "../../errors.ts";
import type { Call } from "../../jobs/exchange.ts";
import type { Runtime } from "../../runtime.ts";
import { restOf } from "../../store/calls.ts";
import type { Committer } from "./engine/commit.ts";
import type { Session } from "./context.ts";
import type { Operation } from "./engine/transact.ts";

/** The work of a call with the database. */
export interface Work<T> {
  /** Items; 1 by default. */
  readonly size?: number;
  readonly writes: boolean;
  /** As an operation's. */
  readonly narrows?: boolean;
  readonly run: (session: Session) => T;
}

/** Makes calls. */
export interface Calls {
  call<T>(call: Call, work: Work<T>): Promise<T>;
  /** Calls for one item that is read, or written. */
  read<T>(call: Call, run: Work<T>["run"]): Promise<T>;
  write<T>(call: Call, run: Work<T>["run"]): Promise<T>;
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

/** Makes the calls of a transport. */
export function createCalls({ name, runtime, committer }: CallsOptions): Calls {
  let closed = false;

  function call<T>(
    { signal, deadline }: Call,
    { size = 1, writes, narrows = false, run }: Work<T>,
  ): Promise<T> {
    if (closed) return Promise.reject(new TransportClosed(name));
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const end = (then: () => void): void => {
        operation.over = true;
        signal?.removeEventListener("abort", abort);
        then();
      };
      const abort = (): void => end(() => reject(signal?.reason));
      const operation: Operation & { over: boolean } = {
        size,
        writes,
        narrows,
        deadline: runtime.monotonic() + deadline,
        over: false,
        run(session) {
          const result = run(session);
          return () => end(() => resolve(result));
        },
        fail: (error) => end(() => reject(error)),
      };
      signal?.addEventListener("abort", abort, { once: true });
      committer.submit(operation);
    });
  }

  const repeat: Calls["repeat"] = async (action, bounds, part, more) => {
    const rest = restOf(runtime, action, bounds);
    while (more(await call(rest(), { writes: true, narrows: true, run: part })));
  };

  return {
    call,
    read: (bounds, run) => call(bounds, { writes: false, run }),
    write: (bounds, run) => call(bounds, { writes: true, run }),
    repeat,
    close() {
      closed = true;
    },
  };
}
