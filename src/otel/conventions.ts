/**
 * The names of OpenTelemetry's conventions for messaging, as of 1.44 (in development there), and our own beside them:
 * they stand here alone.
 *
 * @module
 */

/** Attributes of spans. */
export const ATTRIBUTE = {
  system: "messaging.system",
  destination: "messaging.destination.name",
  operation: "messaging.operation.name",
  type: "messaging.operation.type",
  message: "messaging.message.id",
  batch: "messaging.batch.message_count",
  size: "messaging.message.body.size",
  error: "error.type",
  job: "relevo.job.name",
  attempt: "relevo.job.attempt",
  outcome: "relevo.job.outcome",
  schedule: "relevo.schedule.key",
} as const;

/** The value of `messaging.system`. */
export const SYSTEM = "relevo";

/** Operations: their names are their types. */
export const SEND = "send";
/** A handler's run. */
export const PROCESS = "process";

/** Headers that carry a trace, as the W3C names them. */
export const TRACEPARENT = "traceparent";
/** What vendors add. */
export const TRACESTATE = "tracestate";
