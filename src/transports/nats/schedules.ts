/**
 * Recurring jobs: one message each, in the stream of its queue, replaced only by a write that knows the last one. A
 * tick is one atomic batch: the schedule moves on and its job is stored, or neither.
 *
 * @module
 */

import { dueAmong, fateOfPut } from "../../store/schedules.ts";
import type { PushJob } from "../../jobs/exchange.ts";
import { jsonOf } from "../../text.ts";
import type {
  Advanced,
  DueSchedules,
  NewSchedule,
  Schedule,
  SchedulePage,
  Schedules,
} from "../../contract/recurring.ts";
import type { Calls } from "./calls.ts";
import type { Context, QueueCall } from "./stream/context.ts";
import { checkRoom, freed, type Messages, messagesOf, sizeOf, targetOf } from "./push_jobs.ts";
import { createShared } from "./stream/batch.ts";
import {
  type Message,
  type Part,
  partOf,
  type Receipt,
  replace,
  type Replacement,
  replacing,
} from "./stream/publish.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { isInstant, line, MESSAGE_ID, type Stored } from "./stream/message.ts";
import { deleteMessage, each, lastOf, pagesOf, type StreamCall, subjectsOf } from "./stream/read.ts";
import { idOfToken, idToken } from "./stream/subjects.ts";

/** The parts of a schedule's header line. */
interface Sheet {
  readonly tick: number;
  readonly paused: boolean;
  /** Absent: empty. */
  readonly note?: string | undefined;
  readonly text: string;
}

/** A schedule as it lies in the stream. */
interface Kept extends Sheet {
  readonly key: string;
  readonly payload: Uint8Array;
  readonly seq: number;
}

/** Makes the ability to store recurring jobs. */
export function createSchedules(context: Context, { ask, on }: Calls): Schedules {
  const { streams } = context;
  const ticks = createTicks(context);
  const index = createIndex(context);
  return {
    put: (schedule, bounds) =>
      ask(bounds, "put a schedule", async (until) => {
        const queueStream = await streams.make(schedule.queue, until);
        const answer = await put({ ...context, queueStream, until }, schedule);
        if (answer === "created") index.expect(schedule.queue);
        return answer;
      }),
    get: (queue, key, bounds) =>
      on(queue, bounds, "get a schedule", undefined, async (call) => (await readAll(call, [key]))[0]),
    list: (queue, page, bounds) =>
      on(queue, bounds, "list schedules", { schedules: [] }, (call) => listed(call, page)),
    remove: (queue, key, bounds) =>
      on(queue, bounds, "remove a schedule", false, (call) => removed(call, key)),
    pause: (queue, key, paused, note, bounds) =>
      on(queue, bounds, "pause a schedule", false, (call) => pause(call, key, { paused, note })),
    due: (queues, limit, bounds) =>
      ask(bounds, "look for due schedules", (until) => due(context, index, queues, limit, until)),
    advance: (queue, key, tick, next, job, bounds) =>
      on(
        queue,
        bounds,
        "advance a schedule",
        "stale",
        (call) => advance(call, ticks, { key, tick, next, job }),
      ),
  };
}

function entryOf(queueStream: QueueStream, { subject, header }: Stored): Entry {
  const { tick, paused } = sheetOf(header);
  const key = idOfToken(subject.slice(queueStream.base.length + "s.".length));
  return { queueStream, key, tick, paused };
}

function subjectOf({ base }: QueueStream, key: string): string {
  return `${base}s.${idToken(key)}`;
}

async function look(call: StreamCall, key: string): Promise<Kept | undefined> {
  const stored = await lastOf(call, subjectOf(call.queueStream, key));
  if (stored === undefined) return undefined;
  return { ...sheetOf(stored.header), key, payload: stored.payload, seq: stored.seq };
}

/**
 * The parts of a header line; one that another program spoilt is its schedule's text, which the core cannot read either
 * and tells, and hides no other.
 */
function sheetOf(header: string): Sheet {
  const { tick, paused, note, text }: Readonly<Record<string, unknown>> = Object(jsonOf(header));
  if (!isInstant(tick) || typeof text !== "string") return { tick: 0, paused: false, text: header };
  return { tick, paused: paused === true, note: typeof note === "string" ? note : undefined, text };
}

function replacementOf(
  queueStream: QueueStream,
  { key, tick, paused, note, text, payload, seq }: Kept,
): Replacement & { readonly data: Uint8Array } {
  const sheet: Sheet = { tick, paused, note: note === "" ? undefined : note, text };
  return { subject: subjectOf(queueStream, key), text: JSON.stringify(sheet), data: payload, expected: seq };
}

/** Replaces the schedule that was read; undefined when another write has changed it since. */
function write(call: StreamCall, kept: Kept): Promise<number | undefined> {
  return replace(call, replacementOf(call.queueStream, kept));
}

