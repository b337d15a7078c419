/**
 * From a caller's options to a stored schedule: checked and encoded before anything waits.
 *
 * @module
 */

import { MAX_DELAY, MAX_NAME } from "../defaults.ts";
import type { Filter } from "../payload/codec.ts";
import { messageOf } from "../errors.ts";
import { isDate, sameBytes } from "../kinds.ts";
import type { PushJob } from "../jobs/exchange.ts";
import { contextOf } from "../payload/filtering.ts";
import { checkText } from "../names.ts";
import { checkKnown, checkTime, checkWord, quote, shown, wrongRange } from "../options.ts";
import { filterPayload } from "./payload.ts";
import { type Desk, type JobSettings, prepare } from "./prepare.ts";
import { readMeta } from "../jobs/record.ts";
import type { Schedule } from "../contract/recurring.ts";
import { EVERY, type StoredRecurrence } from "../jobs/schedule.ts";
import { slotAfter } from "../schedules/plan.ts";
import {
  type Definite,
  type Missed,
  type Overlap,
  readText,
  sameTicks,
  writeText,
} from "../schedules/text.ts";

/** The options of a schedule: of its ticks and of each of its jobs. All times are milliseconds. */
export interface ScheduleOptions
  extends Pick<JobSettings, "maxAttempts" | "timeout" | "backoff" | "queue" | "headers" | "requestId"> {
  /** When: `every(ms)`, or `cron(expression, { timeZone })` of `@relevo/relevo/cron`. */
  readonly when: StoredRecurrence;
  /** Names the schedule among those of its queue, 1 to 255 bytes. Default: the job's name. */
  readonly key?: string | undefined;
  /**
   * Of ticks that are found due together, as no worker was up: `once` pushes the newest, however late; `skip` the
   * newest if it is at most 60,000 late; `all` each of the newest 100, oldest first. Default `once`.
   */
  readonly missed?: Missed | undefined;
  /**
   * `skip`: a tick has no job while that of an earlier one waits, is delayed or runs; a dead one does not count. Default
   * `allow`.
   */
  readonly overlap?: Overlap | undefined;
  /** Each job is due up to so much later than its tick, by chance; the ticks stay where they are. Default 0. */
  readonly jitter?: number | undefined;
  /**
   * The first tick of `every`, also one that is over; no tick of others is before it. At most a century from now.
   * Default: from now on.
   */
  readonly start?: number | Date | undefined;
  /** No tick is after it; the schedule is gone then. Default: it goes on. */
  readonly end?: number | Date | undefined;
}

/** A schedule that is fit to be stored. */
export interface Draft {
  readonly queue: string;
  readonly key: string;
  readonly definite: Definite;
  readonly by: StoredRecurrence;
  readonly text: string;
  /** The bytes to store where `kept` is stored: its own, if they say the same. */
  readonly payloadOver: (kept: Schedule | undefined) => Promise<Uint8Array>;
}

const OWN = ["when", "key", "missed", "overlap", "jitter", "start", "end"];
const SETTINGS = ["maxAttempts", "timeout", "backoff", "queue", "headers", "requestId"];

/**
 * Makes a draft. The bytes are taken before this returns, even where the schema still waits.
 *
 * @throws {RelevoError | TypeError | RangeError} for whatever is wrong with it.
 */
export function draftOf(
  desk: Desk,
  name: string,
  payload: unknown,
  options: ScheduleOptions,
  owner?: string,
): Draft | Promise<Draft> {
  const action = `schedule '${shown(name)}'`;
  checkKnown(action, options, [...OWN, ...SETTINGS]);
  const { when, key = name, missed = "once", overlap = "allow", jitter = 0, start, end, ...settings } =
    options;
  checkText("key of a schedule", key, action, MAX_NAME);
  checkWord(action, "missed", missed, ["once", "skip", "all"]);
  checkWord(action, "overlap", overlap, ["allow", "skip"]);
  checkTime(action, "jitter", jitter);
  checkSpan(action, { start, end }, desk.runtime.now());
  checkWhen(action, when, { start, end }, desk.runtime.now());
  const prepared = prepare(desk, name, payload, settings);
  const finish = (job: PushJob): Draft => {
    const definite: Definite = {
      v: 1,
      name,
      when: { kind: when.kind, text: when.text },
      missed,
      overlap,
      jitter,
      start: start === undefined ? undefined : Math.ceil(Number(start)),
      end: end === undefined ? undefined : Math.floor(Number(end)),
      owner,
      placed: settings.queue !== undefined,
      meta: metaOf(job, settings.requestId),
    };
    const { queue, payload: bytes } = job;
    const text = writeText(definite);
    return {
      queue,
      key,
      definite,
      by: when,
      text,
      payloadOver: (kept) => bytesOf(desk, { name, queue, key, text }, bytes, kept),
    };
  };
  return prepared instanceof Promise ? prepared.then(finish) : finish(prepared);
}

/**
 * The bytes that a schedule is stored with. Encryption makes others of a payload each time, so the stored payload is
 * kept where it is the same payload, and of the same key: else each start of a program would replace its schedules. A
 * newer key encrypts it anew, as the old one is taken out of its ring once no job is left that it encrypted.
 */
