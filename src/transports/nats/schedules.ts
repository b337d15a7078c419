/**
 * Recurring jobs: one message each, in the stream of its queue, replaced only by a write that knows the last one. A
 * tick is one atomic batch: the schedule moves on and its job is stored, or neither.
 *
 * @module
 */

import { fateOfPut } from "../../store/schedules.ts";
import type { PushJob } from "../../jobs/exchange.ts";
import type {
  Advanced,
  DueSchedules,
  NewSchedule,
  Schedule,
  SchedulePage,
  Schedules,
} from "../../contract/recurring.ts";
import type { Context, Part } from "./stream/context.ts";
import { freed, messagesOf, targetOf } from "./push_jobs.ts";
import { createShared, partOf } from "./stream/batch.ts";
import { replace, replacing } from "./stream/compare_and_set.ts";
import type { Message, Receipt } from "./stream/publish.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { createScheduleIndex, type Entry, type ScheduleIndex } from "./schedules_index.ts";
import type { Stored } from "./stream/message.ts";
import { deleteMessage, each, lastOf, subjectsOf } from "./stream/read.ts";
import { idOfToken, idToken } from "./stream/subjects.ts";
import type { Run } from "./topics.ts";

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
export function createSchedules(context: Context, run: Run): Schedules {
  const { streams } = context;
  const ticks = createTicks(context);
  const index = createScheduleIndex(context, entryOf);
  return {
    put: (schedule, call) =>
      run(
        call,
        "put a schedule",
        async (until) => {
          const answer = await put(context, await streams.make(schedule.queue, until), schedule, until);
          if (answer === "created") index.expect(schedule.queue);
          return answer;
        },
      ),
    get: (queue, key, call) =>
      run(call, "get a schedule", async (until) => {
        const queueStream = await streams.find(queue, until);
        return queueStream && (await readAll(context, queueStream, [key], until))[0];
      }),
    list: (queue, page, call) =>
      run(call, "list schedules", async (until) => {
        const queueStream = await streams.find(queue, until);
        return queueStream === undefined
          ? { schedules: [] }
          : await listed(context, queueStream, page, until);
      }),
    remove: (queue, key, call) =>
      run(call, "remove a schedule", async (until) => {
        const queueStream = await streams.find(queue, until);
        const kept = queueStream && await look(context, queueStream, key, until);
        return queueStream !== undefined && kept !== undefined &&
          await end(context, queueStream, kept, until);
      }),
    pause: (queue, key, paused, note, call) =>
      run(call, "pause a schedule", async (until) => {
        const queueStream = await streams.find(queue, until);
        return queueStream !== undefined && await pause(context, queueStream, key, { paused, note }, until);
      }),
    due: (queues, limit, call) =>
      run(call, "look for due schedules", (until) => due(context, index, queues, limit, until)),
    advance: (queue, key, tick, next, job, call) =>
      run(call, "advance a schedule", async (until) => {
        const queueStream = await streams.find(queue, until);
        if (queueStream === undefined) return "stale";
        return await advance(context, ticks, queueStream, { key, tick, next, job }, until);
      }),
  };
}

function entryOf(queueStream: QueueStream, { subject, header }: Stored): Entry {
  const { tick = 0, paused = false } = sheetOf(header);
  const key = idOfToken(subject.slice(queueStream.base.length + "s.".length));
  return { queueStream, key, tick, paused };
}

function subjectOf({ base }: QueueStream, key: string): string {
  return `${base}s.${idToken(key)}`;
}

async function look(
  context: Context,
  queueStream: QueueStream,
  key: string,
  until: number,
): Promise<Kept | undefined> {
  const stored = await lastOf(context, queueStream, subjectOf(queueStream, key), until);
  if (stored === undefined) return undefined;
  const { tick = 0, paused = false, note, text = "" } = sheetOf(stored.header);
  return { key, tick, paused, note, text, payload: stored.payload, seq: stored.seq };
}

/** The parts of a header line; one that another program spoilt is its schedule's text, and hides no other. */
function sheetOf(header: string): Partial<Sheet> {
  try {
    const sheet: unknown = JSON.parse(header);
    if (typeof sheet === "object" && sheet !== null) return sheet;
  } catch {
    // Told by the core, which cannot read the text either.
  }
  return { text: header };
}

function replacementOf(
  queueStream: QueueStream,
  { key, tick, paused, note, text, payload, seq }: Kept,
): Parameters<typeof replace>[2] & { readonly data: Uint8Array } {
  const sheet: Sheet = { tick, paused, note: note === "" ? undefined : note, text };
  return { subject: subjectOf(queueStream, key), text: JSON.stringify(sheet), data: payload, expected: seq };
}

/** Replaces the schedule that was read; undefined when another write has changed it since. */
function write(
  context: Context,
  queueStream: QueueStream,
  kept: Kept,
  until: number,
): Promise<number | undefined> {
  return replace(context, queueStream, replacementOf(queueStream, kept), until);
}

