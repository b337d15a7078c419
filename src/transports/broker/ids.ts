/**
 * Which ids are refused, as far as this process knows: those that it published within their windows, and those of jobs
 * that came here and are live.
 *
 * @module
 */

import type { Runtime } from "../../runtime.ts";
import { Windows } from "../memory/queue/windows.ts";
import type { Ledger } from "./ledger.ts";

/** Ids that are taken. */
export interface Ids {
  /** `queues`: where the job's copies would be. */
  isTaken(topic: string, id: string, queues: readonly string[]): boolean;
  /** Takes an id while its job is on its way. */
  claim(topic: string, id: string): void;
  /** The way has ended; a stored id stays refused until the window is over. */
  release(topic: string, id: string, until: number | undefined): void;
  /** When a window that begins now is over. */
  endOf(window: number): number;
}

/** Makes the register of ids. */
export function createIds(runtime: Runtime, ledger: Ledger): Ids {
  const windows = new Map<string, Windows>();
  const claims = new Map<string, Set<string>>();
  let seq = 0;
  return {
    isTaken: (topic, id, queues) =>
      claims.get(topic)?.has(id) === true ||
      windows.get(topic)?.holds(id, Math.floor(runtime.monotonic())) === true ||
      queues.some((queue) => ledger.has(queue, id)),
    claim(topic, id) {
      const claimed = claims.get(topic);
      if (claimed === undefined) claims.set(topic, new Set([id]));
      else claimed.add(id);
    },
    release(topic, id, until) {
      claims.get(topic)?.delete(id);
      if (until === undefined) return;
      const open = windows.get(topic) ?? new Windows();
      windows.set(topic, open);
      open.purge(Math.floor(runtime.monotonic()));
      open.open(id, until, ++seq);
    },
    endOf: (window) => Math.ceil(runtime.monotonic() + window),
  };
}
