/**
 * Operations on jobs of any channel.
 *
 * @module
 */

import * as v from "valibot";
import {
  type ListInput,
  listInput,
  type RemoveInput,
  removeInput,
  type SelectInput,
  type ShowInput,
  showInput,
} from "./input.ts";
import { type Bounds, type Desk, type JobView, type Operation, operation } from "./operation.ts";
import { instantOf } from "./preview.ts";
import { Refusal } from "./refusal.ts";
import { jobView, viewOf } from "./view.ts";
import { type Chosen, pagesOf, previewOf } from "./walk.ts";

/** A page of jobs. */
export interface PageOutput {
  readonly jobs: readonly JobView[];
  /** Asks for the next page; absent on the last. */
  readonly cursor?: string;
}

/** Its schema. */
export const pageOutput: v.GenericSchema<unknown, PageOutput> = v.object({
  jobs: v.array(jobView),
  cursor: v.exactOptional(v.string()),
});

/** The counts of a removal. */
export interface Removed {
  /** Jobs that are gone. */
  readonly removed: number;
}

/** Its schema. */
export const removedOutput: v.GenericSchema<unknown, Removed> = v.object({ removed: v.number() });

/** A page of a channel. */
export async function pageOf({ relay }: Desk, input: ListInput, { signal }: Bounds): Promise<PageOutput> {
  const { queue, channel, limit, cursor, payload } = input;
  const page = await relay.list(queue, channel, { limit, cursor, signal });
  const jobs = page.jobs.map((job) => viewOf(job, payload));
  return page.cursor === undefined ? { jobs } : { jobs, cursor: page.cursor };
}

/** Removes the jobs of its preview, a page at a time. */
export async function removal(
  desk: Desk,
  operation: string,
  chosen: Chosen,
  input: unknown,
  token: string | undefined,
  bounds: Bounds,
): Promise<Removed> {
  const until = await instantOf(operation, input, token, desk.now());
  let removed = 0;
  for await (const { channel, jobs } of pagesOf(desk, chosen, until, bounds)) {
    if (jobs.length === 0) continue;
    const ids = jobs.map(({ id }) => id);
    removed += await desk.relay.remove(chosen.queue, channel, { ids }, { signal: bounds.signal });
    bounds.progress?.(removed);
  }
  return { removed };
}

const list = operation<ListInput, PageOutput>({
  name: "jobs.list",
  about: "Shows a channel's jobs, the next to run first.",
  kind: "read",
  input: listInput,
  output: pageOutput,
  run: pageOf,
});

const show = operation<ShowInput, JobView>({
  name: "jobs.show",
  about: "Shows one job: the live one with this id, else the newest dead one.",
  kind: "read",
  input: showInput,
  output: jobView,
  async run({ relay }, { queue, id, payload }, { signal }) {
    const job = await relay.get(queue, id, { signal });
    if (job === undefined) {
      throw new Refusal("missing", `Cannot show job '${id}' of queue '${queue}' as there is none`);
    }
    return viewOf(job, payload);
  },
});

const remove = operation<RemoveInput, Removed>({
  name: "jobs.remove",
  about: "Removes jobs of one channel for good; a running one's worker is told that it lost the job.",
  kind: "write",
  input: removeInput,
  output: removedOutput,
  preview(desk, { token: _, ...input }, bounds) {
    return previewOf(desk, "jobs.remove", chosenOf(input), input, bounds);
  },
  run(desk, { token, ...input }, bounds) {
    return removal(desk, "jobs.remove", chosenOf(input), input, token, bounds);
  },
});

function chosenOf({ channel, ...input }: Omit<RemoveInput, "token"> & SelectInput): Chosen {
  return { ...input, channels: [channel] };
}

/** The operations. */
export const jobOperations: readonly Operation[] = [list, show, remove];
