/**
 * Operations on recurring jobs.
 *
 * @module
 */

import * as v from "valibot";
import type { ScheduleInfo } from "../relay/schedule_admin.ts";
import {
  type KeyInput,
  keyInput,
  type PauseInput,
  pauseInput,
  type PreviewInput,
  previewInput,
  type ScheduleListInput,
  scheduleListInput,
} from "./input.ts";
import { type Operation, operation } from "./operation.ts";
import { Refusal } from "./refusal.ts";

/** A schedule as operations answer it: plain JSON, times in milliseconds since the epoch. */
export interface ScheduleView {
  readonly key: string;
  readonly queue: string;
  /** When its next tick is. */
  readonly next: number;
  readonly name?: string;
  /** The recurrence, as `cron 30 2 * * *`. */
  readonly when?: string;
  readonly missed?: string;
  readonly overlap?: string;
  readonly owner?: string;
  /** Present while it rests. */
  readonly paused?: { readonly since?: number; readonly reason?: string; readonly by?: string };
  /** Why its text cannot be read. */
  readonly problem?: string;
}

/** Schedules that are looked through at a time. */
const PAGE = 1_000;

/** A page of schedules. */
export interface ScheduleListOutput {
  readonly schedules: readonly ScheduleView[];
  /** Asks for the next page; absent on the last. */
  readonly cursor?: string;
}

const view: v.GenericSchema<unknown, ScheduleView> = v.object({
  key: v.string(),
  queue: v.string(),
  next: v.number(),
  name: v.exactOptional(v.string()),
  when: v.exactOptional(v.string()),
  missed: v.exactOptional(v.string()),
  overlap: v.exactOptional(v.string()),
  owner: v.exactOptional(v.string()),
  paused: v.exactOptional(v.object({
    since: v.exactOptional(v.number()),
    reason: v.exactOptional(v.string()),
    by: v.exactOptional(v.string()),
  })),
  problem: v.exactOptional(v.string()),
});

function viewOf(
  { key, queue, next, name, when, missed, overlap, owner, paused, problem }: ScheduleInfo,
): ScheduleView {
  const { since, reason, by } = paused ?? {};
  return {
    ...{ key, queue, next },
    ...(name === undefined ? {} : { name }),
    ...(when === undefined ? {} : { when: `${when.kind} ${when.text}` }),
    ...(missed === undefined ? {} : { missed }),
    ...(overlap === undefined ? {} : { overlap }),
    ...(owner === undefined ? {} : { owner }),
    ...(paused === undefined ? {} : {
      paused: {
        ...(since === undefined ? {} : { since }),
        ...(reason === undefined ? {} : { reason }),
        ...(by === undefined ? {} : { by }),
      },
    }),
    ...(problem === undefined ? {} : { problem }),
  };
}

const list = operation<ScheduleListInput, ScheduleListOutput>({
  name: "schedules.list",
  about: "Shows recurring jobs with their next ticks.",
  kind: "read",
  input: scheduleListInput,
  output: v.object({ schedules: v.array(view), cursor: v.exactOptional(v.string()) }),
  async run({ relay }, input, { signal }) {
    const page = await relay.schedules.list({ ...input, signal });
    const schedules = page.schedules.map(viewOf);
    return page.cursor === undefined ? { schedules } : { schedules, cursor: page.cursor };
  },
});

const show = operation<KeyInput, ScheduleView>({
  name: "schedules.show",
  about: "Shows a recurring job with its next tick.",
  kind: "read",
  input: keyInput,
  output: view,
  async run({ relay }, { key, queue }, { signal }) {
    const found: ScheduleInfo[] = [];
    let cursor: string | undefined;
    do {
      const page = await relay.schedules.list({ queue, cursor, limit: PAGE, signal });
      found.push(...page.schedules.filter((each) => each.key === key));
      cursor = page.cursor;
    } while (cursor !== undefined);
    const [first, second] = found;
    if (first === undefined) throw new Refusal("missing", `There is no schedule '${key}'`);
    if (second === undefined) return viewOf(first);
    const queues = found.map((each) => `'${each.queue}'`).join(", ");
    throw new Refusal(
      "input",
      `Cannot show schedule '${key}' as several queues have it, ${queues}: say which`,
    );
  },
});

const preview = operation<PreviewInput, { readonly ticks: readonly number[] }>({
  name: "schedules.preview",
  about: "Shows the next ticks of a recurring job.",
  kind: "read",
  input: previewInput,
  output: v.object({ ticks: v.array(v.number()) }),
  run: async ({ relay }, { key, count, ...call }, { signal }) => ({
    ticks: await relay.schedules.preview(key, count, { ...call, signal }),
  }),
});

/** The answer to a change of a schedule. */
interface Changed {
  readonly key: string;
}

const changed: v.GenericSchema<unknown, Changed> = v.object({ key: v.string() });

function found(action: string, key: string, there: boolean): Changed {
  if (there) return { key };
  throw new Refusal("missing", `Cannot ${action} schedule '${key}' as there is none`);
}

const pause = operation<PauseInput, Changed>({
  name: "schedules.pause",
  about: "Lets a recurring job rest: it pushes nothing until it is resumed.",
  kind: "write",
  input: pauseInput,
  output: changed,
  run: async ({ relay }, { key, ...options }, { signal }) =>
    found("pause", key, await relay.schedules.pause(key, { ...options, signal })),
});

const resume = operation<KeyInput, Changed>({
  name: "schedules.resume",
  about: "Lets a recurring job go on; what it missed counts as missed.",
  kind: "write",
  input: keyInput,
  output: changed,
  run: async ({ relay }, { key, ...call }, { signal }) =>
    found("resume", key, await relay.schedules.resume(key, { ...call, signal })),
});

const remove = operation<KeyInput, Changed>({
  name: "schedules.remove",
  about: "Removes a recurring job; jobs that it pushed stay.",
  kind: "write",
  input: keyInput,
  output: changed,
  run: async ({ relay }, { key, ...call }, { signal }) =>
    found("remove", key, await relay.schedules.remove(key, { ...call, signal })),
});

const run = operation<KeyInput, { readonly id: string; readonly status: string }>({
  name: "schedules.run",
  about: "Pushes a job of a recurring job now, beside its ticks.",
  kind: "write",
  input: keyInput,
  output: v.object({ id: v.string(), status: v.string() }),
  async run({ relay }, { key, ...call }, { signal }) {
    const { id, status } = await relay.schedules.run(key, { ...call, signal });
    return { id, status };
  },
});

/** The operations. */
export const scheduleOperations: readonly Operation[] = [list, show, preview, pause, resume, run, remove];