/** Changes a schedule, however many others do; false when there is none. */
async function pause(
  context: Context,
  queueStream: QueueStream,
  key: string,
  rest: { readonly paused: boolean; readonly note: string },
  until: number,
): Promise<boolean> {
  for (;;) {
    const kept = await look(context, queueStream, key, until);
    if (kept === undefined) return false;
    if (await write(context, queueStream, { ...kept, ...rest }, until) !== undefined) return true;
  }
}

/** Removes a schedule, whatever it has become since it was read; false when it was gone. */
async function end(context: Context, queueStream: QueueStream, kept: Kept, until: number): Promise<boolean> {
  for (let last: Kept | undefined = kept; last !== undefined;) {
    if (await deleteMessage(context, queueStream, last.seq, until)) return true;
    last = await look(context, queueStream, kept.key, until);
  }
  return false;
}

async function put(
  context: Context,
  queueStream: QueueStream,
  schedule: NewSchedule,
  until: number,
): Promise<"created" | "replaced" | "same" | "stale"> {
  const { key, tick, text, payload } = schedule;
  for (;;) {
    const kept = await look(context, queueStream, key, until);
    const fate = fateOfPut(kept, schedule);
    if (fate === "same" || fate === "stale") return fate;
    const { seq = 0, paused = false, note } = kept ?? {};
    const written = await write(context, queueStream, { key, tick, paused, note, text, payload, seq }, until);
    if (written !== undefined) return fate;
  }
}

/** The keys of a queue's schedules, in order. */
async function keysOf(context: Context, queueStream: QueueStream, until: number): Promise<readonly string[]> {
  const start = `${queueStream.base}s.`;
  const subjects = await subjectsOf(context, queueStream, `${start}>`, until);
  return subjects.map((subject) => idOfToken(subject.slice(start.length))).sort();
}

async function readAll(
  context: Context,
  queueStream: QueueStream,
  keys: readonly string[],
  until: number,
): Promise<readonly Schedule[]> {
  const all = await each(keys, (key) => look(context, queueStream, key, until));
  return all.flatMap((kept) => {
    if (kept === undefined) return [];
    return [scheduleOf(queueStream, kept)];
  });
}

function scheduleOf({ queue }: QueueStream, { key, tick, paused, note = "", text, payload }: Kept): Schedule {
  return { queue, key, tick, paused, note, text, payload };
}

async function listed(
  context: Context,
  queueStream: QueueStream,
  { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
  until: number,
): Promise<SchedulePage> {
  const all = await keysOf(context, queueStream, until);
  const keys = all.filter((key) => cursor === undefined || key > cursor);
  const schedules = await readAll(context, queueStream, keys.slice(0, limit), until);
  const last = keys[limit - 1];
  return keys.length > limit && last !== undefined ? { schedules, cursor: last } : { schedules };
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
  const awake = entries.filter(({ paused }) => !paused).sort((a, b) => a.tick - b.tick);
  const come = awake.filter(({ tick }) => tick <= now).slice(0, limit);
  const next = awake[come.length];
  const read = await each(come, async ({ queueStream, key }) => {
    const kept = await look(context, queueStream, key, until);
    index.tell(queueStream, key, kept && { queueStream, key, tick: kept.tick, paused: kept.paused });
    return kept === undefined || kept.paused || kept.tick > now ? [] : [scheduleOf(queueStream, kept)];
  });
  const schedules = read.flat().sort((a, b) => a.tick - b.tick);
  return next === undefined ? { now, schedules } : { now, schedules, next: Math.max(0, next.tick - now) };
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

async function advance(
  context: Context,
  ticks: Ticks,
  queueStream: QueueStream,
  { key, tick, next, job }: Step,
  until: number,
): Promise<Advanced> {
  let messages = job === undefined ? [] : await jobOf(context, job, until);
  let taken = false;
  for (;;) {
    const kept = await look(context, queueStream, key, until);
    if (kept === undefined || kept.paused || kept.tick !== tick) return "stale";
    const parts = [stepOf(queueStream, kept, next), ...messages.map(partOf)];
    const receipt = await ticks(queueStream, parts, until);
    if (receipt.state === "stored") {
      // Its last message said that it ends.
      if (next === undefined) {
        await deleteMessage(context, queueStream, receipt.seq - parts.length + 1, until);
      }
      return job === undefined ? "none" : taken ? "duplicate" : "pushed";
    }
    // Where its job's id is taken the schedule moves on without one.
    const free = await freed(context, messages, until);
    taken = free === undefined;
    messages = free ?? [];
  }
}

/** The messages of a tick's job. */
async function jobOf(context: Context, job: PushJob, until: number): Promise<Message[]> {
  return messagesOf(context, await targetOf(context, job.queue, until), job);
}

/** The schedule with its next tick; one that has none rests until it is removed. */
function stepOf(queueStream: QueueStream, kept: Kept, next: number | undefined): Part {
  const ended = { ...kept, paused: kept.paused || next === undefined, tick: next ?? kept.tick };
  const replacement = replacementOf(queueStream, ended);
  const lines = replacing(next === undefined ? { ...replacement, ttl: 1 } : replacement);
  return { subject: replacement.subject, data: replacement.data, lines };
}
