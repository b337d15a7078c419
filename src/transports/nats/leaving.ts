/**
 * What was acknowledged, on its way out of a stream with copies. The server answers once most servers know of the
 * acknowledgement; whoever leads the stream hears of it a moment later, and has most of them take the message out then.
 * Until that is so an id looks taken whose job is done, and a job looks reserved that waits for its next run elsewhere:
 * so it is waited for before anybody is told that a delivery has ended.
 *
 * @module
 */

import type { Link } from "./link.ts";
import type { Line } from "./names.ts";
import type { Place } from "./place.ts";
import { storedAt } from "./read.ts";

/** A message that was acknowledged. */
export interface Ended {
  readonly place: Place;
  readonly line: Line;
  readonly seq: number;
}

/** Milliseconds between two looks at first and at most. */
const PAUSE_MIN = 2;
const PAUSE_MAX = 50;
/** Milliseconds for which a message is waited for at most: what holds it up for longer is an election. */
const PATIENCE = 1_000;

/**
 * Resolves when those are out that were acknowledged, or when they have been waited for long enough: they have ended,
 * whatever becomes of this. Of each line the one with the highest number is looked at, as it was acknowledged last, and
 * they leave in that order.
 */
export async function haveLeft(link: Link, ended: readonly Ended[], until: number): Promise<void> {
  const last = new Map<Place, Map<Line, number>>();
  for (const { place, line, seq } of ended) {
    if (place.replicas === 1) continue;
    const lines = last.get(place) ?? new Map<Line, number>();
    last.set(place, lines.set(line, Math.max(seq, lines.get(line) ?? 0)));
  }
  if (last.size === 0) return;
  const late = Math.min(until, link.settings.runtime.monotonic() + PATIENCE);
  await Promise.all(
    [...last].flatMap(([place, lines]) =>
      [...lines.values()].map((seq) => hasLeft(link, place, seq, late).catch(() => undefined))
    ),
  );
}

async function hasLeft(link: Link, place: Place, seq: number, late: number): Promise<void> {
  const { runtime } = link.settings;
  for (let pause = PAUSE_MIN; runtime.monotonic() < late; pause = Math.min(PAUSE_MAX, 2 * pause)) {
    if (await storedAt({ link }, place, { seq }, late) === undefined) return;
    await link.leaders.rest(pause);
  }
}
