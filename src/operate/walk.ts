/**
 * Walks through channels a page at a time: the jobs of a selection, counted or acted upon, without one call that holds
 * all of it.
 *
 * @module
 */

import type { Channel, StoredJob } from "../jobs/job.ts";
import type { Bounds, Desk, Preview } from "./operation.ts";
import { tokenOf } from "./preview.ts";
import { viewOf } from "./view.ts";

/** Jobs of one page of a walk. */
const PAGE = 1_000;
/** Jobs that a preview counts at most. */
const MOST = 10_000;
/** Pages that a preview looks through at most for jobs that are hard to find. */
const MOST_PAGES = 100;
/** Jobs that a preview shows. */
const SAMPLE = 5;

/** Which jobs of some channels of a queue are meant. */
export interface Chosen {
  readonly queue: string;
  readonly channels: readonly Channel[];
  readonly ids?: readonly string[] | undefined;
  readonly name?: string | undefined;
  readonly reason?: string | undefined;
}

/** Whether a job is meant, and was there at an instant: dead ones by their death, others by their dispatch. */
function isMeant(job: StoredJob, { ids, name, reason }: Chosen, until: number): boolean {
  return (ids === undefined || ids.includes(job.id)) && (name === undefined || job.name === name) &&
    (reason === undefined || job.dead?.reason === reason) && (job.dead?.at ?? job.createdAt) <= until;
}

/** The jobs that are meant, a page at a time, channel after channel. */
export async function* pagesOf(
  { relay }: Desk,
  chosen: Chosen,
  until: number,
  { signal }: Bounds,
): AsyncGenerator<{ readonly channel: Channel; readonly jobs: readonly StoredJob[] }> {
  for (const channel of chosen.channels) {
    let cursor: string | undefined;
    do {
      signal?.throwIfAborted();
      const page = await relay.list(chosen.queue, channel, { limit: PAGE, cursor, signal });
      const jobs = page.jobs.filter((job) => isMeant(job, chosen, until));
      yield { channel, jobs };
      cursor = page.jobs.length === 0 ? undefined : page.cursor;
    } while (cursor !== undefined);
  }
}

/** Counts the jobs that a write would reach, and shows the first of it. */
export async function previewOf(
  desk: Desk,
  operation: string,
  chosen: Chosen,
  input: unknown,
  bounds: Bounds,
): Promise<Preview> {
  const instant = desk.now();
  const found: StoredJob[] = [];
  let count = 0;
  let pages = 0;
  let atLeast = false;
  for await (const { jobs } of pagesOf(desk, chosen, instant, bounds)) {
    count += jobs.length;
    found.push(...jobs.slice(0, SAMPLE - found.length));
    bounds.progress?.(Math.min(count, MOST));
    atLeast = count > MOST || ++pages >= MOST_PAGES;
    if (atLeast) break;
  }
  return {
    count: Math.min(count, MOST),
    atLeast,
    sample: found.map((job) => viewOf(job, false)),
    token: await tokenOf(operation, input, instant),
  };
}
