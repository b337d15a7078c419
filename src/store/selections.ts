/**
 * The jobs of a channel that an operator means.
 *
 * @module
 */

import type { Selection } from "../jobs/exchange.ts";
import type { Channel } from "../jobs/job.ts";

/** Jobs that are to be reloaded or removed. */
export interface Chosen<C extends Channel = Channel> {
  readonly queue: string;
  readonly channel: C;
  readonly select: Selection;
}

/** The ids of a selection, each once; undefined where it names none. */
export function idsOf(select: Selection): readonly string[] | undefined {
  return select !== "all" && "ids" in select ? [...new Set(select.ids)] : undefined;
}

/** Whether a selection that names no ids means a job; a dead one has its reason, and the time at which it died. */
export function isMeant(select: Selection, name: string, reason?: string, died: number = Infinity): boolean {
  if (select === "all" || "ids" in select) return true;
  return (select.name ?? name) === name && (select.reason ?? reason) === reason &&
    (select.before === undefined || died < select.before);
}
