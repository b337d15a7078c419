/**
 * A store that is full, as this process knows of it: what room there is then is left to moves, which free as much as
 * they take.
 *
 * @module
 */

import { TransportFull } from "../../../errors.ts";
import type { Link } from "../client/link.ts";
import type { FullStore, QueueStream } from "./queue_stream.ts";

/** Milliseconds for which room is kept for moves behind a refusal. */
export const REFUSED = 500;

/** Keeps the room of a full store for moves, for some milliseconds: dispatches would take it for good. */
export function keepRoom(link: Link, queueStream: QueueStream, ms: number): FullStore {
  const now = link.settings.runtime.monotonic();
  const full = queueStream.full ??= { since: now, moving: 0, kept: now };
  full.kept = Math.max(full.kept, now + ms);
  return full;
}

/** The refusal of a dispatch while what room there is belongs to moves. */
export function fullStill({ queue }: QueueStream): TransportFull {
  return new TransportFull(
    `Cannot push jobs to queue '${queue}' as the store is full: what room it has is left to jobs that are moved`,
  );
}
