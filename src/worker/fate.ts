/**
 * What becomes of a run, as a value: told to listeners, and carried out by the transport as a settlement.
 *
 * @module
 */

import type { Delivery, Settlement } from "../exchange.ts";
import type { DeadChannel } from "../job.ts";

/** Why a job is given back without counting. */
export type ReleaseReason = "stop" | "busy" | "suspect" | "unknown" | "invalid" | "version";

/** What becomes of a run, with what listeners are told about it. */
export type Fate =
  | { readonly to: "done"; readonly dropped?: Error }
  | { readonly to: "release"; readonly reason?: "busy" }
  | Again & { readonly told: "retrying"; readonly error: Error; readonly delay: number }
  | Again & { readonly told: "rescheduled" }
  | Again & { readonly told: "released"; readonly reason: ReleaseReason; readonly error?: Error }
  | { readonly to: DeadChannel; readonly meta: string; readonly reason: string; readonly error: Error };

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
  if (fate.to !== "again") return { queue, token, to: fate.to, meta: fate.meta, reason: fate.reason };
  const { meta, payload, delay, at } = fate;
  return { queue, token, to: "again", meta, payload, delay, at };
}
