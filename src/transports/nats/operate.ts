/**
 * What an operator does: dead jobs back to work, and jobs out for good.
 *
 * @module
 */

import type { Reloaded, Selection } from "../../exchange.ts";
import type { Channel, DeadChannel } from "../../job.ts";
import type { Bench } from "./bench.ts";
import { channelOf, delivered, diedAt, dueAt, READING, type Seen } from "./look.ts";
import { mayBeHeld } from "./calendar.ts";
import { deleteMessage, each, graves, lastOf, purge, scan, storedAt } from "./read.ts";
import { reloadAll } from "./revive.ts";
import { endInStead, successorOf } from "./moves.ts";
import type { Line } from "./names.ts";
import type { Place } from "./place.ts";
import { lineSubject, type Receipt, store, tombSubject } from "./publish.ts";
import { ripenPages } from "./ripen.ts";
import { MESSAGE_ID, type Stored } from "./wire.ts";

/** Jobs that are reloaded at once, or removed between two looks at how far each line was handed over. */
const PAGE = 256;
/** Bytes of payloads that are reloaded at once, or a job's more. */
const PAGE_BYTES = 4 * 1024 * 1024;

/** Dead to waiting, oldest first. */
export async function reloadJobs(
  bench: Bench,
  queue: string,
  channel: DeadChannel,
  select: Selection,
  reset: boolean,
  until: number,
): Promise<Reloaded> {
  const place = await bench.places.find(queue, until);
  const answer = { reloaded: 0, taken: 0 };
  if (place === undefined) return answer;
  await bench.clock.renew(place, until);
  for (const page of pagesOf(await exhumed(bench, place, channel, select, until))) {
    for (const end of await reloadAll(bench, place, page, reset, until)) {
      if (end.status === "rejected") throw end.reason;
      if (end.value === "taken") answer.taken++;
      if (end.value === "reloaded") answer.reloaded++;
    }
  }
  return answer;
}

/** Pages in their order, none of which has an id twice. */
function* pagesOf(dead: readonly Stored[]): Generator<readonly Stored[]> {
  let page = new Map<string, Stored>();
  let bytes = 0;
  for (const one of dead) {
    if (page.size === PAGE || bytes >= PAGE_BYTES || page.has(one.id)) {
      yield [...page.values()];
      page = new Map();
      bytes = 0;
    }
    page.set(one.id, one);
    bytes += one.payload.length;
  }
  if (page.size > 0) yield [...page.values()];
}

/** The dead jobs that are meant, oldest first. */
async function exhumed(
  bench: Bench,
  place: Place,
  channel: DeadChannel,
  select: Selection,
  until: number,
): Promise<Stored[]> {
  const all = select !== "all" && "ids" in select
    ? (await each([...new Set(select.ids)], (id) => graves(bench, place, channel, id, until))).flat()
      .sort((a, b) => a.stamp < b.stamp ? -1 : 1)
    : await graves(bench, place, channel, undefined, until);
  const messages = await each(all, ({ subject }) => lastOf(bench, place, subject, until));
  return messages.flatMap((message) => message !== undefined && isMeant(message, select) ? [message] : []);
}

function isMeant(message: Stored, select: Selection): boolean {
  if (select === "all" || "ids" in select) return true;
  const { name = message.name, reason, before = Infinity } = select;
  return message.name === name && (reason === undefined || message.marks.reason === reason) &&
    diedAt(message) < before;
}

/** Removes jobs of one channel; how many. */
export async function removeJobs(
  bench: Bench,
  queue: string,
  channel: Channel,
  select: Selection,
  until: number,
): Promise<number> {
  const place = await bench.places.find(queue, until);
  if (place === undefined) return 0;
  if (channel === "failed" || channel === "timeout") {
    const dead = await exhumed(bench, place, channel, select, until);
    const counts = await each(dead, ({ subject }) => purge(bench, place, subject, until));
    return counts.reduce((sum, count) => sum + count, 0);
  }
  // Live jobs have neither a reason nor a time of death.
  if (
    select !== "all" && !("ids" in select) && (select.reason !== undefined || select.before !== undefined)
  ) return 0;
  await ripenPages(bench, place, READING, until);
  const live = await meant(bench, place, channel, select, await delivered(bench, place, until), until);
  let removed = 0;
  for (let start = 0; start < live.length; start += PAGE) {
    // What has been handed over since is of another channel, and nobody's to remove here.
    const seen = await delivered(bench, place, until);
    const page = live.slice(start, start + PAGE)
      .filter((message) => channelOf(bench, place, message, seen) === channel);
    removed += channel === "waiting"
      ? await removeWaiting(bench, place, page, until)
      : (await each(page, (message) => removeOne(bench, place, message, channel, until))).filter(Boolean)
        .length;
  }
  return removed;
}

