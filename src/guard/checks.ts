/**
 * The input of the contract's verbs, checked in one place: the same wrong input is refused by every transport with the
 * same error. A number, a size or a length that is out of its range is a `RangeError`; anything else a `TypeError`, and
 * bytes over a store's limit are a `TooLargeError`.
 *
 * @module
 */

import type { Call, PageRequest, ReserveOptions, Selection } from "../jobs/exchange.ts";
import { type Channel, CHANNELS, isDead } from "../jobs/job.ts";
import { isByteArray } from "../kinds.ts";
import { checkAnyId, checkId, checkQueueName, checkReservable } from "../names.ts";
import {
  checkBoolean,
  checkInteger,
  checkKnown,
  checkObject,
  checkSignal,
  checkTime,
  checkWord,
  quote,
  wrongRange,
  wrongType,
} from "../options.ts";

/** Refuses a call without a deadline, or with a signal that is none. */
export function checkCall(action: string, call: Call): void {
  checkObject(action, "its call", call);
  checkTime(action, "deadline", call.deadline);
  checkSignal(action, call.signal);
}

/** Refuses a value that is no list, or is longer than one call takes. */
export function checkList(
  action: string,
  what: string,
  items: unknown,
  most: number = Number.MAX_SAFE_INTEGER,
): void {
  if (!Array.isArray(items)) {
    throw wrongType(action, `'${what}'`, "a list", items);
  }
  if (items.length <= most) return;
  throw new RangeError(
    `Cannot ${action} as one call takes at most ${most} items: current number is ${items.length}`,
  );
}

/** Names of queues that are known to be sound, at most. */
const MAX_KNOWN = 10_000;

/**
 * Makes a check that refuses a look for jobs in a queue that holds none, or for fewer than one. Workers look in the same
 * queues again and again, so a name is read once, and then known.
 */
export function createReserveCheck(): (queues: readonly string[], options: ReserveOptions) => void {
  const action = "reserve jobs";
  const known = new Set<string>();
  return (queues, options) => {
    checkCall(action, options);
    checkList(action, "queues", queues);
    if (queues.length === 0) {
      throw new RangeError(`Cannot ${action} as 'queues' must name at least one: current number is 0`);
    }
    for (const queue of queues) {
      if (known.has(queue)) continue;
      checkQueueName(queue, action);
      checkReservable(queue);
      if (known.size === MAX_KNOWN) known.clear();
      known.add(queue);
    }
    checkLook(action, options);
  };
}

function checkLook(action: string, options: ReserveOptions): void {
  const { limit, slots, lease, wait } = options;
  checkInteger(action, "limit", limit, 1, Number.MAX_SAFE_INTEGER);
  checkInteger(action, "slots", slots, 0, Number.MAX_SAFE_INTEGER);
  checkTime(action, "lease", lease, 1);
  checkTime(action, "wait", wait);
  if (options.ready === undefined || typeof options.ready === "function") return;
  throw wrongType(action, "'ready'", "a function", options.ready);
}

/** Refuses a value that is no list of queues. */
export function checkQueues(action: string, queues: readonly string[]): void {
  checkList(action, "queues", queues);
  for (const queue of queues) checkQueueName(queue, action);
}

/** Refuses a channel of no queue, or one that the verb does not know. */
export function checkPlace(
  action: string,
  queue: string,
  channel: Channel,
  channels: readonly Channel[] = CHANNELS,
): void {
  checkQueueName(queue, action);
  checkWord(action, "channel", channel, channels);
}

/** Refuses a page of no size, and a cursor that is no text. */
export function checkPage(action: string, page: Omit<PageRequest, "preview">): void {
  checkObject(action, "its page", page);
  checkInteger(action, "limit", page.limit, 1, Number.MAX_SAFE_INTEGER);
  if (page.cursor !== undefined && typeof page.cursor !== "string") throw wrongCursor(action, page.cursor);
}

/** A cursor that no page has given. */
export function wrongCursor(action: string, cursor: unknown): TypeError {
  return new TypeError(
    `Cannot ${action} as 'cursor' must come from the page before: current value is ${quote(cursor)}`,
  );
}

/** Refuses ids that no job can have; those of other programs may be longer than a caller's. */
export function checkIds(action: string, ids: readonly string[], most?: number): void {
  checkList(action, "ids", ids, most);
  for (const id of ids) checkAnyId(id, action);
}

/** Refuses a selection of jobs that says nothing, or names a fact that the channel's jobs do not have. */
export function checkSelection(action: string, select: Selection, channel: Channel): void {
  if (select === "all") return;
  if (typeof select !== "object" || select === null) {
    throw wrongType(action, "the selection", "'all', ids or properties", select);
  }
  if (Array.isArray(select)) {
    throw new TypeError(
      `Cannot ${action} as the selection must be 'all', ids or properties: current value is a list, give { ids }`,
    );
  }
  if ("ids" in select) {
    checkKnown(action, select, ["ids"]);
    return checkIds(action, select.ids);
  }
  checkKnown(action, select, ["ids", "name", "reason", "before"]);
  if (Object.values(select).every((value) => value === undefined)) {
    throw new TypeError(`Cannot ${action} with an empty selection: say 'all' to mean every job`);
  }
  for (const option of ["name", "reason"] as const) {
    if (select[option] !== undefined) checkAnyId(select[option], action, option);
  }
  if (select.before !== undefined) checkTime(action, "before", select.before);
  if (!isDead(channel) && (select.before !== undefined || select.reason !== undefined)) {
    throw new TypeError(
      `Cannot ${action} by 'reason' or 'before' in '${channel}' as only dead jobs have them`,
    );
  }
}

/** Refuses a value that is neither left out nor `true` or `false`. */
export function checkFlag(action: string, option: string, value: unknown): void {
  if (value !== undefined) checkBoolean(action, option, value);
}

/** Refuses a schedule's key that is no name. */
export function checkKey(action: string, key: string): void {
  checkId(key, action, "key");
}

/** Refuses a value that is no instant in milliseconds since the epoch. */
export function checkInstant(action: string, option: string, value: unknown): void {
  if (typeof value === "number" && Math.abs(value) <= 8.64e15) return;
  throw wrongRange(action, `'${option}'`, "an instant in milliseconds since the epoch", value);
}

/** Refuses a value that is no bytes, of whatever realm. */
export function checkBytes(action: string, option: string, value: unknown): void {
  if (isByteArray(value)) return;
  throw wrongType(action, `'${option}'`, "a Uint8Array", value);
}

/** Refuses a value that is no text. */
export function checkString(action: string, option: string, value: unknown): void {
  if (typeof value === "string") return;
  throw wrongType(action, `'${option}'`, "a string", value);
}
