/**
 * The poll that makes up for notifications that were missed or never sent: raw entries, leases of others that end.
 * Plain commands, one of each kind for all queues of a server.
 *
 * @module
 */

import type { Looks } from "./waiters_poll.ts";
import { textOf } from "./client/driver.ts";
import type { Link, Reply } from "./client/link.ts";

/** A queue, and the newest entry of it that is known. */
export interface Watched {
  readonly queue: string;
  readonly seen: string;
}

/** The state of a queue, as a check found it. */
export interface Sight {
  readonly queue: string;
  /** As in `waiters_poll.ts`. */
  readonly next: number;
  /** Whether there are entries that were not seen. */
  readonly fresh: boolean;
}

/** The state of each queue, within `deadline` milliseconds. */
export async function check(
  link: Link,
  looks: Looks,
  watched: readonly Watched[],
  deadline: number,
): Promise<readonly Sight[]> {
  if (watched.length === 0) return [];
  if (link.clustered && watched.length > 1) {
    return (await Promise.all(watched.map((each) => check(link, looks, [each], deadline)))).flat();
  }
  const nexts = watched.map(({ queue }) => looks.next(queue));
  const streams = watched.map(({ queue }) => looks.waiting(queue));
  const [next = "", stream = ""] = [nexts[0], streams[0]];
  const ids = watched.map(({ seen }) => seen);
  const [times, fresh] = await Promise.all([
    link.command(next, ["MGET", ...nexts], { deadline }),
    link.command(stream, ["XREAD", "COUNT", "1", "STREAMS", ...streams, ...ids], { deadline }),
  ]);
  const names = namesOf(fresh);
  return watched.map(({ queue }, n) => ({
    queue,
    next: timeOf(listOf(times)[n]),
    fresh: names.has(streams[n] ?? ""),
  }));
}

function listOf(reply: Reply): readonly Reply[] {
  return Array.isArray(reply) ? reply : [];
}

/**
 * The streams in an answer of XREAD: a map of them, or a list of pairs where the connection speaks the older protocol.
 */
function namesOf(reply: Reply): ReadonlySet<string> {
  const names = new Set<string>();
  for (const part of listOf(reply)) {
    if (part instanceof Uint8Array) names.add(textOf(part));
    else if (Array.isArray(part) && part[0] instanceof Uint8Array) names.add(textOf(part[0]));
  }
  return names;
}

function timeOf(reply: Reply | undefined): number {
  if (!(reply instanceof Uint8Array)) return Infinity;
  const time = Number(textOf(reply));
  return Number.isFinite(time) ? time : Infinity;
}
