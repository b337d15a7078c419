/**
 * Recurring jobs: schedules, each moved on in the script that stores its job.
 *
 * @module
 */

import type { Call, PushJob } from "../../jobs/exchange.ts";
import type { Schedule, Schedules } from "../../contract/recurring.ts";
import { schedulePage } from "../../store/pages.ts";
import { dueAmong } from "../../store/schedules.ts";
import { type Context, replies } from "./context.ts";
import { textOf } from "./client/driver.ts";
import type { Argument, Reply, Script } from "./client/link.ts";
import { faultsIn, newQueues, whenOf } from "./push.ts";
import type { ScheduleScripts } from "./scripts/schedules.ts";

/** Values that a script answers for each schedule. */
const WIDTH = 7;

/** Milliseconds for which the transport assumes that no other queue has a recurring job. */
const REMEMBERED = 1_500;

/** The ability, and the queues that were last found to have recurring jobs. */
interface Book {
  readonly context: Context;
  readonly scripts: ScheduleScripts;
  /** The last answer, when it was given, and the queues that were asked for. */
  had:
    | { readonly all: ReadonlySet<string>; readonly asked: ReadonlySet<string>; readonly since: number }
    | undefined;
}

/** Makes the ability to store recurring jobs. */
export function createSchedules(context: Context, scripts: ScheduleScripts): Schedules {
  const { link, keys } = context;
  const book: Book = { context, scripts, had: undefined };

  function run(script: Script, queue: string, args: readonly Argument[], call: Call): Promise<Reply> {
    return link.run(script, [keys.base(queue)], args, call);
  }

  return {
    put: (schedule, call) => put(book, schedule, call),
    async get(queue, key, call) {
      return schedulesIn(replies(await run(scripts.getSchedule, queue, [key], call)), [queue])[0];
    },
    async list(queue, { limit, cursor }, call) {
      const args = [String(limit + 1), ...(cursor === undefined ? [] : [cursor])];
      const found = schedulesIn(replies(await run(scripts.listSchedules, queue, args, call)), [queue]);
      return schedulePage(found, limit);
    },
    async remove(queue, key, call) {
      return await run(scripts.removeSchedule, queue, [key], call) === 1;
    },
    async pause(queue, key, paused, note, call) {
      return await run(scripts.pauseSchedule, queue, [key, paused ? "1" : "0", note], call) === 1;
    },
    due: (asked, limit, call) => due(book, asked, limit, call),
    advance: (...move) => advance(book, ...move),
  };
}

async function put(
  book: Book,
  { queue, key, tick, text, payload, from }: Parameters<Schedules["put"]>[0],
  call: Call,
): ReturnType<Schedules["put"]> {
  const { link, keys } = book.context;
  // Before the schedule, so that a process which dies in between leaves none that no worker asks for.
  await link.command(keys.scheduled, ["SADD", keys.scheduled, queue], call);
  book.had = undefined;
  const wanted = typeof from === "number" ? instant(from) : from ?? "";
  const args = [key, instant(tick), text, payload, wanted];
  const answer = await link.run(book.scripts.putSchedule, [keys.base(queue)], args, call);
  return answer === 0 ? "created" : answer === 1 ? "replaced" : answer === 2 ? "same" : "stale";
}

/**
 * Those of the queues that may have recurring jobs: one command for all, as most have none and are asked for every
 * second.
 */
async function scheduled(book: Book, queues: readonly string[], call: Call): Promise<readonly string[]> {
  const { link, keys, runtime } = book.context;
  const now = runtime.monotonic();
  const known = book.had;
  if (
    known !== undefined && now - known.since < REMEMBERED && queues.every((queue) => known.asked.has(queue))
  ) return queues.filter((queue) => known.all.has(queue));
  const answer = await link.command(keys.scheduled, ["SMEMBERS", keys.scheduled], call);
  const all = new Set(replies(answer).map(textOf));
  book.had = { all, asked: new Set(queues), since: now };
  return queues.filter((queue) => all.has(queue));
}

