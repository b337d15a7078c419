/**
 * Many alarms, one timer: run timeouts, heartbeats and retries of one worker share one.
 *
 * @module
 */

import { createHeap } from "./heap.ts";
import type { Runtime } from "../runtime.ts";

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
  ring: () => void;
  live: boolean;
}

/** Cancelled entries that may lie in the heap before it is swept. */
const MAX_CANCELLED = 1_024;

function nothing(): void {}

function isLive({ live }: Entry): boolean {
  return live;
}

/** Makes alarms that ring by the runtime's monotonic clock. */
export function createAlarms(runtime: Runtime): Alarms {
  const heap = createHeap<Entry>((a, b) => a.time < b.time);
  let live = 0;
  let timer: { readonly until: number; readonly cancel: () => void } | undefined;

  function disarm(): void {
    timer?.cancel();
    timer = undefined;
  }

  function rearm(now: number): void {
    if (heap.size > 2 * live + MAX_CANCELLED) heap.retain(isLive);
    const first = heap.peek();
    if (first === undefined || (timer !== undefined && timer.until <= first.time)) return;
    disarm();
    timer = { until: first.time, cancel: runtime.timer(Math.max(0, first.time - now), ring) };
  }

  /** None is left that could ring. */
  function empty(): void {
    disarm();
    heap.retain(isLive);
  }

  function ring(): void {
    timer = undefined;
    const now = runtime.monotonic();
    for (let first = heap.peek(); first !== undefined && first.time <= now; first = heap.peek()) {
      heap.pop();
      if (!first.live) continue;
      first.live = false;
      live--;
      first.ring();
    }
    if (live === 0) empty();
    else rearm(runtime.monotonic());
  }

  return {
    set(ms, ring) {
      const now = runtime.monotonic();
      const entry: Entry = {
        time: now + ms,
        ring,
        live: true,
        cancel() {
          if (!entry.live) return;
          entry.live = false;
          // It stays in the heap for a while, and the call that it would have ended must not, nor its answer.
          entry.ring = nothing;
          live--;
          if (live === 0) empty();
        },
      };
      live++;
      heap.push(entry);
      rearm(now);
      return entry;
    },
    clear() {
      // A caller that still holds one may cancel it later.
      for (let entry = heap.pop(); entry !== undefined; entry = heap.pop()) entry.live = false;
      live = 0;
      empty();
    },
  };
}

/** An alarm that may be cancelled before it costs a timer. */
interface Prospect extends Alarm {
  readonly ms: number;
  readonly ring: () => void;
  live: boolean;
  alarm: Alarm | undefined;
}

/**
 * Makes alarms of which most are cancelled within the turn in which they were set, as those that guard quick calls: a
 * timer that is set and cleared for each would cost more than the call. An alarm counts from the next turn on.
 */
export function createLazyAlarms(runtime: Runtime): Alarms {
  const alarms = createAlarms(runtime);
  let prospects: Prospect[] = [];
  let hop: (() => void) | undefined;

  function settle(): void {
    hop = undefined;
    const all = prospects;
    prospects = [];
    for (const prospect of all) if (prospect.live) prospect.alarm = alarms.set(prospect.ms, prospect.ring);
  }

  return {
    set(ms, ring) {
      const prospect: Prospect = {
        ms,
        ring,
        live: true,
        alarm: undefined,
        cancel() {
          prospect.live = false;
          prospect.alarm?.cancel();
        },
      };
      prospects.push(prospect);
      hop ??= runtime.timer(0, settle);
      return prospect;
    },
    clear() {
      prospects = [];
      hop?.();
      hop = undefined;
      alarms.clear();
    },
  };
}
