/**
 * Promises where none was asked for.
 *
 * @module
 */

import { isRevoked } from "./kinds.ts";

/** Whether a value is a promise, of whatever library or realm. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  if (typeof value !== "object" || value === null) return false;
  try {
    return "then" in value && typeof value.then === "function";
  } catch (error) {
    if (isRevoked(value)) return false;
    throw error;
  }
}

/** Hears a promise that no caller will wait for: rejected unheard, it would end the process on some runtimes. */
export function hush(value: unknown): void {
  // A `then` of the program's own is called by the language's promise, which hears what it throws.
  if (isPromise(value)) Promise.resolve(value).then(undefined, () => undefined);
}

/** The result of a promise, or the signal's reason when that aborts first; leaves no listener behind. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    const end = (then: () => void): void => {
      signal.removeEventListener("abort", abort);
      then();
    };
    signal.addEventListener("abort", abort, { once: true });
    promise.then((value) => end(() => resolve(value)), (error) => end(() => reject(error)));
  });
}
