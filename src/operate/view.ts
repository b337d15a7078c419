/**
 * Jobs as operations answer them, and the schemas of those answers.
 *
 * @module
 */

import * as v from "valibot";
import type { StoredJob } from "../jobs/job.ts";
import type { JobView } from "./operation.ts";

/** The schema of a {@linkcode JobView}. */
export const jobView: v.GenericSchema<unknown, JobView> = v.object({
  id: v.string(),
  name: v.string(),
  queue: v.string(),
  channel: v.string(),
  attempts: v.number(),
  lost: v.number(),
  createdAt: v.number(),
  due: v.number(),
  requestId: v.string(),
  headers: v.record(v.string(), v.string()),
  codec: v.string(),
  size: v.number(),
  payload: v.exactOptional(v.string()),
  leasedUntil: v.exactOptional(v.number()),
  lastError: v.exactOptional(
    v.object({ name: v.string(), message: v.string(), stack: v.exactOptional(v.string()) }),
  ),
  dead: v.exactOptional(v.object({ reason: v.string(), at: v.number() })),
});

/** A stored job as an answer; its payload only where it was asked for. */
export function viewOf(job: StoredJob, withPayload: boolean): JobView {
  const { id, name, queue, channel, attempts, lost, createdAt, due, requestId, headers, codec, size } = job;
  const { lastError, dead, leasedUntil } = job;
  return {
    ...{ id, name, queue, channel, attempts, lost, createdAt, due, requestId, headers, codec, size },
    ...(withPayload ? { payload: textOf(job.payload) } : {}),
    ...(leasedUntil === undefined ? {} : { leasedUntil }),
    ...(lastError === undefined ? {} : {
      lastError: {
        name: lastError.name,
        message: lastError.message,
        ...(lastError.stack === undefined ? {} : { stack: lastError.stack }),
      },
    }),
    ...(dead === undefined ? {} : { dead: { reason: dead.reason, at: dead.at } }),
  };
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOf(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    return `base64:${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}`;
  }
}
