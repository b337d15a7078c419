/**
 * What is done beside the work, now and then, by whoever reserves: the server's clock is read anew, ids whose time is
 * over are let go, notes of jobs that are gone are taken away, what was left in a topic on its way is sent on, and so are
 * jobs that the server has given up.
 *
 * @module
 */

import { partsOf, topicQueue } from "../../names.ts";
import { hush } from "../../promises.ts";
import type { Bench } from "./bench.ts";
import { letGo } from "./ids.ts";
import { sweepNotes } from "./notes.ts";
import type { Place } from "./place.ts";
import { sweep } from "./topics.ts";

/**
 * Milliseconds between two looks at one queue at most, and its part of the time for which the server remembers message
 * ids: what somebody left half done is found while the server knows how far it came. And what a look may take.
 */
const PAUSE = 120_000;
const PART = 1 / 4;
const LATEST = 60_000;
/** Milliseconds between two looks for what the server gave up, at least; a lease where that is longer. */
const SOON = 1_000;

/** Makes what looks after the queues that somebody reserves from. */
export function createTending(bench: () => Bench): (places: readonly Place[]) => void {
  const looked = new Map<Place, number>();
  const missed = new Map<Place, number>();
  return (places) => {
    const now = bench().link.settings.runtime.monotonic();
    for (const place of places) {
      if (
        place.limited.length > 0 && now >= (missed.get(place) ?? -Infinity) + Math.max(SOON, place.ackWait)
      ) {
        missed.set(place, now);
        bench().stranded.listen(place);
        hush(bench().stranded.rescue(place, now + LATEST));
      }
      if (now < (looked.get(place) ?? -Infinity) + Math.min(PAUSE, PART * place.window)) continue;
      looked.set(place, now);
      // What fails is done by the next who looks.
      hush(tend(bench(), place, now + LATEST));
    }
  };
}

async function tend(bench: Bench, place: Place, until: number): Promise<void> {
  await bench.clock.renew(place, until);
  const { topic } = partsOf(place.queue);
  if (topic !== undefined) {
    const own = await bench.places.find(topicQueue(topic), until);
    if (own !== undefined) {
      await sweep(bench, own, until);
      await letGo(bench, own, until);
    }
  }
  await letGo(bench, place, until);
  await sweepNotes(bench, place, until);
}
