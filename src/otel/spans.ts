/**
 * The two spans of a job: one around its dispatch, one around each of its runs.
 *
 * @module
 */

import {
  context,
  diag,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import { errorOf, messageOf } from "../errors.ts";
import type { OwnDispatch, OwnRun, PassingJob, PassingRun } from "../sides/own.ts";
import {
  bulkAttributes,
  ERROR_TYPE,
  OUTCOME,
  PROCESS,
  runAttributes,
  SEND,
  sendAttributes,
  TRACEPARENT,
  TRACESTATE,
} from "./conventions.ts";
import { headersOf, spanOf } from "./headers.ts";

/** The side around dispatches. */
export function sendSide(tracer: Tracer): OwnDispatch<Span | undefined> {
  return {
    begin(jobs) {
      try {
        return unlessNone(startSend(tracer, jobs));
      } catch (fault) {
        return tellFault(fault);
      }
    },
    headers: (span) => span === undefined ? undefined : headersOf(span.spanContext()),
    within: (span, call) =>
      span === undefined ? call() : context.with(trace.setSpan(context.active(), span), call),
    ended(span, refused) {
      if (span !== undefined) endWith(span, () => refused === undefined ? undefined : fail(span, refused));
    },
  };
}

/** The side around runs. The worker's loop may have been begun in a span of the program's: no run is a part of that. */
export function runSide(tracer: Tracer, parent: boolean): OwnRun<Span | undefined> {
  return {
    begin(run) {
      try {
        return unlessNone(startRun(tracer, run, parent));
      } catch (fault) {
        return tellFault(fault);
      }
    },
    within: (span, call) =>
      span === undefined ? call() : context.with(trace.setSpan(ROOT_CONTEXT, span), call),
    ended(span, outcome) {
      if (span === undefined) return;
      endWith(span, () => {
        span.setAttribute(OUTCOME, outcome.kind);
        if (outcome.kind !== "retry" && outcome.kind !== "deadLetter") return;
        if (outcome.error === undefined) {
          span.setStatus({ code: SpanStatusCode.ERROR, message: outcome.kind });
        } else fail(span, outcome.error);
      });
    },
    failed(span, error) {
      if (span !== undefined) endWith(span, () => fail(span, error));
      throw error;
    },
  };
}

/** A span that is recorded, or whose trace goes on elsewhere; without an SDK a tracer gives others. */
function unlessNone(span: Span): Span | undefined {
  return span.isRecording() || isSpanContextValid(span.spanContext()) ? span : undefined;
}

function startSend(tracer: Tracer, jobs: readonly PassingJob[]): Span {
  const [first] = jobs;
  const queue = commonQueue(jobs);
  return tracer.startSpan(queue === undefined ? SEND : `${SEND} ${queue}`, {
    kind: SpanKind.PRODUCER,
    attributes: jobs.length === 1 && first !== undefined
      ? sendAttributes(first)
      : bulkAttributes(jobs.length, queue),
  });
}

/** The queue of jobs that all go to one. */
function commonQueue(jobs: readonly PassingJob[]): string | undefined {
  const [first] = jobs;
  return jobs.every(({ queue }) => queue === first?.queue) ? first?.queue : undefined;
}

function startRun(tracer: Tracer, run: PassingRun, parent: boolean): Span {
  const sent = spanOf(run.header(TRACEPARENT), run.header(TRACESTATE));
  const isChild = parent && run.attempt === 1 && sent !== undefined;
  const options: SpanOptions = {
    kind: SpanKind.CONSUMER,
    attributes: runAttributes(run.delivery, run.attempt, run.schedule),
  };
  if (sent !== undefined && !isChild) options.links = [{ context: sent }];
  const around = isChild ? trace.setSpanContext(ROOT_CONTEXT, sent) : ROOT_CONTEXT;
  return tracer.startSpan(`${PROCESS} ${run.delivery.queue}`, options, around);
}

/** Ends a span with what is to be said of it. */
function endWith(span: Span, say: () => void): void {
  try {
    // Of one that is not recorded nothing is kept.
    if (span.isRecording()) say();
  } catch (fault) {
    tellFault(fault);
  }
  try {
    span.end();
  } catch (fault) {
    tellFault(fault);
  }
}

function fail(span: Span, thrown: unknown): void {
  const error = errorOf(thrown);
  span.recordException(error);
  span.setAttribute(ERROR_TYPE, error.name);
  span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
}

/** A tracer or a processor of spans that throws changes no job's fate, and is told where OpenTelemetry tells its own. */
function tellFault(fault: unknown): undefined {
  diag.error(`relevo: a span failed: ${messageOf(fault)}`);
}
