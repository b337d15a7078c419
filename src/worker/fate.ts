/**
 * The fate of a run, as a value: told to listeners, and carried out by the transport as a settlement.
 *
 * @module
 */

import type { Delivery, Settlement } from "../jobs/exchange.ts";
import type { DeadChannel } from "../jobs/job.ts";

/** Why a job is given back without counting. */
export type ReleaseReason = "stop" | "busy" | "suspect" | "unknown" | "invalid" | "version" | "full";

/** The fate of a run, with the event that tells it. */
export type Fate =
  | { readonly to: "done"; readonly dropped?: Error }
  | { readonly to: "release"; readonly reason?: "busy" | "full" }
  | Again & { readonly told: "retrying"; readonly error: Error; readonly delay: number }
  | Again & { readonly told: "rescheduled" }
  | Again & { readonly told: "released"; readonly reason: ReleaseReason; readonly error?: Error }
  | Buried;

/** The fate of most runs. */
export const DONE: Fate = { to: "done" };

/** A job that is dead, or its broker's again. */
export interface Buried {
  readonly to: DeadChannel;
  readonly meta: string;
  readonly reason: string;
  readonly error: Error;
  /** The broker has it back with its error, and may deliver it again. */
  readonly returned?: boolean;
}

interface Again {
  readonly to: "again";
  readonly meta: string;
  readonly payload?: Uint8Array | undefined;
  readonly delay?: number;
  readonly at?: number;
}

/** The settlement that carries out a fate. */
export function settlementOf({ queue, token }: Delivery, fate: Fate): Settlement {
  if (fate.to === "done" || fate.to === "release") return { queue, token, to: fate.to };
  if (fate.to !== "again") {
    const { to, meta, reason, error, returned } = fate;
    return { queue, token, to, meta, reason, ...(returned === true ? { failure: error } : {}) };
  }
  const { meta, payload, delay, at } = fate;
  return { queue, token, to: "again", meta, payload, delay, at };
}