/** Changes a schedule, however many others do; false when there is none. */
async function pause(
  call: StreamCall,
  key: string,
  rest: { readonly paused: boolean; readonly note: string },
): Promise<boolean> {
  for (;;) {
    const kept = await look(call, key);
    if (kept === undefined) return false;
    if (await write(call, { ...kept, ...rest }) !== undefined) return true;
  }
}

/** Removes a schedule, whatever it becomes meanwhile; false when it was gone. */
async function removed(call: StreamCall, key: string): Promise<boolean> {
  for (;;) {
    const kept = await look(call, key);
    if (kept === undefined) return false;
    if (await deleteMessage(call, kept.seq)) return true;
  }
}

async function put(call: StreamCall, schedule: NewSchedule): ReturnType<Schedules["put"]> {
  const { key, tick, text, payload } = schedule;
  for (;;) {
    const kept = await look(call, key);
    const fate = fateOfPut(kept, schedule);
    if (fate === "same" || fate === "stale") return fate;
    const { seq = 0, paused = false, note } = kept ?? {};
    if (await write(call, { key, tick, paused, note, text, payload, seq }) !== undefined) return fate;
  }
}

/** The keys of a queue's schedules, in order. */
async function keysOf(call: StreamCall): Promise<readonly string[]> {
  const start = `${call.queueStream.base}s.`;
  const subjects = await subjectsOf(call, `${start}>`);
  return subjects.map((subject) => idOfToken(subject.slice(start.length))).sort();
}

async function readAll(call: StreamCall, keys: readonly string[]): Promise<readonly Schedule[]> {
  const all = await each(keys, (key) => look(call, key));
  return all.flatMap((kept) => kept === undefined ? [] : [scheduleOf(call.queueStream, kept)]);
}

function scheduleOf({ queue }: QueueStream, { key, tick, paused, note = "", text, payload }: Kept): Schedule {
  return { queue, key, tick, paused, note, text, payload };
}

