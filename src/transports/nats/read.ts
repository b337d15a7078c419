/**
 * What lies in a stream, message by message.
 *
 * @module
 */

import type { DeadChannel } from "../../job.ts";
import { FAULT, isFault, isGone } from "./errors.ts";
import type { Link } from "./link.ts";
import { DEAD_LETTER, idToken, type Line } from "./names.ts";
import type { Place } from "./place.ts";
import { type Kept, keptOf, type Stored, storedOf } from "./wire.ts";

/** Whoever can ask for messages. */
interface Reader {
  readonly link: Link;
}

/** A dead job, as its subject tells it. */
export interface Grave {
  readonly subject: string;
  /** Orders deaths. */
  readonly stamp: string;
}

/** Ids whose deaths are asked for one by one. */
const FEW = 4;
const DEAD: readonly DeadChannel[] = ["failed", "timeout"];
/** Messages that are asked for at once. */
const AT_ONCE = 256;
/** Subjects of one of the server's answers. */
const SUBJECTS_PAGE = 100_000;

/** The dead jobs of a channel, oldest first, or those with an id. */
export async function graves(
  bench: Reader,
  place: Place,
  channel: DeadChannel,
  id: string | undefined,
  until: number,
): Promise<Grave[]> {
  const filter = `${place.base}${DEAD_LETTER[channel]}.${id === undefined ? ">" : `${idToken(id)}.*`}`;
  const subjects = await subjectsOf(bench, place, filter, until);
  const found = subjects.map((subject) => ({ subject, stamp: subject.slice(subject.lastIndexOf(".") + 1) }));
  return found.sort((a, b) => a.stamp < b.stamp ? -1 : a.stamp > b.stamp ? 1 : 0);
}

/** The last death of each id, by the id's token. */
export async function newestGraves(
  bench: Reader,
  place: Place,
  ids: readonly string[],
  until: number,
): Promise<Map<string, Grave>> {
  const newest = new Map<string, Grave>();
  if (ids.length === 0) return newest;
  // A server of 2.9 goes through all its subjects for each question.
  const asked = ids.length <= FEW ? ids : [undefined];
  const all = await Promise.all(
    asked.flatMap((id) => DEAD.map((channel) => graves(bench, place, channel, id, until))),
  );
  for (const grave of all.flat()) {
    const token = grave.subject.split(".").at(-2) ?? "";
    const last = newest.get(token);
    if (last === undefined || grave.stamp > last.stamp) newest.set(token, grave);
  }
  return newest;
}

/** The subjects of a stream that have messages, of those that a filter lets through. */
export async function subjectsOf(
  { link }: Reader,
  place: Place,
  filter: string,
  until: number,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (let offset = 0;; offset += SUBJECTS_PAGE) {
    const { state } = await link.api<
      { readonly state: { readonly subjects?: Readonly<Record<string, number>> } }
    >(
      `STREAM.INFO.${place.stream}`,
      { subjects_filter: filter, offset },
      until,
    );
    const subjects = Object.keys(state.subjects ?? {});
    for (const subject of subjects) found.push(subject);
    if (subjects.length < SUBJECTS_PAGE) return found;
  }
}

/**
 * Asks for a message; undefined when there is none. Of several copies of a stream the nearest would answer a direct get,
 * which may not know yet what was stored, or know still what was removed: so whoever leads them is asked. That is one
 * server for all, it sends a third more bytes, and all servers of the cluster read the question.
 */
export async function storedAt(
  { link }: Reader,
  place: Place,
  request: object,
  until: number,
): Promise<Stored | undefined> {
  if (place.replicas > 1) return await ledAt(link, place, request, until);
  const subject = `$JS.API.DIRECT.GET.${place.stream}`;
  const message = { subject, data: JSON.stringify(request), leader: place.leader, again: true };
  return storedOf(await link.request(message, until), place.rawName);
}

async function ledAt(
  link: Link,
  { stream, rawName, leader }: Place,
  request: object,
  until: number,
): Promise<Stored | undefined> {
  for (;;) {
    try {
      const { message } = await link.api<{ readonly message: Kept }>(
        `STREAM.MSG.GET.${stream}`,
        request,
        until,
      );
      return keptOf(message, rawName);
    } catch (error) {
      if (isFault(error, FAULT.noMessage)) return undefined;
      if (!isFault(error, FAULT.streamNotFound)) throw error;
      // A server says so, too, of a stream that it leads and has not begun yet.
      await link.leaders.elected(leader, until);
    }
  }
}

/** The last message of a subject. */
export function lastOf(
  bench: Reader,
  place: Place,
  subject: string,
  until: number,
): Promise<Stored | undefined> {
  return storedAt(bench, place, { last_by_subj: subject }, until);
}

/** The first message of a subject from a number on. */
export function nextOf(
  bench: Reader,
  place: Place,
  subject: string,
  seq: number,
  until: number,
): Promise<Stored | undefined> {
  return storedAt(bench, place, { seq, next_by_subj: subject }, until);
}

/** The messages of a line from one number to another, in their order, as far as they are wanted. */
export async function scan(
  bench: Reader,
  place: Place,
  line: Line | "p" | "i" | "h" | "x",
  from: number,
  to: number,
  wanted: (message: Stored) => boolean,
  limit: number,
  until: number,
): Promise<Stored[]> {
  const filter = `${place.base}${line}.>`;
  const found: Stored[] = [];
  for (let seq = from; found.length < limit;) {
    const next = await nextOf(bench, place, filter, seq, until);
    if (next === undefined || next.seq > to) break;
    if (wanted(next)) found.push(next);
    // Behind one that is there more are likely to be: they are asked for at once, by their numbers.
    const numbers = Array.from(
      { length: Math.min(AT_ONCE, Math.max(0, limit - found.length)) },
      (_, n) => next.seq + 1 + n,
    )
      .filter((number) => number <= to);
    const messages = await Promise.all(
      numbers.map((number) => storedAt(bench, place, { seq: number }, until)),
    );
    for (const message of messages) {
      if (message === undefined || !message.subject.startsWith(`${place.base}${line}.`)) continue;
      if (found.length < limit && wanted(message)) found.push(message);
    }
    seq = next.seq + 1 + numbers.length;
  }
  return found;
}

/** Asks for each of many, so many at once; answers in their order. */
export async function each<T, R>(items: readonly T[], ask: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += AT_ONCE) {
    results.push(...await Promise.all(items.slice(start, start + AT_ONCE).map(ask)));
  }
  return results;
}

/** Takes a message out of a stream; false when it is not there any more. */
export async function deleteMessage(
  { link }: Reader,
  place: Place,
  seq: number,
  until: number,
): Promise<boolean> {
  try {
    await link.api(`STREAM.MSG.DELETE.${place.stream}`, { seq, no_erase: true }, until);
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

/** Removes all messages of a subject; how many. */
export async function purge({ link }: Reader, place: Place, subject: string, until: number): Promise<number> {
  const { purged } = await link.api<{ readonly purged: number }>(
    `STREAM.PURGE.${place.stream}`,
    { filter: subject },
    until,
  );
  return purged;
}
