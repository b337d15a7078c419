/**
 * What is done with a promise where none was asked for.
 *
 * @module
 */

/** Whether a value is a promise, of whatever library or realm. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** Hears a promise that nobody will wait for: rejected unheard, it would end the process on some runtimes. */
export function hush(value: unknown): void {
  if (isPromise(value)) value.then(undefined, () => undefined);
}
