/**
 * The input of operations, as schemas that both faces check with.
 *
 * @module
 */

import * as v from "valibot";
import { type Channel, CHANNELS, DEAD_CHANNELS, type DeadChannel } from "../jobs/job.ts";
import { Refusal } from "./refusal.ts";

/** A page of a channel. */
export interface ListInput {
  readonly queue: string;
  readonly channel: Channel;
  readonly limit: number;
  readonly cursor?: string;
  /** Whether payloads are shown. */
  readonly payload: boolean;
}

/** A page of dead jobs. */
export interface DeadListInput extends Omit<ListInput, "channel"> {
  readonly channels: readonly DeadChannel[];
}

/** One job. */
export interface ShowInput {
  readonly queue: string;
  readonly id: string;
  readonly payload: boolean;
}

/** Jobs by their ids, or by common facts; neither means all of them. */
export interface SelectInput {
  readonly queue: string;
  readonly ids?: readonly string[];
  readonly name?: string;
  /** The preview's. */
  readonly token?: string;
}

/** Jobs of one channel, to be removed. */
export interface RemoveInput extends SelectInput {
  readonly channel: Channel;
}

/** Dead jobs. */
export interface DeadInput extends SelectInput {
  readonly channels: readonly DeadChannel[];
  readonly reason?: string;
}

/** Dead jobs, to be reloaded. */
export interface ReloadInput extends DeadInput {
  readonly attempts: "keep" | "reset";
}

/** Which schedules. */
export interface ScheduleListInput {
  /** Default: those of all queues. */
  readonly queue?: string;
  readonly limit: number;
  readonly cursor?: string;
}

/** One schedule. */
export interface KeyInput {
  readonly key: string;
  /** Needed where several queues have a schedule of this key. */
  readonly queue?: string;
}

/** One schedule that is to rest. */
export interface PauseInput extends KeyInput {
  readonly reason?: string;
  readonly by?: string;
}

/** So many ticks of one schedule. */
export interface PreviewInput extends KeyInput {
  readonly count: number;
}

const text = v.pipe(v.string(), v.nonEmpty("must not be empty"));
const queue = v.exactOptional(text, "default");
const channels = v.exactOptional(
  v.pipe(v.array(v.picklist(DEAD_CHANNELS)), v.nonEmpty("must name a channel")),
  [...DEAD_CHANNELS],
);
const page = {
  queue,
  limit: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000)), 100),
  cursor: v.exactOptional(text),
  payload: v.exactOptional(v.boolean(), false),
};
const selection = {
  queue,
  ids: v.exactOptional(v.pipe(v.array(text), v.nonEmpty("must name a job"), v.maxLength(1_000))),
  name: v.exactOptional(text),
  token: v.exactOptional(text),
};
const dead = { ...selection, channels, reason: v.exactOptional(text) };

/** Of operations that take nothing. */
export const noInput: v.GenericSchema<unknown, object> = v.strictObject({});
/** Of `jobs.list`. */
export const listInput: v.GenericSchema<unknown, ListInput> = v.strictObject({
  ...page,
  channel: v.exactOptional(v.picklist(CHANNELS), "waiting"),
});
/** Of `dead.list`. */
export const deadListInput: v.GenericSchema<unknown, DeadListInput> = v.strictObject({ ...page, channels });
/** Of `jobs.show` and `dead.show`. */
export const showInput: v.GenericSchema<unknown, ShowInput> = v.strictObject({
  queue,
  id: text,
  payload: page.payload,
});
/** Of `jobs.remove`. */
export const removeInput: v.GenericSchema<unknown, RemoveInput> = v.strictObject({
  ...selection,
  channel: v.picklist(CHANNELS),
});
/** Of `dead.remove`. */
export const deadInput: v.GenericSchema<unknown, DeadInput> = v.strictObject(dead);
/** Of `dead.reload`. */
export const reloadInput: v.GenericSchema<unknown, ReloadInput> = v.strictObject({
  ...dead,
  attempts: v.exactOptional(v.picklist(["keep", "reset"]), "keep"),
});

const one = { key: text, queue: v.exactOptional(text) };
/** Of `schedules.list`. */
export const scheduleListInput: v.GenericSchema<unknown, ScheduleListInput> = v.strictObject({
  queue: one.queue,
  limit: page.limit,
  cursor: page.cursor,
});
/** Of operations on one schedule. */
export const keyInput: v.GenericSchema<unknown, KeyInput> = v.strictObject(one);
/** Of `schedules.pause`. */
export const pauseInput: v.GenericSchema<unknown, PauseInput> = v.strictObject({
  ...one,
  reason: v.exactOptional(text),
  by: v.exactOptional(text),
});
/** Of `schedules.preview`. */
export const previewInput: v.GenericSchema<unknown, PreviewInput> = v.strictObject({
  ...one,
  count: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000)), 5),
});

/**
 * The input of an operation, checked.
 *
 * @throws {Refusal} with the place, the value that was wanted and the one that was given, of every fault.
 */
export function inputOf<Input>(
  operation: string,
  schema: v.GenericSchema<unknown, Input>,
  given: unknown,
): Input {
  // For valibot a list is an object without the fields.
  if (Array.isArray(given)) {
    throw new Refusal(
      "input",
      `Cannot run '${operation}' as 'input' must be an object: current value is a list`,
    );
  }
  const { success, output, issues } = v.safeParse(schema, given);
  if (success) return output;
  const faults = issues.map((issue) => {
    const place = issue.path?.map(({ key }) => String(key)).join(".") ?? "input";
    return issue.expected === "never" ? `there is no '${place}'` : `'${place}': ${issue.message}`;
  });
  throw new Refusal("input", `Cannot run '${operation}' as ${faults.join("; ")}`);
}