async function bytesOf(
  desk: Desk,
  { name, queue, key, text }: {
    readonly name: string;
    readonly queue: string;
    readonly key: string;
    readonly text: string;
  },
  payload: Uint8Array,
  kept: Schedule | undefined,
): Promise<Uint8Array> {
  const definition = desk.definitions.get(name);
  const filters = definition?.codec.pipeline?.filters;
  if (definition === undefined || filters === undefined) return payload;
  const context = contextOf({ name, queue, id: key }, key, "payload");
  const made = await filterPayload(desk, definition, payload, context);
  if (kept?.text !== text || kept.queue !== queue) return made;
  if (keyOf(filters, kept.payload) !== keyOf(filters, made)) return made;
  const clear = await desk.filtering.undo(filters, kept.payload, context).catch(() => undefined);
  return clear !== undefined && sameBytes(clear, payload) ? kept.payload : made;
}

/** The id of the key that bytes were encrypted with last; undefined where there is none, and where it cannot be read. */
function keyOf(filters: readonly Filter[], bytes: Uint8Array): string | undefined {
  try {
    return filters.at(-1)?.keyOf?.(bytes);
  } catch {
    return undefined;
  }
}

/** The metadata of every job of the schedule: nothing that differs from one start of a program to the next. */
function metaOf(job: PushJob, requestId: string | undefined): Definite["meta"] {
  const { createdAt: _, requestId: __, ...meta } = readMeta(job.meta);
  return requestId === undefined ? meta : { ...meta, requestId };
}

function checkSpan(
  action: string,
  { start, end }: Pick<ScheduleOptions, "start" | "end">,
  now: number,
): void {
  const wanted = "a Date or milliseconds since the epoch";
  for (const [option, value] of [["start", start], ["end", end]] as const) {
    if (value === undefined) continue;
    const instant = typeof value === "number" || isDate(value) ? Number(value) : Number.NaN;
    if (!(Math.abs(instant) <= 8.64e15)) throw wrongRange(action, `'${option}'`, wanted, value);
    // As of a dispatch's instant: one that is further away is a slip of a unit.
    if (option === "end" || instant <= now + MAX_DELAY) continue;
    throw wrongRange(action, "'start'", `${wanted}, at most a century from now`, value);
  }
  if (start !== undefined && end !== undefined && Number(end) < Number(start)) {
    throw new RangeError(
      `Cannot ${action} as 'end' must not be before 'start': current value is ${Number(end)}, ${
        Number(start) - Number(end)
      } ms before`,
    );
  }
}

/** Refuses a recurrence that cannot be written down, that never fires, or whose fault shows only when it is asked. */
function checkWhen(
  action: string,
  when: StoredRecurrence,
  { start, end }: Pick<ScheduleOptions, "start" | "end">,
  now: number,
): void {
  const { kind, text, next }: Partial<StoredRecurrence> = Object(when);
  if (typeof kind !== "string" || kind === "" || typeof text !== "string" || typeof next !== "function") {
    throw new TypeError(
      `Cannot ${action} as 'when' must be a recurrence that can be written down, every(ms) or cron(expression): ` +
        `current value is ${typeof next === "function" ? "one that is only a function" : quote(when)}`,
    );
  }
  if (kind === EVERY.kind && !Number.isInteger(Number(text))) {
    throw new RangeError(
      `Cannot ${action} as 'when' must have a period of whole milliseconds: current value is ${quote(text)}`,
    );
  }
  const part = { when: { kind, text }, start: start === undefined ? undefined : Math.ceil(Number(start)) };
  let first: number;
  try {
    first = firstTick(part, when, now, true);
  } catch (cause) {
    throw new RangeError(`Cannot ${action}: ${messageOf(cause)}`, { cause });
  }
  if (end !== undefined && first > Number(end)) {
    throw new RangeError(
      `Cannot ${action} as it never fires: 'end' must not be before its first tick, ${first}: current value is ${
        Number(end)
      }`,
    );
  }
}

/** The tick with which a schedule begins; `created`: it was not there before, under another definition either. */
export function firstTick(
  { when, start }: Pick<Definite, "when" | "start">,
  by: StoredRecurrence,
  now: number,
  created: boolean,
): number {
  if (when.kind === EVERY.kind && start !== undefined) {
    return created || start > now ? start : slotAfter(by, now, start);
  }
  const from = start === undefined ? now : Math.max(now, start - 1);
  return slotAfter(by, from, from);
}

/** The tick that a draft has in the place of a stored one: the same, unless its ticks are others now. */
export function tickOver(
  { definite, by }: Draft,
  kept: Pick<Schedule, "text" | "tick">,
  now: number,
): number {
  const old = definiteOf(kept.text);
  return old !== undefined && sameTicks(old, definite) ? kept.tick : firstTick(definite, by, now, false);
}

/** The definition in a text, if it can be read. */
export function definiteOf(text: string): Definite | undefined {
  try {
    return readText(text);
  } catch {
    return undefined;
  }
}
