/**
 * Schedules that a relay stored and that its own workers cannot push, as the relay was not given their recurrences. It
 * is told as soon as one of its workers runs: the first tick, where a worker would notice, may be a month away.
 *
 * @module
 */

import type { Events } from "../events/events.ts";
import { type Kinds, lackOf } from "../schedules/kinds.ts";
import type { Draft } from "./schedule_draft.ts";

/** Watches the schedules that one relay stores. */
export interface Unread {
  /** A schedule was stored. */
  stored(draft: Draft): void;
  /** A worker of this relay began to push ticks. */
  began(): void;
}

/** Makes the watch over a relay's schedules; `isPushing` says whether a worker of this relay runs. */
export function createUnread(kinds: Kinds, events: Events, isPushing: () => boolean): Unread {
  /** Of each kind that is not known here the key of one schedule. */
  const unread = new Map<string, string>();
  function tell(): void {
    for (const [kind, key] of unread) {
      if (!kinds.isNews(`kind ${kind}`)) continue;
      const error = new TypeError(`Cannot push the ticks of schedule '${key}' as ${lackOf(kind)}`);
      events.emit("error", { error, during: "pushing the ticks of schedules" });
    }
    unread.clear();
  }
  return {
    stored({ key, definite: { when: { kind } } }) {
      if (!kinds.has(kind)) unread.set(kind, key);
      if (isPushing()) tell();
    },
    began: tell,
  };
}
