/**
 * Many alarms, one timer: run timeouts, heartbeats and retries of one worker share one.
 *
 * @module
 */

import { createHeap, type Heap } from "./heap.ts";
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

/** Cancelled entries that are taken out one by one, as a new heap costs more. */
const FEW = 4;

function nothing(): void {}

function createEntries(): Heap<Entry> {
  return createHeap((a, b) => a.time < b.time);
}

/** The live entries of a heap, which is empty then. */
function sweptOf(heap: Heap<Entry>): Heap<Entry> {
  const swept = createEntries();
  for (let entry = heap.pop(); entry !== undefined; entry = heap.pop()) if (entry.live) swept.push(entry);
  return swept;
}

/** Makes alarms that ring by the runtime's monotonic clock. */
export function createAlarms(runtime: Runtime): Alarms {
  let heap = createEntries();
  let live = 0;
  let timer: { readonly until: number; readonly cancel: () => void } | undefined;

  function disarm(): void {
    timer?.cancel();
    timer = undefined;
  }

  function rearm(): void {
    if (live === 0) {
      disarm();
      if (heap.size > FEW) heap = createEntries();
      else while (heap.pop() !== undefined);
      return;
    }
    if (heap.size > 2 * live + MAX_CANCELLED) heap = sweptOf(heap);
    const first = heap.peek();
    if (first === undefined || (timer !== undefined && timer.until <= first.time)) return;
    disarm();
    timer = {
      until: first.time,
      cancel: runtime.timer(Math.max(0, first.time - runtime.monotonic()), ring),
    };
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
          // It stays in the heap for a while, and the call that it would have ended must not, nor its answer.
          entry.ring = nothing;
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
      // A caller that still holds one may cancel it later.
      for (let entry = heap.pop(); entry !== undefined; entry = heap.pop()) entry.live = false;
      live = 0;
      rearm();
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
