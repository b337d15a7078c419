/**
 * The runs of filters: each bounded in time, and not too many at once, since each may hold memory of its own.
 *
 * @module
 */

import type { Alarms } from "./alarms.ts";
import type { Filter, FilterContext } from "./codec.ts";
import { unlessLate } from "./deadline.ts";
import { MAX_FILTERING } from "./defaults.ts";
import { DeadlineExceeded } from "./errors.ts";
import { createFifo } from "./fifo.ts";
import { partsOf } from "./names.ts";

/** Runs filters. */
export interface Filtering {
  /** What is to be stored: the bytes after all filters, in order. */
  apply(filters: readonly Filter[], bytes: Uint8Array, context: FilterContext): Promise<Uint8Array>;
  /** What was stored: the bytes after going back through all filters. */
  undo(filters: readonly Filter[], bytes: Uint8Array, context: FilterContext): Promise<Uint8Array>;
}

/** Makes what runs a relay's filters; `callTimeout` bounds each run of one, in milliseconds. */
export function createFiltering(alarms: Alarms, callTimeout: number): Filtering {
  const line = createFifo<() => void>();
  let running = 0;

  async function inLine<T>(work: () => Promise<T>): Promise<T> {
    if (running < MAX_FILTERING) running++;
    // The place is handed on from one that ends to the next.
    else await new Promise<void>((resolve) => line.push(resolve));
    try {
      return await work();
    } finally {
      const next = line.shift();
      if (next === undefined) running--;
      else next();
    }
  }

  async function run(filter: Filter, make: () => Uint8Array | Promise<Uint8Array>): Promise<Uint8Array> {
    const late = (): Error => new DeadlineExceeded(`run the filter '${filter.id}'`, callTimeout);
    const made = (async () => await make())();
    const bytes: unknown = await unlessLate(alarms, made, { ms: callTimeout, late });
    if (bytes instanceof Uint8Array) return bytes;
    throw new TypeError(`the filter '${filter.id}' must give a Uint8Array`);
  }

  return {
    apply: (filters, bytes, context) =>
      inLine(async () => {
        let made = bytes;
        for (const filter of filters) {
          const given = made;
          made = await run(filter, () => filter.apply(given, context));
        }
        return made;
      }),
    undo: (filters, bytes, context) =>
      inLine(async () => {
        let made = bytes;
        for (const filter of filters.toReversed()) {
          const given = made;
          made = await run(filter, () => filter.undo(given, context));
        }
        return made;
      }),
  };
}

/**
 * What a job's bytes belong to. A job that a schedule pushed has the schedule's key in its record: its payload was
 * written once, for all of them.
 */
export function contextOf(
  { name, queue, id }: { readonly name: string; readonly queue: string; readonly id: string },
  schedule: unknown,
  part: FilterContext["part"],
): FilterContext {
  const place = partsOf(queue).topic ?? queue;
  return typeof schedule === "string" && part === "payload"
    ? { name, place, id: schedule, of: "schedule", part }
    : { name, place, id, of: "job", part };
}
