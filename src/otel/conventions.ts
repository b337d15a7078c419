/**
 * The names of OpenTelemetry's conventions for messaging, as of 1.44 (in development there), and our own beside them:
 * they stand here alone.
 *
 * @module
 */

import type { Attributes } from "@opentelemetry/api";

/** The attribute of a span that failed. */
export const ERROR_TYPE = "error.type";
/** How a run ended: its outcome's kind. */
export const OUTCOME = "relevo.job.outcome";

/** The value of `messaging.system`. */
export const SYSTEM = "relevo";

/** Operations: their names are their types. */
export const SEND = "send";
/** A handler's run. */
export const PROCESS = "process";

/** A job as its spans name it. */
interface Named {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly payload: Uint8Array;
}

/** The attributes of a job's dispatch. Written out, as keys that are looked up make an object several times as slow. */
export function sendAttributes({ id, name, queue, payload }: Named): Attributes {
  return {
    "messaging.system": SYSTEM,
    "messaging.operation.name": SEND,
    "messaging.operation.type": SEND,
    "messaging.destination.name": queue,
    "messaging.message.id": id,
    "messaging.message.body.size": payload.length,
    "relevo.job.name": name,
  };
}

/** The attributes of the dispatch of some jobs, or of none; `queue`: where all go. */
export function bulkAttributes(count: number, queue: string | undefined): Attributes {
  const attributes: Attributes = {
    "messaging.system": SYSTEM,
    "messaging.operation.name": SEND,
    "messaging.operation.type": SEND,
    "messaging.batch.message_count": count,
  };
  if (queue !== undefined) attributes["messaging.destination.name"] = queue;
  return attributes;
}

/** The attributes of a run. */
export function runAttributes(
  { id, name, queue, payload }: Named,
  attempt: number,
  schedule?: string,
): Attributes {
  const attributes: Attributes = {
    "messaging.system": SYSTEM,
    "messaging.operation.name": PROCESS,
    "messaging.operation.type": PROCESS,
    "messaging.destination.name": queue,
    "messaging.message.id": id,
    "messaging.message.body.size": payload.length,
    "relevo.job.name": name,
    "relevo.job.attempt": attempt,
  };
  if (schedule !== undefined) attributes["relevo.schedule.key"] = schedule;
  return attributes;
}

/** Headers that carry a trace, as the W3C names them. */
export const TRACEPARENT = "traceparent";
/** What vendors add. */
export const TRACESTATE = "tracestate";
