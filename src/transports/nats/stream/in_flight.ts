/**
 * The window that bounds the jobs on their way to the server, which refuses those that it cannot keep up with.
 *
 * @module
 */

import type { InFlight } from "./context.ts";

const MAX_JOBS = 1_000;
const MAX_BYTES = 16 * 1024 * 1024;

/** Makes an empty window. */
export function createInFlight(): InFlight {
  const waiting: { readonly bytes: number; readonly resolve: () => void }[] = [];
  let jobs = 0;
  let size = 0;

  function fits(bytes: number): boolean {
    return jobs === 0 || (jobs < MAX_JOBS && size + bytes <= MAX_BYTES);
  }

  function count(bytes: number): void {
    jobs++;
    size += bytes;
  }

  return {
    enter(bytes) {
      if (waiting.length === 0 && fits(bytes)) return void count(bytes);
      return new Promise((resolve) => waiting.push({ bytes, resolve }));
    },
    leave(bytes) {
      jobs--;
      size -= bytes;
      for (let next = waiting[0]; next !== undefined && fits(next.bytes); next = waiting[0]) {
        waiting.shift();
        count(next.bytes);
        next.resolve();
      }
    },
  };
}
