/**
 * Settlements and extensions that a store refuses while it takes others, as one right is missing or there is no room:
 * the connection is there, so that it is the queue that is told, once per change. The queue works again when each run
 * that was refused is through or given up, and each kind that was refused was taken, or not refused for a while.
 *
 * @module
 */

import { errorOf } from "../errors.ts";
import type { Events } from "../events/events.ts";
import type { Extension, Settlement } from "../jobs/exchange.ts";
import type { Runtime } from "../runtime.ts";
import type { Run } from "./run.ts";
import { pauseOf } from "./trouble.ts";

/** Milliseconds behind which a kind that was refused, and was not needed since, is taken to work with the others. */
const CALM = 60_000;

/** Keeps the refusals of one worker. */
export interface Refusals {
  /** Queues in trouble, those of each verb counted apart. */
  readonly size: number;
  /** It was refused for the so many-th time; how long to pause before the next, in milliseconds. */
  refused(run: Run, item: Settlement | Extension, thrown: unknown, tries: number): number;
  /** It was taken. */
  taken(run: Run, item: Settlement | Extension): void;
  /** The run is over, however it ended. */
  leave(run: Run): void;
}

interface Refused {
  /** When something was last refused, by the monotonic clock. */
  at: number;
  readonly kinds: Set<string>;
  readonly runs: Set<Run>;
}

/** Makes one without any. */
export function createRefusals(
  events: Events,
  { random, monotonic }: Pick<Runtime, "random" | "monotonic">,
): Refusals {
  const troubles = new Map<string, Refused>();
  return {
    get size(): number {
      return troubles.size;
    },
    refused(run, item, thrown, tries) {
      const { queue } = item;
      const during = verbOf(item);
      const key = `${during} ${queue}`;
      const known = troubles.get(key);
      const trouble = known ?? { kinds: new Set(), runs: new Set(), at: 0 };
      trouble.at = monotonic();
      trouble.kinds.add(kindOf(item));
      // An answer may come when the run is over.
      if (run.held >= 0) trouble.runs.add(run);
      if (known === undefined) {
        troubles.set(key, trouble);
        events.emit("queue", { queue, state: "down", during, error: errorOf(thrown) });
      }
      return pauseOf(tries, random);
    },
    taken(run, item) {
      const { queue } = item;
      const during = verbOf(item);
      const key = `${during} ${queue}`;
      const trouble = troubles.get(key);
      if (trouble === undefined) return;
      trouble.runs.delete(run);
      trouble.kinds.delete(kindOf(item));
      if (trouble.runs.size > 0) return;
      if (trouble.kinds.size > 0 && monotonic() - trouble.at < CALM) return;
      troubles.delete(key);
      events.emit("queue", { queue, state: "up", during });
    },
    leave(run) {
      for (const { runs } of troubles.values()) runs.delete(run);
    },
  };
}

function verbOf(item: Settlement | Extension): "settle" | "extend" {
  return "to" in item ? "settle" : "extend";
}

/** Items of one kind are stored in the same way: a store that takes one has the rights and the room for others. */
function kindOf(item: Settlement | Extension): string {
  if (!("to" in item)) return "extend";
  return item.to === "again" && (item.delay !== undefined || item.at !== undefined) ? "later" : item.to;
}
