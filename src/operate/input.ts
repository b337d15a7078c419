/**
 * The input of operations, as schemas that both faces check with.
 *
 * @module
 */

import * as v from "valibot";
import { QUEUE } from "../defaults.ts";
import { faultOf, messageOfFields } from "../options.ts";
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

const TEXT = "must be a non-empty string";
const text = v.pipe(v.string(TEXT), v.nonEmpty(TEXT));
const queue = v.exactOptional(text, QUEUE);
const CHANNELS_WANTED = "must be a list of channels";
const channels = v.exactOptional(
  v.pipe(v.array(oneOf(DEAD_CHANNELS), CHANNELS_WANTED), v.nonEmpty("must name a channel")),
  [...DEAD_CHANNELS],
);
/** A number of rows. */
const COUNT = "must be a whole number from 1 to 1000";
const count = v.pipe(v.number(COUNT), v.integer(COUNT), v.minValue(1, COUNT), v.maxValue(1_000, COUNT));
const page = {
  queue,
  limit: v.exactOptional(count, 100),
  cursor: v.exactOptional(text),
  payload: v.exactOptional(v.boolean("must be true or false"), false),
};
const IDS = "must be a list of at most 1000 ids";
const selection = {
  queue,
  ids: v.exactOptional(v.pipe(v.array(text, IDS), v.nonEmpty("must name a job"), v.maxLength(1_000, IDS))),
  name: v.exactOptional(text),
  token: v.exactOptional(text),
};
const dead = { ...selection, channels, reason: v.exactOptional(text) };

/** Of operations that take nothing. */
export const noInput: v.GenericSchema<unknown, object> = objectOf({});
/** Of `jobs.list`. */
export const listInput: v.GenericSchema<unknown, ListInput> = objectOf({
  ...page,
  channel: v.exactOptional(oneOf(CHANNELS), "waiting"),
});
/** Of `dead.list`. */
export const deadListInput: v.GenericSchema<unknown, DeadListInput> = objectOf({ ...page, channels });
/** Of `jobs.show` and `dead.show`. */
export const showInput: v.GenericSchema<unknown, ShowInput> = objectOf({
  queue,
  id: text,
  payload: page.payload,
});
/** Of `jobs.remove`. */
export const removeInput: v.GenericSchema<unknown, RemoveInput> = objectOf({
  ...selection,
  channel: oneOf(CHANNELS),
});
/** Of `dead.remove`. */
export const deadInput: v.GenericSchema<unknown, DeadInput> = objectOf(dead);
/** Of `dead.reload`. */
export const reloadInput: v.GenericSchema<unknown, ReloadInput> = objectOf({
  ...dead,
  attempts: v.exactOptional(oneOf(["keep", "reset"]), "keep"),
});

const one = { key: text, queue: v.exactOptional(text) };
/** Of `schedules.list`. */
export const scheduleListInput: v.GenericSchema<unknown, ScheduleListInput> = objectOf({
  queue: one.queue,
  limit: page.limit,
  cursor: page.cursor,
});
/** Of operations on one schedule. */
export const keyInput: v.GenericSchema<unknown, KeyInput> = objectOf(one);
/** Of `schedules.pause`. */
export const pauseInput: v.GenericSchema<unknown, PauseInput> = objectOf({
  ...one,
  reason: v.exactOptional(text),
  by: v.exactOptional(text),
});
/** Of `schedules.preview`. */
export const previewInput: v.GenericSchema<unknown, PreviewInput> = objectOf({
  ...one,
  count: v.exactOptional(count, 5),
});

/** An object of these fields and no others. */
function objectOf<const Fields extends v.ObjectEntries>(fields: Fields) {
  return v.strictObject(fields, messageOfFields(fields));
}

/** One of some words. */
function oneOf<const Words extends readonly string[]>(words: Words) {
  return v.picklist(words, `must be one of ${words.map((word) => `'${word}'`).join(", ")}`);
}

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
    return issue.expected === "never"
      ? `there is no '${place}': ${issue.message}`
      : `'${place}' ${faultOf(issue)}`;
  });
  throw new Refusal("input", `Cannot run '${operation}' as ${faults.join("; ")}`);
}
