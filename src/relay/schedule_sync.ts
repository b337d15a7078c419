/**
 * Makes the schedules of a store equal to a program's list, and touches none of another program's.
 *
 * @module
 */

import { MAX_BULK, MAX_NAME, MAX_PAGE } from "../defaults.ts";
import type { Jobs, NameOf, PayloadOf } from "../jobs/definitions.ts";
import { errorOf } from "../errors.ts";
import { eachOf } from "../flow/abreast.ts";
import type { Call } from "../jobs/exchange.ts";
import { checkText } from "../names.ts";
import { checkKnown, checkObject, quote } from "../options.ts";
import type { Desk } from "./prepare.ts";
import type { Schedule, Schedules } from "../contract/recurring.ts";
import { definiteOf, type Draft, draftOf, type ScheduleOptions } from "./schedule_draft.ts";
import { ABREAST, isMoved, moveAll, queuesOf, schedulesOf, storeDraft } from "./schedule_store.ts";

/** One schedule of a list. */
export type ListedSchedule<J extends Jobs> = {
  [Name in NameOf<J>]:
    & { readonly name: Name }
    & (undefined extends PayloadOf<J, Name> ? { readonly payload?: PayloadOf<J, Name> }
      : { readonly payload: PayloadOf<J, Name> })
    & ScheduleOptions;
}[NameOf<J>];

/** The options of `sync` beside the list. */
export interface SyncOptions {
  /** Names the program whose list it is, the same in all of its processes and versions; up to 255 bytes. */
  readonly owner: string;
}

/** The changes of a `sync`, by the keys of schedules. */
export interface Synced {
  /** Were not there. */
  readonly created: readonly string[];
  /** Were there with another definition or payload. */
  readonly replaced: readonly string[];
  /** Were in another queue. */
  readonly moved: readonly string[];
  /** Were there as they are in the list. */
  readonly same: readonly string[];
  /** A `sync` of the same owner had stored them, and they are no longer in the list. */
  readonly removed: readonly string[];
}

const ACTION = "sync schedules";

/** The stored schedules, as a sync needs to find them. */
interface Stock {
  readonly all: readonly Schedule[];
  at(place: { readonly queue: string; readonly key: string }): Schedule | undefined;
  /** Those that a draft's was before its job's definition named another queue. */
  before(draft: Draft): readonly Schedule[];
}

/** Syncs; everything of the list is checked before anything is stored. `stored` is called with each draft of it then. */
export async function sync(
  desk: Desk,
  list: readonly ListedSchedule<Jobs>[],
  options: SyncOptions,
  call: Call,
  stored: (draft: Draft) => void,
): Promise<Synced> {
  const schedules = schedulesOf(desk, ACTION);
  checkKnown(ACTION, options, ["owner"]);
  const { owner } = options;
  checkText("owner of schedules", owner, ACTION, MAX_NAME);
  if (!Array.isArray(list) || list.length > MAX_BULK) {
    const given = Array.isArray(list) ? list.length : quote(list);
    throw new RangeError(
      `Cannot ${ACTION} as there must be a list of up to ${MAX_BULK}: current value is ${given}`,
    );
  }
  const drafts = await draftAll(desk, list, owner);
  const stock = stockOf(await allOf(desk, schedules, call), owner);
  refuseOthers(drafts, stock, owner);
  const answers = await eachOf(ABREAST, drafts, async (draft) => {
    const moved = stock.before(draft);
    if (moved.length === 0) return await storeDraft(schedules, draft, stock.at(draft), call);
    await moveAll(schedules, draft, moved, stock.at(draft), call);
    return "moved" as const;
  });
  drafts.forEach(stored);
  const handled = new Set<Schedule | undefined>(
    drafts.flatMap((draft) => [stock.at(draft), ...stock.before(draft)]),
  );
  const left = stock.all.filter((one) => ownerOf(one) === owner && !handled.has(one));
  const gone = await eachOf(ABREAST, left, (one) => schedules.remove(one.queue, one.key, call));
  const keysOf = (answer: string): readonly string[] =>
    drafts.filter((_, n) => answers[n] === answer).map(({ key }) => key);
  return {
    created: keysOf("created"),
    replaced: keysOf("replaced"),
    moved: keysOf("moved"),
    same: keysOf("same"),
    removed: left.filter((_, n) => gone[n] === true).map(({ key }) => key),
  };
}

function ownerOf({ text }: Schedule): string | undefined {
  return definiteOf(text)?.owner;
}

function placeOf({ queue, key }: { readonly queue: string; readonly key: string }): string {
  return `${queue}\n${key}`;
}

function stockOf(all: readonly Schedule[], owner: string): Stock {
  const byPlace = new Map(all.map((one) => [placeOf(one), one]));
  const byKey = Map.groupBy(all, ({ key }) => key);
  return {
    all,
    at: (place) => byPlace.get(placeOf(place)),
    before: (draft) =>
      (byKey.get(draft.key) ?? []).filter((one) => isMoved(one, draft) && (ownerOf(one) ?? owner) === owner),
  };
}

function refuseOthers(drafts: readonly Draft[], stock: Stock, owner: string): void {
  for (const draft of drafts) {
    const kept = stock.at(draft);
    const other = kept && ownerOf(kept);
    if (other === undefined || other === owner) continue;
    throw new TypeError(
      `Cannot ${ACTION} as '${draft.key}' in '${draft.queue}' is of the owner '${other}': current owner is '${owner}'`,
    );
  }
}

/** All drafts of a list, or the first error. */
async function draftAll(
  desk: Desk,
  list: readonly ListedSchedule<Jobs>[],
  owner: string,
): Promise<readonly Draft[]> {
  // A hole in the list is no schedule.
  const started = Array.from(list).map((one) => {
    try {
      checkObject(ACTION, "each of them", one);
      const { name, payload, ...options } = one;
      return draftOf(desk, name, payload, options, owner);
    } catch (error) {
      return errorOf(error);
    }
  });
  const drafts = await Promise.all(started.map((one) => one instanceof Promise ? one.catch(errorOf) : one));
  const seen = new Set<string>();
  return drafts.map((draft) => {
    if (draft instanceof Error) throw draft;
    if (seen.has(placeOf(draft))) {
      throw new TypeError(`Cannot ${ACTION} as each needs a key of its own: '${draft.key}' is there twice`);
    }
    seen.add(placeOf(draft));
    return draft;
  });
}

/** Every schedule of every queue. */
async function allOf(desk: Desk, schedules: Schedules, call: Call): Promise<readonly Schedule[]> {
  const pages = await eachOf(ABREAST, await queuesOf(desk, call), async (queue) => {
    const found: Schedule[] = [];
    let cursor: string | undefined;
    do {
      const page = await schedules.list(queue, { limit: MAX_PAGE, cursor }, call);
      found.push(...page.schedules);
      cursor = page.cursor;
    } while (cursor !== undefined);
    return found;
  });
  return pages.flat();
}
