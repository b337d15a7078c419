/**
 * Windows that bound the items under way at one moment, and their bytes. Items that do not fit wait, in their order.
 *
 * @module
 */

import type { InFlight } from "./context.ts";

/** Jobs on their way to the server, which refuses those that it cannot keep up with. */
const MAX_JOBS = 1_000;
const MAX_BYTES = 16 * 1024 * 1024;

/** Makes an empty window. An item that is larger than it passes alone. */
export function createInFlight(
  mostItems: number = MAX_JOBS,
  mostBytes: () => number = () => MAX_BYTES,
): InFlight {
  const waiting: { readonly bytes: number; readonly resolve: () => void }[] = [];
  let items = 0;
  let size = 0;

  function fits(bytes: number): boolean {
    return items === 0 || (items < mostItems && size + bytes <= mostBytes());
  }

  function count(bytes: number): void {
    items++;
    size += bytes;
  }

  return {
    enter(bytes) {
      if (waiting.length === 0 && fits(bytes)) return void count(bytes);
      return new Promise((resolve) => waiting.push({ bytes, resolve }));
    },
    leave(bytes) {
      items--;
      size -= bytes;
      for (let next = waiting[0]; next !== undefined && fits(next.bytes); next = waiting[0]) {
        waiting.shift();
        count(next.bytes);
        next.resolve();
      }
    },
  };
}