async function listed(
  call: StreamCall,
  { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
): Promise<SchedulePage> {
  const keys = (await keysOf(call)).filter((key) => cursor === undefined || key > cursor);
  const schedules = await readAll(call, keys.slice(0, limit));
  const last = keys[limit - 1];
  return keys.length > limit && last !== undefined ? { schedules, cursor: last } : { schedules };
}

/** A schedule as far as its ticks are concerned. */
interface Entry {
  readonly queueStream: QueueStream;
  readonly key: string;
  readonly tick: number;
  readonly paused: boolean;
}

/**
 * The index of queues' schedules, so that a question for due ones reads the changes since the last question, and not
 * every schedule. Each change is a message behind the last one that was read; a schedule that was removed leaves no
 * message, and is found to be gone when its tick has come.
 */
interface ScheduleIndex {
  /** The schedules of queues, once their changes have been read. */
  look(queues: readonly string[], until: number): Promise<readonly Entry[]>;
  /** A schedule is gone, or was read anew. */
  tell(queueStream: QueueStream, key: string, entry: Entry | undefined): void;
  /** A schedule was put into a queue: a queue that held none is read the next time. */
  expect(queue: string): void;
}

/** The index of one queue. */
interface Book {
  /** When its stream was made: of another one nothing is known. */
  created: number;
  /** The number of the last message that was read. */
  seq: number;
  readonly entries: Map<string, Entry>;
  /** The read under way, which calls share. */
  looking: Promise<void> | undefined;
}

/** Makes an index in which nothing is known. */
function createIndex({ link, streams }: Context): ScheduleIndex {
  const books = new Map<string, Book>();
  let turn = 0;

  async function read(queue: string, book: Book, until: number): Promise<void> {
    const queueStream = await streams.find(queue, until);
    if (queueStream === undefined) return;
    if (queueStream.created !== book.created) {
      Object.assign(book, { created: queueStream.created, seq: 0 });
      book.entries.clear();
    }
    const call = { link, queueStream, until };
    for await (const page of pagesOf(call, `${queueStream.base}s.>`, { from: book.seq + 1 })) {
      for (const message of page) {
        const entry = entryOf(queueStream, message);
        book.entries.set(entry.key, entry);
        book.seq = message.seq;
      }
    }
  }

  async function refresh(queue: string, until: number): Promise<void> {
    const book: Book = books.get(queue) ?? { created: 0, seq: 0, entries: new Map(), looking: undefined };
    books.set(queue, book);
    book.looking ??= read(queue, book, until).finally(() => book.looking = undefined);
    await book.looking;
  }

  return {
    async look(queues, until) {
      const empty = queues.filter((queue) => books.get(queue)?.entries.size === 0);
      // Most queues hold none: those are read in turn, so that a worker asks one question a second for all.
      const first = empty[turn++ % Math.max(1, empty.length)];
      await Promise.all(
        queues.filter((queue) => queue === first || !empty.includes(queue))
          .map((queue) => refresh(queue, until)),
      );
      return queues.flatMap((queue) => [...books.get(queue)?.entries.values() ?? []]);
    },
    tell({ queue }, key, entry) {
      const entries = books.get(queue)?.entries;
      if (entry === undefined) entries?.delete(key);
      else entries?.set(key, entry);
    },
    expect(queue) {
      if (books.get(queue)?.entries.size === 0) books.delete(queue);
    },
  };
}

/** Schedules that are due by the index, read once more: another worker may have moved them on, or removed them. */
async function due(
  context: Context,
  index: ScheduleIndex,
  queues: readonly string[],
  limit: number,
  until: number,
): Promise<DueSchedules> {
  const entries = await index.look(queues, until);
  const now = context.clock.now();
  const come = dueAmong(entries, now, limit);
  const read = await each(come.schedules, async ({ queueStream, key }) => {
    const kept = await look({ link: context.link, queueStream, until }, key);
    index.tell(queueStream, key, kept && { queueStream, key, tick: kept.tick, paused: kept.paused });
    return kept === undefined || kept.paused || kept.tick > now ? [] : [scheduleOf(queueStream, kept)];
  });
  return { ...come, schedules: read.flat().sort((a, b) => a.tick - b.tick) };
}

/** A tick that is to be pushed, and the one after it. */
interface Step {
  readonly key: string;
  readonly tick: number;
  readonly next: number | undefined;
  readonly job: PushJob | undefined;
}

/** Stores the parts of one tick. */
type Ticks = (queueStream: QueueStream, parts: readonly Part[], until: number) => Promise<Receipt>;

/** Milliseconds that a batch of ticks may take. */
const LATEST = 10_000;

/** Ticks of one moment share a batch. */
function createTicks({ batches, link }: Context): Ticks {
  const { runtime } = link.settings;
  const shared = createShared(batches, () => runtime.monotonic() + LATEST);
  let isDue = false;
  return async (queueStream, parts, until) => {
    const adding = shared.add(queueStream, parts);
    if (!isDue) {
      isDue = true;
      void runtime.sleep(0).then(() => {
        isDue = false;
        shared.send();
      });
    }
    const sent = await adding;
    return sent === "alone" ? await batches.store(queueStream, parts, until) : sent;
  };
}

async function advance(call: QueueCall, ticks: Ticks, { key, tick, next, job }: Step): Promise<Advanced> {
  const { queueStream, until } = call;
  let messages = job === undefined ? undefined : await jobOf(call, job);
  let taken = false;
  for (;;) {
    const kept = await look(call, key);
    if (kept === undefined || kept.paused || kept.tick !== tick) return "stale";
    const parts = partsOf(queueStream, kept, messages ?? [], next);
    let receipt = await ticks(queueStream, parts, until);
    // A part was stored before; where all was, by another worker, the schedule has moved on.
    if (receipt.state === "duplicate" && (await look(call, key))?.seq === kept.seq) {
      receipt = await call.batches.finish(queueStream, parts, NOTHING, until);
    }
    if (receipt.state === "stored") {
      // Its last message said that it ends.
      if (next === undefined) await deleteMessage(call, receipt.seq);
      return job === undefined ? "none" : taken ? "duplicate" : "pushed";
    }
    if (messages === undefined) continue;
    // Where its job's id is taken the schedule moves on without one.
    messages = await freed(call, messages, until);
    taken = messages === undefined;
  }
}

/** Of a batch nothing is known to be stored, and something may be. */
const NOTHING = { seqs: [], isOver: false };

/**
 * The messages of a tick. The step comes last: a server that runs out of room in the middle leaves it out, and the tick
 * is due still. All attempts at a tick bear the same message ids, so that nothing is stored twice.
 */
function partsOf(
  queueStream: QueueStream,
  kept: Kept,
  messages: readonly Message[],
  next: number | undefined,
): readonly Part[] {
  const ended = { ...kept, paused: kept.paused || next === undefined, tick: next ?? kept.tick };
  const replacement = replacementOf(queueStream, ended);
  // One that has no next tick rests until it is removed.
  const lines = replacing(next === undefined ? { ...replacement, ttl: 1 } : replacement);
  const step = { subject: replacement.subject, data: replacement.data, lines };
  if (queueStream.replicas > 1) return [...messages.map(partOf), step];
  const idOf = (name: string): string => `k${kept.seq}.${name}`;
  const once = idOf("step");
  return [
    ...messages.map((message) => partOf({ ...message, once: idOf(message.queueStream.suffix) })),
    { ...step, lines: lines + line(MESSAGE_ID, once), once },
  ];
}

/** The messages of a tick's job. Where only the room of moves is left the tick is refused, as a dispatch is. */
async function jobOf(call: QueueCall, job: PushJob): Promise<Messages> {
  const target = await targetOf(call, job.queue, call.until);
  const size = sizeOf(job);
  await checkRoom(call, target, { all: size, largest: size }, call.until);
  return messagesOf(call, target, job);
}