async function due(
  book: Book,
  asked: readonly string[],
  limit: number,
  call: Call,
): ReturnType<Schedules["due"]> {
  const { link, keys, runtime } = book.context;
  const queues = await scheduled(book, asked, call);
  if (queues.length === 0 && asked.length > 0) return { now: runtime.now(), schedules: [] };
  const groups = link.clustered && queues.length > 0 ? queues.map((queue) => [queue]) : [queues];
  const answers = await Promise.all(groups.map(async (group) => {
    const bases = group.length > 0 ? group.map((queue) => keys.base(queue)) : [keys.base("")];
    const answer = await link.run(book.scripts.dueSchedules, bases, [String(limit + 1)], call);
    const [now, next, list] = replies(answer);
    const first = textOf(next);
    return {
      now: Number(textOf(now)),
      next: first === "" ? Infinity : Number(first),
      found: schedulesIn(replies(list), group),
    };
  }));
  const now = Math.min(...answers.map((answer) => answer.now));
  const next = Math.min(...answers.map((answer) => answer.next));
  return dueAmong(answers.flatMap(({ found }) => found), now, limit, next);
}

async function advance(
  { context, scripts }: Book,
  ...[queue, key, tick, next, job, call]: Parameters<Schedules["advance"]>
): ReturnType<Schedules["advance"]> {
  const { link, keys, registry } = context;
  const args = [...pushOf(context, job), key, instant(tick), next === undefined ? "" : instant(next)];
  const answer = await link.run(scripts.advanceSchedule, [keys.base(queue)], args, call);
  if (answer === null) return "stale";
  const [refused, fresh, faults] = replies(answer);
  const fault = faultsIn(context, scripts.advanceSchedule, [queue], replies(faults)).get(queue);
  if (fault !== undefined) throw fault;
  if (job !== undefined) await registry.enter([queue], call);
  const begun = newQueues([queue], replies(fresh));
  if (begun.length > 0) await registry.enter(begun, call, true);
  if (job === undefined) return "none";
  return replies(refused).length > 0 ? "duplicate" : "pushed";
}

/** Of queues that ever had a recurring job, but for those of `known`, the ones that have one now. */
export async function schedulingQueues(
  { link, keys }: Context,
  known: readonly string[],
  call: Call,
): Promise<readonly string[]> {
  const had = replies(await link.command(keys.scheduled, ["SMEMBERS", keys.scheduled], call));
  const unknown = had.map(textOf).filter((queue) => !known.includes(queue));
  const have = await Promise.all(unknown.map(async (queue) => {
    const key = keys.key(queue, "schedules");
    return await link.command(key, ["HLEN", key], call) === 0 ? [] : [queue];
  }));
  return have.flat();
}

/** The arguments of the script that pushes, for one job. */
function pushOf({ pack }: Context, job: PushJob | undefined): readonly Argument[] {
  if (job === undefined) return [];
  const window = job.idWindow === undefined ? -1 : Math.ceil(job.idWindow);
  return ["dw", "", pack([1, job.id, job.name, job.meta, job.payload, ...whenOf(job), window])];
}

/** Schedules as a script answers them, each in a row of values. */
function schedulesIn(list: readonly Reply[], queues: readonly string[]): readonly Schedule[] {
  const found: Schedule[] = [];
  for (let n = 0; n < list.length; n += WIDTH) {
    const [number, key, tick, paused, text, payload, note] = list.slice(n, n + WIDTH);
    const queue = typeof number === "number" ? queues[number - 1] : undefined;
    if (queue === undefined || !(payload instanceof Uint8Array)) continue;
    found.push({
      queue,
      key: textOf(key),
      tick: Number(textOf(tick)),
      paused: paused === 1,
      note: textOf(note),
      text: textOf(text),
      payload: payload.slice(),
    });
  }
  return found;
}

/** An instant as a script compares it. */
function instant(tick: number): string {
  return tick.toFixed(0);
}
