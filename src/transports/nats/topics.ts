/**
 * Topics. What is pushed to a topic is stored in the topic's own stream first, so that all groups get it or none, then
 * copied to the queue of each group under a message id made of its number, then deleted. Who finds something that was
 * left on the way sends it on: whoever binds a group, and now and then whoever reserves from one.
 *
 * @module
 */

import type { Topics } from "../../transport.ts";
import { groupQueue, partsOf, topicQueue } from "../../names.ts";
import type { Bench } from "./bench.ts";
import { arrivedOf, memoryOf, type Whither } from "./followed.ts";
import { deleteMessage, each, scan } from "./read.ts";
import { idToken } from "./names.ts";
import type { Place } from "./place.ts";
import { type Letter, published } from "./publish.ts";
import { type Bound, changeRegistry, readRegistry } from "./registry.ts";
import type { JobRecord, Stored } from "./wire.ts";

/** A job that lies in a topic's own stream. */
export interface Publication {
  readonly seq: number;
  readonly record: JobRecord;
  readonly payload: Uint8Array;
  /** When it may run, where that is known. */
  readonly due?: number | undefined;
  /** When it was stored, where that may be long ago: a group's stream may have forgotten that it has a copy. */
  readonly time?: number | undefined;
  /** The message id of its copies, where it had one before it was kept back. */
  readonly once?: string | undefined;
}

/** Where copies go. */
const COPIES: Whither = { lines: ["w", "d"], dead: false };
/** Jobs that are sent on in one go. */
const PAGE = 500;
/** Milliseconds for which whoever pushed a job is left to send it on. */
const YOUNG = 2_000;

/** Sends jobs on to the groups of their topic, in their order, and takes them out of the topic. */
export async function sendOn(
  bench: Bench,
  place: Place,
  groups: readonly Bound[],
  publications: readonly Publication[],
  until: number,
): Promise<void> {
  const { topic = "" } = partsOf(place.queue);
  const places = new Map(
    await Promise.all(
      groups.map(async ({ group }) =>
        [group, await bench.places.make(groupQueue(topic, group), until)] as const
      ),
    ),
  );
  const first = groups.reduce<Bound | undefined>(
    (a, b) => a === undefined || b.from < a.from ? b : a,
    undefined,
  );
  const there = new Map<Place, ReadonlySet<number>>();
  for (const target of places.values()) {
    there.set(target, await copiedTo(bench, target, publications, until));
  }
  const sent = await Promise.all(publications.map(async (publication) => {
    const since = groups.filter(({ from }) => from < publication.seq);
    // One that was left behind by a group which is gone is the first's.
    const targets = since.length > 0 || first === undefined ? since : [first];
    const copies = targets.flatMap(({ group }) => {
      const target = places.get(group);
      if (target === undefined) return [];
      if (there.get(target)?.has(publication.seq) === true) return [undefined];
      return [published(bench.link, copyOf(bench, target, publication), until)];
    });
    await Promise.all(copies);
    return copies.length > 0 ? publication.seq : 0;
  }));
  await each(sent.filter((seq) => seq > 0), (seq) => deleteMessage(bench, place, seq, until));
}

/** The numbers of those that a queue has a copy of, as far as its server may have forgotten that. */
async function copiedTo(
  bench: Bench,
  place: Place,
  publications: readonly Publication[],
  until: number,
): Promise<ReadonlySet<number>> {
  const forgotten = bench.clock.now() - memoryOf(place);
  const olds = publications.filter(({ time = Infinity }) => time < forgotten)
    .map((publication) => ({
      seq: publication.seq,
      id: publication.record.id,
      once: copyId(publication),
    }));
  const arrived = await arrivedOf(bench, place, olds, COPIES, until);
  return new Set([...arrived].map(({ seq }) => seq));
}

/**
 * The message id of a copy. Where a topic's stream was made anew, or lost its end with the power, numbers come again: the
 * job's id tells them apart.
 */
function copyId({ seq, record: { id }, once }: Publication): string {
  return once ?? `t${seq}.${idToken(id)}`;
}

