/**
 * The runs of filters: each bounded in time, and not too many at once, since each may hold memory of its own.
 *
 * @module
 */

import type { Alarms } from "../flow/alarms.ts";
import type { Filter, FilterContext } from "./codec.ts";
import { unlessLate } from "../flow/deadline.ts";
import { MAX_FILTERING } from "../defaults.ts";
import { DeadlineExceeded } from "../errors.ts";
import { createFifo } from "../flow/fifo.ts";
import { partsOf } from "../names.ts";

type Pass = (
  filters: readonly Filter[],
  bytes: Uint8Array,
  context: FilterContext,
  signal?: AbortSignal,
) => Promise<Uint8Array>;

/** Runs filters. */
export interface Filtering {
  /** The bytes to be stored: those after all filters, in order. The signal ends the wait for them. */
  readonly apply: Pass;
  /** The bytes as dispatched: those after going back through all filters. */
  readonly undo: Pass;
}

/** Makes the runner of a relay's filters; `callTimeout` bounds each run of one, in milliseconds. */
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

  async function run(
    filter: Filter,
    make: () => Uint8Array | Promise<Uint8Array>,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    signal?.throwIfAborted();
    const late = (): Error => new DeadlineExceeded(`run the filter '${filter.id}'`, callTimeout);
    const made = (async () => await make())();
    const bytes: unknown = await unlessLate(alarms, made, { ms: callTimeout, late, signal });
    if (bytes instanceof Uint8Array) return bytes;
    throw new TypeError(`the filter '${filter.id}' must give a Uint8Array`);
  }

  const pass = (way: "apply" | "undo"): Pass => (filters, bytes, context, signal) =>
    inLine(async () => {
      let made = bytes;
      for (const filter of way === "apply" ? filters : filters.toReversed()) {
        const given = made;
        made = await run(filter, () => filter[way](given, context), signal);
      }
      return made;
    });

  return { apply: pass("apply"), undo: pass("undo") };
}

/**
 * The context of a job's bytes. A job that a schedule pushed has the schedule's key in its record: its payload was
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