async function meant(
  bench: Bench,
  place: Place,
  channel: Channel,
  select: Selection,
  seen: Seen,
  until: number,
): Promise<Stored[]> {
  const lines: readonly Line[] = channel === "delayed" ? ["d"] : ["b", "w"];
  const fits = (message: Stored): boolean => channelOf(bench, place, message, seen) === channel;
  if (select !== "all" && "ids" in select) {
    const subjects = [...new Set(select.ids)].flatMap((id) =>
      lines.map((line) => lineSubject(place, line, id))
    );
    const found = await each(subjects, (subject) => lastOf(bench, place, subject, until));
    const raw = await each(
      select.ids.filter((id) => /^[1-9]\d{0,15}$/.test(id)),
      (id) => storedAt(bench, place, { seq: Number(id) }, until),
    );
    const foreign = raw.filter((message) => message?.meta === "" && message.id === `${message.seq}`);
    const bySeq = new Map([...found, ...foreign].flatMap((one) => one === undefined ? [] : [[one.seq, one]]));
    return [...bySeq.values()].filter((one) =>
      lines.some((line) => one.subject.startsWith(place.base + line)) && fits(one)
    );
  }
  const name = select === "all" ? undefined : select.name;
  const wanted = (message: Stored): boolean => (name === undefined || message.name === name) && fits(message);
  const found: Stored[] = [];
  for (const line of lines) {
    found.push(...await scan(bench, place, line, 1, Infinity, wanted, Infinity, until));
  }
  return found;
}

/**
 * Removes jobs that wait; how many. Who got one before it was gone cannot move it any more, as its successor's message id
 * is taken then; who has moved it keeps it. On several servers one may be handed over behind that, from a copy that lags.
 */
async function removeWaiting(
  bench: Bench,
  place: Place,
  page: readonly Stored[],
  until: number,
): Promise<number> {
  const ends = await each(page, ({ seq }) => deleteMessage(bench, place, seq, until));
  const gone = page.filter((_, index) => ends[index] === true);
  const seen = await delivered(bench, place, until);
  const doubtful = place.replicas > 1
    ? gone
    : gone.filter((message) => channelOf(bench, place, message, seen) !== "waiting");
  const buried = await each(doubtful, ({ seq }) => bury(bench, place, seq, until));
  return gone.length - buried.filter((is) => !is).length;
}

/**
 * Removes a live job. First its successor's message id is taken, so that whoever holds it, because it was reserved or is
 * due soon, cannot move it any more; then its delivery is acknowledged in its holder's stead, or the message deleted.
 */
async function removeOne(
  bench: Bench,
  place: Place,
  message: Stored,
  channel: "reserved" | "delayed",
  until: number,
): Promise<boolean> {
  const { link, holding, clock } = bench;
  const { seq, subject } = message;
  const held = channel === "reserved" || mayBeHeld(dueAt(message), clock.now());
  const isOurs = !held || await bury(bench, place, seq, until);
  // What is followed by something is to go, too, whoever died before it had.
  if (channel === "reserved") {
    holding.lose(place, seq);
    const line: Line = subject.startsWith(`${place.base}b.`) ? "b" : "w";
    endInStead(link, place, line, seq);
  }
  const isGone = await deleteMessage(bench, place, seq, until) || channel === "reserved";
  return isOurs && isGone;
}

/** Takes the message id of a message's successor; false when there is one already. */
async function bury(bench: Bench, place: Place, seq: number, until: number): Promise<boolean> {
  const lines: [string, string][] = [[MESSAGE_ID, successorOf(seq)]];
  const tomb = { subject: tombSubject(place, seq), data: "", lines, leader: place.leader, again: true };
  const receipt = await new Promise<Receipt | Error>((told) =>
    store(bench.link, tomb, `remove a job of stream '${place.stream}'`, until, told)
  );
  if (receipt instanceof Error) throw receipt;
  const isKnown = receipt.duplicate || receipt.twin;
  const found = isKnown ? await storedAt(bench, place, { seq: receipt.seq }, until) : undefined;
  // Who died before a removal was through leaves this very message, which says nothing of a job.
  if (receipt.duplicate && (found?.subject !== tomb.subject || found.header !== "")) return false;
  // What was sent again may have come behind its holder's own end.
  if (found !== undefined && found.subject !== tomb.subject) return false;
  await deleteMessage(bench, place, receipt.seq, until);
  return true;
}
