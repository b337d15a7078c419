/**
 * Turns of the real event loop, whatever a test has put in the place of its timers.
 *
 * @module
 */

import { macrotask, real } from "../runtime.ts";

/** Taken when this module is loaded, as a test may replace the global ones. Not every runtime has the first. */
const setMacrotask: unknown = macrotask("setImmediate");
const setTimer: typeof setTimeout = real("setTimeout", setTimeout);

/**
 * One turn of the real event loop, in which all microtasks run to their end. In workerd a timer of 0 ms, and
 * `setImmediate` with it, takes a millisecond, and reading the text of a response a hundredth of one.
 */
export function turn(): Promise<unknown> {
  if (globalThis.navigator?.userAgent === "Cloudflare-Workers") return new Response("turn").text();
  return new Promise((resolve) => {
    if (typeof setMacrotask === "function") setMacrotask(resolve);
    else setTimer(resolve, 0);
  });
}

/** A real millisecond, in which files, sockets and other threads go on. */
export function pause(): Promise<unknown> {
  return new Promise((resolve) => setTimer(resolve, 1));
}
