/**
 * The runs of filters: each bounded in time, as schemas are that wait, and not too many at once, since each may hold
 * memory of its own.
 *
 * @module
 */

import type { Alarms } from "../flow/alarms.ts";
import type { Filter, FilterContext } from "./codec.ts";
import { unlessLate } from "../flow/deadline.ts";
import { MAX_FILTERING } from "../defaults.ts";
import { DeadlineExceeded } from "../errors.ts";
import { createFifo } from "../flow/fifo.ts";
import { isByteArray, ofThisRealm } from "../kinds.ts";
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
  /** The end of a schema's promise, in the time that a filter has. The action completes "Cannot ...". */
  readonly inTime: <T>(action: string, promise: Promise<T>, signal?: AbortSignal) => Promise<T>;
}

/** What a schema does, for errors of one that does not answer. */
export function checking(job: string): string {
  return `check the payload of '${job}'`;
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

  function inTime<T>(action: string, promise: Promise<T>, signal?: AbortSignal): Promise<T> {
    const late = (): Error => new DeadlineExceeded(action, callTimeout);
    return unlessLate(alarms, promise, { ms: callTimeout, late, signal });
  }

  async function run(
    filter: Filter,
    make: () => Uint8Array | Promise<Uint8Array>,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    signal?.throwIfAborted();
    const made = (async () => await make())();
    const bytes: unknown = await inTime(`run the filter '${filter.id}'`, made, signal);
    if (isByteArray(bytes)) return ofThisRealm(bytes);
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

  return { apply: pass("apply"), undo: pass("undo"), inTime };
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
