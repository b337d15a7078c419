/**
 * Push: jobs in.
 *
 * @module
 */

import type { Pushed, PushJob } from "../../jobs/exchange.ts";
import type { Moment } from "./clock.ts";
import { put, type Room } from "./queue/room.ts";
import { dueOf, full, queuesIn, roomOf, type Store } from "./context.ts";
import { targetsOf, wake } from "./topics.ts";

/** Why a job is not stored. */
type Refusal = "duplicate" | Error;

export function push(store: Store, jobs: readonly PushJob[], atomic: boolean): readonly Pushed[] {
  const moment = store.clock.moment();
  if (atomic) {
    const verdicts = judgeAll(store, jobs, moment.now);
    if (verdicts !== undefined) return verdicts;
  }
  const results: Pushed[] = [];
  let room: Room | undefined;
  for (const job of jobs) {
    if (room === undefined || room.name !== job.queue) room = store.rooms.get(job.queue);
    const refusal = judge(store, room, job, moment.now);
    if (refusal === undefined) {
      room ??= roomOf(store, job.queue);
      add(store, room, job, moment);
    }
    results.push(refusal ?? "stored");
  }
  wakeAll(store, jobs);
  return results;
}

function add(store: Store, room: Room, job: PushJob, moment: Moment): void {
  const seq = ++store.seq;
  // An instant in the past is now: it must not come before the waiting jobs.
  const due = Math.max(moment.now, dueOf(store, moment, job));
  const groups = store.groups.get(job.queue);
  if (groups === undefined) put(room, job, moment, seq, due);
  else for (const queue of groups) put(roomOf(store, queue), job, moment, seq, due);
  store.jobs += groups?.size ?? 1;
  if (job.idWindow !== undefined && job.idWindow > 0) {
    room.windows.purge(moment.now);
    room.windows.open(job.id, moment.start + job.idWindow, seq);
  }
}

function judge(store: Store, room: Room | undefined, job: PushJob, now: number): Refusal | undefined {
  const groups = store.groups.get(job.queue);
  if (job.idWindow !== undefined) {
    if (room !== undefined && isTaken(room, job.id, now)) return "duplicate";
    for (const queue of groups ?? []) {
      if (store.rooms.get(queue)?.live.get(job.id) !== undefined) return "duplicate";
    }
  }
  return store.jobs + (groups?.size ?? 1) > store.maxJobs ? full(store) : undefined;
}

/** The answers to a batch that is stored whole or not at all; nothing when all of it is fit. */
function judgeAll(store: Store, jobs: readonly PushJob[], now: number): readonly Pushed[] | undefined {
  const ids = new Map<string, Set<string>>();
  let fit = 0;
  const refusals = jobs.map((job): Refusal | undefined => {
    const refusal = judge(store, store.rooms.get(job.queue), job, now);
    if (refusal !== undefined) return refusal;
    const targets = [...targetsOf(store, job.queue)];
    if (job.idWindow !== undefined && targets.some((queue) => ids.get(queue)?.has(job.id))) {
      return "duplicate";
    }
    for (const queue of targets) {
      const seen = ids.get(queue);
      if (seen === undefined) ids.set(queue, new Set([job.id]));
      else seen.add(job.id);
    }
    fit += targets.length;
    return store.jobs + fit > store.maxJobs ? full(store) : undefined;
  });
  if (refusals.every((refusal) => refusal === undefined)) return undefined;
  return refusals.map((refusal) => refusal ?? "withheld");
}

function isTaken(room: Room, id: string, now: number): boolean {
  return room.live.get(id) !== undefined || room.windows.holds(id, now);
}

/** Hands pushed jobs to reserve calls that wait. */
function wakeAll(store: Store, jobs: readonly PushJob[]): void {
  const queues = queuesIn(jobs);
  wake(store, store.groups.size === 0 ? queues : queues.flatMap((queue) => [...targetsOf(store, queue)]));
}
