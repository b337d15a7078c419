/**
 * Which groups are bound to a topic: one message in the topic's own stream, replaced only by who knows the last one. Each
 * group begins with a number of the stream, so that who fans a job out later than others sends it to the same groups.
 *
 * @module
 */

import { groupQueue, partsOf } from "../../names.ts";
import type { Bench } from "./bench.ts";
import { lastMessage, replace } from "./locks.ts";
import type { Place } from "./place.ts";

/** A group that is bound. */
export interface Bound {
  readonly group: string;
  /** The number behind which a job must lie to be the group's; 0 for the first group, which gets what waited. */
  readonly from: number;
}

/** The groups of a topic. */
export interface Registry {
  /** The number of its message, 0 when there is none. */
  readonly seq: number;
  readonly groups: readonly Bound[];
}

const TRIES = 100;

function subjectOf({ base }: Place): string {
  return `${base}g.groups`;
}

/** Whether a place is a topic's own. */
export function isTopic({ queue }: Place): boolean {
  return queue.endsWith("@");
}

/** Reads a topic's groups. */
export async function readRegistry(bench: Bench, place: Place, until: number): Promise<Registry> {
  const message = await lastMessage(bench, place, subjectOf(place), until);
  if (message === undefined) return { seq: 0, groups: [] };
  const { seq, text } = message;
  const list: unknown = JSON.parse(text);
  const groups = (Array.isArray(list) ? list : []).flatMap((one: unknown): Bound[] => {
    if (!Array.isArray(one) || typeof one[0] !== "string") return [];
    return [{ group: one[0], from: typeof one[1] === "number" ? one[1] : seq }];
  });
  return { seq, groups };
}

/**
 * Changes a topic's groups; false when the change is none. A group without a number begins with the message that binds
 * it.
 */
export async function changeRegistry(
  bench: Bench,
  place: Place,
  change: (
    groups: readonly Bound[],
  ) => readonly (Bound | { readonly group: string; readonly from: undefined })[] | undefined,
  until: number,
): Promise<boolean> {
  for (let tries = 1;; tries++) {
    const { seq, groups } = await readRegistry(bench, place, until);
    const changed = change(groups);
    if (changed === undefined) return false;
    const text = JSON.stringify(changed.map(({ group, from }) => [group, from ?? null]));
    if (await replace(bench, place, subjectOf(place), text, seq, until) !== undefined) return true;
    if (tries === TRIES) {
      throw new Error(`Cannot change the groups of '${place.queue}' as others keep changing them`);
    }
  }
}

/** The places of a topic's groups. */
export async function placesOf(bench: Bench, place: Place, until: number): Promise<Place[]> {
  const { topic = "" } = partsOf(place.queue);
  const { groups } = await readRegistry(bench, place, until);
  return await Promise.all(groups.map(({ group }) => bench.places.make(groupQueue(topic, group), until)));
}
