/**
 * Turns of the real event loop, whatever a test has put in the place of its timers.
 *
 * @module
 */

/** Taken when this module is loaded, as a test may replace the global ones. Not every runtime has the first. */
const setMacrotask: unknown = Reflect.get(globalThis, "setImmediate");
const setTimer: typeof setTimeout = setTimeout;

/** Fake timers were installed before this module was loaded: those of vitest and jest carry the clock that moves them. */
const isFaked: boolean = Reflect.has(setTimer, "clock");

/**
 * One turn of the real event loop, in which all microtasks run to their end. In workerd a timer of 0 ms, and
 * `setImmediate` with it, takes a millisecond, and reading the text of a response a hundredth of one.
 */
export function turn(): Promise<unknown> {
  if (globalThis.navigator?.userAgent === "Cloudflare-Workers") return new Response("turn").text();
  if (isFaked) return message();
  return new Promise((resolve) => {
    if (typeof setMacrotask === "function") setMacrotask(resolve);
    else setTimer(resolve, 0);
  });
}

/** A real millisecond, in which files, sockets and other threads go on; one turn where the timers are faked. */
export function pause(): Promise<unknown> {
  return isFaked ? turn() : new Promise((resolve) => setTimer(resolve, 1));
}

/** A message to itself: no library of fake timers replaces ports. */
function message(): Promise<unknown> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve(undefined);
    };
    port2.postMessage(undefined);
  });
}
