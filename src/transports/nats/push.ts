/**
 * Push: jobs in.
 *
 * @module
 */

import { errorOf, TooLargeError } from "../../errors.ts";
import type { Call, Pushed, PushJob } from "../../exchange.ts";
import { byteLength } from "../../names.ts";
import { checkTime } from "../../options.ts";
import { MAX_NAME } from "../../defaults.ts";
import type { Bench } from "./bench.ts";
import { pushUnder } from "./ids.ts";
import type { Place } from "./places.ts";
import { type Letter, lineSubject, payloadLimit, publish } from "./publish.ts";
import type { Marks } from "./wire.ts";

/** When a job may run, or nothing for at once. */
interface When {
  readonly delay?: number | undefined;
  readonly at?: number | undefined;
}

/** Stores jobs; an answer for each. */
export async function pushJobs(bench: Bench, jobs: readonly PushJob[], { deadline }: Call): Promise<Pushed[]> {
  const { link, places } = bench;
  const until = link.settings.runtime.monotonic() + deadline;
  if (!link.up) await link.ready(until, "push jobs");
  const made = new Map<string, Place | Error>();
  for (const { queue } of jobs) {
    if (made.has(queue)) continue;
    const known = places.known(queue);
    made.set(queue, known ?? await places.make(queue, until).catch(errorOf));
  }
  // Ids that callers chose take several round trips; those of one id in their order.
  const chains = new Map<string, Promise<Pushed>>();
  const answers: (Pushed | Promise<Pushed>)[] = [];
  for (const job of jobs) {
    const room = bench.window.enter(job.payload.length);
    if (room !== undefined) await room;
    answers.push(pushOne(bench, job, made.get(job.queue), until, chains));
  }
  return await Promise.all(answers);
}

function pushOne(
  bench: Bench,
  job: PushJob,
  place: Place | Error | undefined,
  until: number,
  chains: Map<string, Promise<Pushed>>,
): Pushed | Promise<Pushed> {
  const { link, window } = bench;
  const leave = (): void => window.leave(job.payload.length);
  try {
    checkJob(bench, job);
    if (place === undefined || place instanceof Error) throw place;
    if (job.idWindow !== undefined) {
      const key = `${job.queue}@@${job.id}`;
      const before = chains.get(key) ?? Promise.resolve();
      const pushed = before.then(() => pushUnder(bench, place, job, letterOf(bench, place, job), until));
      const answer = pushed.catch(errorOf).finally(leave);
      chains.set(key, answer);
      return answer;
    }
    return new Promise((resolve) =>
      publish(link, letterOf(bench, place, job), until, (receipt, error) => {
        leave();
        resolve(receipt === undefined ? error ?? new Error("No answer") : "stored");
      })
    );
  } catch (error) {
    leave();
    return errorOf(error);
  }
}

/** The message that a job is. */
export function letterOf(bench: Bench, place: Place, { id, name, payload, meta, ...when }: PushJob): Letter {
  const marks = whenMarks(bench, when);
  const delayed = marks.delay !== undefined || (marks.due ?? 0) > bench.clock.now();
  const record = { id, name, meta, marks };
  return { place, subject: lineSubject(place, delayed ? "d" : "w", id), payload, record };
}

/** When a job may run, as it is written: an instant, or a time after it is stored. */
export function whenMarks(bench: Bench, { delay, at }: When): Marks {
  if (at !== undefined) return Math.ceil(at) > bench.clock.now() ? { due: Math.ceil(at) } : {};
  return delay === undefined || delay === 0 ? {} : { delay: Math.ceil(delay) };
}

/** Refuses a time that no clock shows. */
export function checkWhen(action: string, { delay, at }: When): void {
  if (delay !== undefined) checkTime(action, "delay", delay);
  if (at !== undefined && !(Math.abs(at) <= 8.64e15)) {
    throw new RangeError(
      `Cannot ${action} as 'at' must be an instant in milliseconds since the epoch: current value is ${String(at)}`,
    );
  }
}

function checkJob({ link }: Bench, job: PushJob): void {
  const limit = payloadLimit(link);
  if (job.payload.length + 3 * job.meta.length > limit) {
    const size = job.payload.length + byteLength(job.meta);
    if (size > limit) throw new TooLargeError("a job", size, limit);
  }
  checkLength("queue", job.queue);
  checkLength("job", job.name);
  checkWhen("push a job", job);
  if (job.idWindow !== undefined) checkTime("push a job", "idWindow", job.idWindow);
}

function checkLength(what: string, name: string): void {
  if (name.length * 3 <= MAX_NAME) return;
  const size = byteLength(name);
  if (size > MAX_NAME) throw new TooLargeError(`the name of a ${what}`, size, MAX_NAME);
}
