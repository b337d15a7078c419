/**
 * Stores drafts of schedules: in the place of stored ones, however many processes do so at once, and from another
 * queue where the job's definition has changed its own.
 *
 * @module
 */

import { lackOf } from "../contract/lacks.ts";
import { TransportBusy } from "../errors.ts";
import { eachOf } from "../flow/abreast.ts";
import type { Call } from "../jobs/exchange.ts";
import { topicQueue } from "../names.ts";
import type { Desk } from "./prepare.ts";
import type { Schedule, Schedules } from "../contract/recurring.ts";
import { definiteOf, type Draft, firstTick, tickOver } from "./schedule_draft.ts";

/** The fate of a schedule. */
export type Scheduled = "created" | "replaced" | "same";

/** Attempts to store a schedule that others change meanwhile. */
const MAX_TRIES = 50;
/** Calls that are under way side by side. */
export const ABREAST = 16;
/** An instant that no clock reaches: a schedule with this tick is not due. */
const NEVER = 8.64e15;

/** The transport's ability; refuses where it has none. */
export function schedulesOf(desk: Desk, action: string): Schedules {
  const { schedules } = desk.transport;
  if (schedules !== undefined) return schedules;
  throw new TypeError(`Cannot ${action} as ${lackOf(desk.transport, "schedules", "has no schedules")}`);
}

/** The queues that may hold schedules: those that hold anything, and those of the definitions. */
export async function queuesOf({ definitions, transport }: Desk, call: Call): Promise<readonly string[]> {
  const own = [...definitions.queues, ...[...definitions.topics].map(topicQueue)];
  return [...new Set([...await transport.queues(call), ...own])].sort();
}

/** The schedules of a key, in whichever queues. */
export async function holdersOf(
  desk: Desk,
  schedules: Schedules,
  key: string,
  call: Call,
): Promise<readonly Schedule[]> {
  const found = await eachOf(ABREAST, await queuesOf(desk, call), (queue) => schedules.get(queue, key, call));
  return found.filter((one) => one !== undefined);
}

/** Whether a schedule is the one of a draft, from before its job's definition named another queue. */
export function isMoved(one: Schedule, { key, queue, definite }: Draft): boolean {
  if (one.key !== key || one.queue === queue || definite.placed === true) return false;
  const old = definiteOf(one.text);
  return old?.name === definite.name && old.placed !== true;
}

/** The time by the store's clock. */
async function nowOf(schedules: Schedules, call: Call): Promise<number> {
  return (await schedules.due([], 1, call)).now;
}

/** Stores a draft in the place of the schedule that is known to be there. */
export async function storeDraft(
  schedules: Schedules,
  draft: Draft,
  known: Schedule | undefined,
  call: Call,
): Promise<Scheduled> {
  const { queue, key, text } = draft;
  let kept = known;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const now = kept?.text === text ? 0 : await nowOf(schedules, call);
    const tick = kept === undefined
      ? firstTick(draft.definite, draft.by, now, true)
      : tickOver(draft, kept, now);
    const from = kept?.tick ?? "none";
    const payload = await draft.payloadOver(kept);
    const answer = await schedules.put({ queue, key, tick, text, payload, from }, call);
    if (answer !== "stale") return answer;
    kept = await schedules.get(queue, key, call);
  }
  throw new TransportBusy(`Cannot schedule '${key}' as its ticks come faster than it can be stored`);
}

/** Moves the first, if there is none yet; schedules that processes which died left in others are removed. */
export async function moveAll(
  schedules: Schedules,
  draft: Draft,
  moved: readonly Schedule[],
  known: Schedule | undefined,
  call: Call,
): Promise<void> {
  let kept = known;
  for (const from of moved) {
    await moveDraft(schedules, draft, from, kept, call);
    kept = await schedules.get(draft.queue, draft.key, call);
  }
}

/** How a schedule rested before it was paused to be moved; it stands in its note meanwhile. */
interface Before {
  readonly paused: boolean;
  readonly note: string;
}

/**
 * Stores a draft with the tick of the same schedule in another queue, which then is gone. That one rests from the
 * beginning, so that no tick is pushed from both; when this process dies, the next that stores the draft goes on.
 */
async function moveDraft(
  schedules: Schedules,
  draft: Draft,
  from: Schedule,
  known: Schedule | undefined,
  call: Call,
): Promise<void> {
  const { queue, key, text } = draft;
  const before = beforeOf(from);
  const note = JSON.stringify({ reason: `it moves to queue '${queue}'`, before });
  await schedules.pause(from.queue, key, true, note, call);
  const old = await schedules.get(from.queue, key, call);
  if (old === undefined || known !== undefined) {
    await storeDraft(schedules, draft, known, call);
  } else {
    const payload = await draft.payloadOver(undefined);
    const tick = tickOver(draft, old, await nowOf(schedules, call));
    if (!before.paused) {
      await schedules.put({ queue, key, tick, text, payload, from: "none" }, call);
    } else {
      // It must rest before it can be due: a schedule that is put anew rests no more.
      const stub = { queue, key, tick: NEVER, text: "{}", payload: new Uint8Array(), from: "none" } as const;
      await schedules.put(stub, call);
      await schedules.pause(queue, key, true, before.note, call);
      await schedules.put({ queue, key, tick, text, payload, from: NEVER }, call);
    }
  }
  await schedules.remove(from.queue, key, call);
}

function beforeOf({ paused, note }: Schedule): Before {
  try {
    const { before }: { readonly before?: Partial<Before> } = Object(JSON.parse(note));
    if (typeof before?.paused === "boolean" && typeof before.note === "string") {
      return { paused: before.paused, note: before.note };
    }
  } catch {
    // A note of a pause that has nothing to do with a move.
  }
  return { paused, note };
}
