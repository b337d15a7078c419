/**
 * Many alarms, one timer: run timeouts, heartbeats and retries of one worker share a single sleep.
 *
 * @module
 */

import { createHeap, type Heap } from "./heap.ts";
import type { Runtime } from "./runtime.ts";

/** An alarm that was set. */
export interface Alarm {
  /** It will not ring. */
  cancel(): void;
}

/** Sets alarms. */
export interface Alarms {
  /** Rings once, after so many milliseconds. `ring` must not throw. */
  set(ms: number, ring: () => void): Alarm;
  /** Cancels all; the timer is gone when this returns. */
  clear(): void;
}

interface Entry extends Alarm {
  readonly time: number;
  readonly ring: () => void;
  live: boolean;
}

/** Cancelled entries that may lie in the heap before it is swept. */
const MAX_CANCELLED = 1_024;

/** Why a sleep ends early. Nobody sees it; without a reason each abort would make an error with a stack. */
const WOKEN = "woken";

/** Makes alarms that ring by the runtime's monotonic clock. */
export function createAlarms(runtime: Runtime): Alarms {
  let heap: Heap<Entry> = createHeap((a, b) => a.time < b.time);
  let live = 0;
  let sleeping: { readonly until: number; readonly controller: AbortController } | undefined;

  function wake(): void {
    sleeping?.controller.abort(WOKEN);
    sleeping = undefined;
  }

  function rearm(): void {
    if (live === 0) {
      wake();
      heap = createHeap((a, b) => a.time < b.time);
      return;
    }
    if (heap.size > 2 * live + MAX_CANCELLED) sweep();
    const first = heap.peek();
    if (first === undefined || (sleeping !== undefined && sleeping.until <= first.time)) return;
    wake();
    const current = { until: first.time, controller: new AbortController() };
    sleeping = current;
    runtime.sleep(Math.max(0, first.time - runtime.monotonic()), current.controller.signal).then(
      ring,
      () => {},
    );
  }

  function sweep(): void {
    const swept: Heap<Entry> = createHeap((a, b) => a.time < b.time);
    for (let entry = heap.pop(); entry !== undefined; entry = heap.pop()) if (entry.live) swept.push(entry);
    heap = swept;
  }

  function ring(): void {
    sleeping = undefined;
    const now = runtime.monotonic();
    for (let first = heap.peek(); first !== undefined && first.time <= now; first = heap.peek()) {
      heap.pop();
      if (!first.live) continue;
      first.live = false;
      live--;
      first.ring();
    }
    rearm();
  }

  return {
    set(ms, ring) {
      const entry: Entry = {
        time: runtime.monotonic() + ms,
        ring,
        live: true,
        cancel() {
          if (!entry.live) return;
          entry.live = false;
          live--;
          if (live === 0) rearm();
        },
      };
      live++;
      heap.push(entry);
      rearm();
      return entry;
    },
    clear() {
      live = 0;
      rearm();
    },
  };
}
