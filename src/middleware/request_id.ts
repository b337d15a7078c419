/**
 * Request ids: a handler's work, and each job that it dispatches, carries the id of the request that caused its job.
 *
 * @module
 */

import type { Middleware } from "../sides/middleware.ts";
import { owning } from "../sides/own.ts";
import { checkKnown, quote } from "../options.ts";

/** Where the id of the running request is kept: as in Node's `AsyncLocalStorage<string>`, and whatever is like it. */
export interface RequestStorage {
  /** Calls a function, in which and in all that follows from it `getStore` gives this id. */
  run<Result>(requestId: string, call: () => Result): Result;
  /** The id of the running request; undefined outside of one. */
  getStore(): string | undefined;
}

/** The options of {@linkcode requestId}. */
export interface RequestIdOptions {
  /**
   * Makes the id ambient: `new AsyncLocalStorage()` of `node:async_hooks`. Default: none, and the id is in the
   * handler's context only.
   */
  readonly storage?: RequestStorage | undefined;
}

/**
 * Adds `requestId` to the context of handlers: the one that the job was dispatched with, else the job's id, so that it
 * is the same on every run (seed 004). With a `storage` it is ambient while the handler runs, and jobs that are
 * dispatched there without a request id of its own carries it on.
 *
 * @throws {TypeError} for an option that is wrong or unknown.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { requestId } from "@relevo/relevo/middleware";
 * import * as v from "valibot";
 *
 * const relay = createRelay({ jobs: { tidy: v.object({}) }, use: [requestId()] });
 * relay.handle("tidy", (_, { requestId }) => console.log(requestId)); // r7
 * await relay.dispatch("tidy", {}, { requestId: "r7" });
 * await relay.drain();
 * await relay.close();
 * ```
 */
export function requestId(options: RequestIdOptions = {}): Middleware<{ requestId: string }> {
  const action = "make the middleware 'requestId'";
  checkKnown(action, options, ["storage"]);
  const { storage } = options;
  if (storage === undefined) {
    return owning({ run: (next) => (_, { job }) => next({ requestId: job.requestId }) }, {
      run: { adds: (run) => ({ requestId: run.requestId }) },
    });
  }
  const { run, getStore }: Partial<RequestStorage> = Object(storage);
  if (typeof run !== "function" || typeof getStore !== "function") {
    throw new TypeError(
      `Cannot ${action} as 'storage' must have 'run' and 'getStore': current value is ${quote(storage)}`,
    );
  }
  return {
    run: (next) => (_, { job }) => storage.run(job.requestId, () => next({ requestId: job.requestId })),
    dispatch: (next) => (jobs) => {
      const ambient = storage.getStore();
      if (ambient === undefined) return next(jobs);
      return next(jobs.map((job) => job.requestId === undefined ? { ...job, requestId: ambient } : job));
    },
  };
}
