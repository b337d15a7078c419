/**
 * Calls that are answered by work which bounds itself: one begins unless its signal is aborted, or the transport is
 * closed.
 *
 * @module
 */

import type { Around } from "../contract/around.ts";
import { TransportClosed } from "../errors.ts";

/** Answers calls until it is closed. */
export interface Answering {
  /** Does at once all that can be done at once, so that calls are carried out in their order; a throw of it rejects. */
  readonly answer: Around;
  /** Refuses calls from now on, with an error such as it returns. */
  close(): TransportClosed;
}

/** Makes it for a transport of that name. */
export function createAnswering(name: string): Answering {
  let closed = false;
  return {
    answer(_action, { signal }, work) {
      try {
        if (closed) throw new TransportClosed(name);
        signal?.throwIfAborted();
        return Promise.resolve(work());
      } catch (error) {
        return Promise.reject(error);
      }
    },
    close() {
      closed = true;
      return new TransportClosed(name);
    },
  };
}
