/**
 * Operations on dead jobs.
 *
 * @module
 */

import * as v from "valibot";
import { type DeadChannel, isDead } from "../jobs/job.ts";
import {
  type DeadInput,
  deadInput,
  type DeadListInput,
  deadListInput,
  type ReloadInput,
  reloadInput,
  type ShowInput,
  showInput,
} from "./input.ts";
import { pageOf, type PageOutput, pageOutput, removal, type Removed, removedOutput } from "./jobs.ts";
import { type Bounds, type Desk, type JobView, type Operation, operation } from "./operation.ts";
import { instantOf } from "./preview.ts";
import { Refusal } from "./refusal.ts";
import { jobView, viewOf } from "./view.ts";
import { pagesOf, previewOf } from "./walk.ts";

/** A page of dead jobs, newest first within a channel. */
const list = operation<DeadListInput, PageOutput>({
  name: "dead.list",
  about: "Shows dead jobs, newest first, with their reasons.",
  kind: "read",
  input: deadListInput,
  output: pageOutput,
  async run(desk, { channels, cursor, limit, ...input }, bounds) {
    // A cursor is that of one channel behind its name: channels follow one another.
    const [at, from] = cursor === undefined ? [channels[0]] : placeOf(cursor);
    const first = channels.findIndex((channel) => channel === at);
    if (first < 0) {
      throw new Refusal(
        "input",
        `Cannot run 'dead.list' as 'cursor' must be that of a page of these channels: current value is ${
          JSON.stringify(cursor)
        }`,
      );
    }
    const jobs: JobView[] = [];
    let inner = from;
    for (const channel of channels.slice(first)) {
      if (jobs.length === limit) return { jobs, cursor: `${channel}:` };
      const given = inner === undefined ? {} : { cursor: inner };
      const page = await pageOf(desk, { ...input, ...given, channel, limit: limit - jobs.length }, bounds);
      jobs.push(...page.jobs);
      if (page.cursor !== undefined) return { jobs, cursor: `${channel}:${page.cursor}` };
      inner = undefined;
    }
    return { jobs };
  },
});

function placeOf(cursor: string): [string, string?] {
  const end = cursor.indexOf(":");
  const inner = cursor.slice(end + 1);
  return end < 0 || inner === "" ? [cursor.replace(":", "")] : [cursor.slice(0, end), inner];
}

const show = operation<ShowInput, JobView>({
  name: "dead.show",
  about: "Shows one dead job with its error.",
  kind: "read",
  input: showInput,
  output: jobView,
  async run({ relay }, { queue, id, payload }, { signal }) {
    const job = await relay.get(queue, id, { signal });
    if (job === undefined || !isDead(job.channel)) {
      throw new Refusal("missing", `Cannot show dead job '${id}' of queue '${queue}' as there is none`);
    }
    return viewOf(job, payload);
  },
});

/** The counts of a reload. */
interface Reloaded {
  /** Jobs that are waiting again. */
  readonly reloaded: number;
  /** Jobs that stay dead, as a live job has their id. */
  readonly taken: number;
}

const reload = operation<ReloadInput, Reloaded>({
  name: "dead.reload",
  about: "Brings dead jobs back to waiting, for one more run or, with attempts 'reset', for a full life.",
  kind: "write",
  input: reloadInput,
  output: v.object({ reloaded: v.number(), taken: v.number() }),
  preview: (desk, input, bounds) => preview(desk, "dead.reload", input, bounds),
  async run(desk, { token, ...input }, bounds) {
    const until = await instantOf("dead.reload", input, token, desk.now());
    const done = { reloaded: 0, taken: 0 };
    for await (const { channel, jobs } of pagesOf(desk, input, until, bounds)) {
      if (jobs.length === 0) continue;
      const ids = jobs.map(({ id }) => id);
      const { attempts } = input;
      const { reloaded, taken } = await desk.relay.reload(input.queue, channel as DeadChannel, { ids }, {
        attempts,
        signal: bounds.signal,
      });
      done.reloaded += reloaded;
      done.taken += taken;
      bounds.progress?.(done.reloaded + done.taken);
    }
    return done;
  },
});

const remove = operation<DeadInput, Removed>({
  name: "dead.remove",
  about: "Removes dead jobs for good.",
  kind: "write",
  input: deadInput,
  output: removedOutput,
  preview: (desk, input, bounds) => preview(desk, "dead.remove", input, bounds),
  run: (desk, { token, ...input }, bounds) => removal(desk, "dead.remove", input, input, token, bounds),
});

function preview(
  desk: Desk,
  operation: string,
  { token: _, ...input }: DeadInput,
  bounds: Bounds,
): ReturnType<typeof previewOf> {
  return previewOf(desk, operation, input, input, bounds);
}

/** The operations. */
export const deadOperations: readonly Operation[] = [list, show, reload, remove];
