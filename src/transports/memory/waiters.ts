/**
 * Reserves that found nothing and wait. They share one timer, and a job goes straight to whoever has waited longest
 * for its queue, so that one push wakes one waiter.
 *
 * @module
 */

import type { Delivery, ReserveOptions } from "../../exchange.ts";
import type { Runtime } from "../../runtime.ts";
import type { Clock } from "./clock.ts";

/** What a reserve asks for. */
export interface Request {
  readonly queues: readonly string[];
  readonly options: ReserveOptions;
}

/** Where waiters get their jobs from. */
export interface Source {
  /** Reserves what is there. */
  take(request: Request): readonly Delivery[];
  /** When something will be there at the latest if nothing is pushed, by the process clock; `Infinity` for never. */
  expects(request: Request): number;
}

/** The reserves of one transport that wait. */
export interface Waiters {
  readonly size: number;
  /** Resolves with what a reserve that found nothing gets until its wait is over. */
  wait(request: Request): Promise<readonly Delivery[]>;
  /** Hands what a queue has got to those that wait for it. */
  offer(queue: string): void;
  /** Looks again at a process time, if somebody waits for the queue. */
  expect(queue: string, time: number): void;
  /** Ends all waits with an error. */
  close(error: Error): void;
}

interface Waiter extends Request {
  /** When its wait is over, by the process clock. */
  readonly end: number;
  readonly resolve: (deliveries: readonly Delivery[]) => void;
  readonly reject: (reason: unknown) => void;
  readonly abort: () => void;
  /** What it waits for is not ready: it gets nothing before. */
  held: boolean;
}

export function createWaiters(runtime: Runtime, clock: Clock, source: Source): Waiters {
  /** In the order in which they came. */
  const all = new Set<Waiter>();
  const byQueue = new Map<string, Set<Waiter>>();
  const alarm = createAlarm(runtime, clock, ring);

  function join(waiter: Waiter): void {
    all.add(waiter);
    for (const queue of waiter.queues) {
      const waiters = byQueue.get(queue);
      if (waiters === undefined) byQueue.set(queue, new Set([waiter]));
      else waiters.add(waiter);
    }
    waiter.options.signal?.addEventListener("abort", waiter.abort);
  }

  function leave(waiter: Waiter): void {
    all.delete(waiter);
    for (const queue of waiter.queues) {
      const waiters = byQueue.get(queue);
      waiters?.delete(waiter);
      if (waiters?.size === 0) byQueue.delete(queue);
    }
    waiter.options.signal?.removeEventListener("abort", waiter.abort);
    if (all.size === 0) alarm.clear();
  }

  /** Whether a look for a waiter would come too soon; if so, it comes as soon as it may. */
  function isHeldUp(waiter: Waiter): boolean {
    const ready = waiter.options.ready?.();
    if (ready === undefined) return false;
    waiter.held = true;
    ready.then(() => {
      waiter.held = false;
      ring();
    });
    return true;
  }

  /** Whether a waiter got something. */
  function serve(waiter: Waiter): boolean {
    if (waiter.held || isHeldUp(waiter)) return false;
    const deliveries = source.take(waiter);
    if (deliveries.length === 0) return false;
    leave(waiter);
    waiter.resolve(deliveries);
    return true;
  }

  function ring(): void {
    let first = Infinity;
    for (const waiter of all) {
      if (serve(waiter)) continue;
      if (waiter.end <= clock.elapsed()) {
        leave(waiter);
        waiter.resolve([]);
      } else {
        first = Math.min(first, waiter.end, waiter.held ? Infinity : source.expects(waiter));
      }
    }
    alarm.set(first);
  }

  return {
    get size(): number {
      return all.size;
    },
    wait: ({ queues, options }) =>
      new Promise((resolve, reject) => {
        const end = Math.ceil(clock.elapsed()) + options.wait;
        const waiter: Waiter = {
          queues: [...queues],
          options,
          end,
          held: false,
          resolve,
          reject,
          abort: () => {
            leave(waiter);
            reject(options.signal?.reason);
          },
        };
        join(waiter);
        alarm.set(Math.min(end, source.expects(waiter)));
      }),
    offer(queue) {
      for (const waiter of byQueue.get(queue) ?? []) {
        // Who takes no job that came back may leave one that the next would take.
        if (!serve(waiter) && waiter.options.slots > 0) return;
      }
    },
    expect(queue, time) {
      if (byQueue.has(queue)) alarm.set(time);
    },
    close(error) {
      for (const waiter of all) {
        leave(waiter);
        waiter.reject(error);
      }
    },
  };
}

/** Why a sleep ends early. Nobody sees it; without a reason each abort would make an error with a stack. */
const CLEARED = "cleared";

interface Alarm {
  /** Rings at a process time, unless it is to ring before anyway. */
  set(time: number): void;
  clear(): void;
}

function createAlarm(runtime: Runtime, clock: Clock, ring: () => void): Alarm {
  let sleeping: { readonly time: number; readonly controller: AbortController } | undefined;

  function clear(): void {
    sleeping?.controller.abort(CLEARED);
    sleeping = undefined;
  }

  return {
    clear,
    set(time) {
      if (time >= (sleeping?.time ?? Infinity)) return;
      clear();
      const current = { time, controller: new AbortController() };
      sleeping = current;
      const wake = (): void => {
        if (sleeping !== current) return;
        sleeping = undefined;
        ring();
      };
      runtime.sleep(Math.max(0, Math.ceil(time - clock.elapsed())), current.controller.signal).then(
        wake,
        () => {},
      );
    },
  };
}
