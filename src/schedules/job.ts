/**
 * The jobs of a schedule: those that a tick pushes, and those that are pushed by hand beside its ticks.
 *
 * @module
 */

import type { PushJob } from "../jobs/exchange.ts";
import { type Meta, RECORD_VERSION } from "../jobs/job.ts";
import { writeMeta } from "../jobs/record.ts";
import type { Schedule } from "../contract/recurring.ts";
import type { Runtime } from "../runtime.ts";
import type { Definite } from "./text.ts";

/** The id that the jobs of a schedule's ticks share where one must not run beside another: it is free once settled. */
export function sharedId(key: string): string {
  return `schedule:${key}`;
}

/** The job of a tick; without one, a job beside the ticks. */
export function jobOf(
  runtime: Pick<Runtime, "now" | "random" | "id">,
  { queue, key, payload }: Pick<Schedule, "queue" | "key" | "payload">,
  { name, overlap, jitter, meta }: Definite,
  tick?: number,
): PushJob {
  const record: Meta = { ...meta, v: meta.v ?? RECORD_VERSION, createdAt: runtime.now(), schedule: key };
  const shared = overlap === "skip" && tick !== undefined;
  return {
    queue,
    id: shared ? sharedId(key) : runtime.id(),
    name,
    payload,
    meta: writeMeta(tick === undefined ? record : { ...record, tick }),
    idWindow: shared ? 0 : undefined,
    at: jitter > 0 && tick !== undefined ? tick + Math.floor(runtime.random() * jitter) : undefined,
  };
}