/** Whether a message id is that of a copy: what bears it in a topic itself was kept back. */
function isCopy(once: string): boolean {
  return /^t\d+\./.test(once);
}

function copyOf(bench: Bench, place: Place, publication: Publication): Letter {
  const { record, payload, due } = publication;
  const { until: _, ...marks } = record.marks;
  const when = due === undefined ? marks : { ...marks, due, delay: undefined };
  // The clock here may be a little behind the server's, by which a job without a delay was stored.
  const timed = marks.delay !== undefined || marks.due !== undefined;
  const delayed = timed && (when.due === undefined || when.due > bench.clock.now());
  return {
    place,
    subject: `${place.base}${delayed ? "d" : "w"}.${idToken(record.id)}`,
    payload,
    record: { ...record, marks: when },
    once: copyId(publication),
  };
}

/** Sends on what lies in a topic: what waited for a group, and what was left on its way. */
export async function sweep(bench: Bench, place: Place, until: number): Promise<void> {
  const { groups } = await readRegistry(bench, place, until);
  const old = bench.clock.now() - YOUNG;
  const lines = groups.length > 0 ? ["w", "d", "p"] as const : ["p"] as const;
  const found: Stored[] = [];
  for (const line of lines) {
    const fits = (message: Stored): boolean => line !== "p" || message.time < old;
    found.push(...await scan(bench, place, line, 1, Infinity, fits, Infinity, until));
  }
  found.sort((a, b) => a.seq - b.seq);
  for (let start = 0; start < found.length; start += PAGE) {
    const page = found.slice(start, start + PAGE).map((message): Publication => {
      const { id, name, meta, marks, seq, payload, time, once } = message;
      const due = marks.due ?? time + (marks.delay ?? 0);
      const record = { id, name, meta, marks };
      // Whoever kept it back may have died at that, or it may have been sent on meanwhile: so it stays one and the same.
      if (isCopy(once)) return { seq, record, payload, due, time: 0, once };
      return { seq, record, payload, due, time };
    });
    if (groups.length > 0) await sendOn(bench, place, groups, page, until);
    else await keepBack(bench, place, page, until);
  }
}

/** What was on its way to groups that are all gone waits in the topic. */
async function keepBack(
  bench: Bench,
  place: Place,
  publications: readonly Publication[],
  until: number,
): Promise<void> {
  const there = await copiedTo(bench, place, publications, until);
  for (const publication of publications) {
    const { marks } = publication.record;
    const letter = copyOf(bench, place, publication);
    const record = { ...letter.record, marks: { ...letter.record.marks, until: marks.until } };
    if (!there.has(publication.seq)) await published(bench.link, { ...letter, record }, until);
    await deleteMessage(bench, place, publication.seq, until);
  }
}

/** The ability itself; `run` bounds a call. */
export function createTopics(
  bench: Bench,
  run: <T>(
    call: Parameters<Topics["groups"]>[1],
    action: string,
    work: (until: number) => Promise<T>,
  ) => Promise<T>,
): Topics {
  return {
    bind: (topic, group, call) =>
      run(call, "bind a group", async (until) => {
        const place = await bench.places.make(topicQueue(topic), until);
        await bench.places.make(groupQueue(topic, group), until);
        await changeRegistry(bench, place, (groups) => {
          if (groups.some((bound) => bound.group === group)) return undefined;
          return [...groups, groups.length === 0 ? { group, from: 0 } : { group, from: undefined }];
        }, until);
        await sweep(bench, place, until);
      }),
    unbind: (topic, group, call) =>
      run(call, "unbind a group", async (until) => {
        const place = await bench.places.find(topicQueue(topic), until);
        if (place === undefined) return false;
        return await changeRegistry(bench, place, (groups) => {
          const left = groups.filter((bound) => bound.group !== group);
          return left.length === groups.length ? undefined : left;
        }, until);
      }),
    groups: (topic, call) =>
      run(call, "list groups", async (until) => {
        const place = await bench.places.find(topicQueue(topic), until);
        if (place === undefined) return [];
        return (await readRegistry(bench, place, until)).groups.map(({ group }) => group).sort();
      }),
  };
}
