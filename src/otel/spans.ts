/**
 * The two spans of a job: one around its dispatch, one around each of its runs.
 *
 * @module
 */

import {
  context,
  diag,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import type { HandlerContext } from "../jobs/context.ts";
import { errorOf, messageOf } from "../errors.ts";
import type { DispatchFunction, OutgoingAnswer, OutgoingJob } from "../sides/middleware.ts";
import type { Outcome } from "../jobs/outcome.ts";
import {
  bulkAttributes,
  ERROR_TYPE,
  OUTCOME,
  PROCESS,
  runAttributes,
  SEND,
  sendAttributes,
} from "./conventions.ts";
import { headersOf, spanOf } from "./headers.ts";

/** The span of a dispatch; undefined where the tracer fails. */
export function startSend(tracer: Tracer, jobs: readonly OutgoingJob[]): Span | undefined {
  const [first] = jobs;
  const queue = commonQueue(jobs);
  try {
    return tracer.startSpan(queue === undefined ? SEND : `${SEND} ${queue}`, {
      kind: SpanKind.PRODUCER,
      attributes: jobs.length === 1 && first !== undefined
        ? sendAttributes(first)
        : bulkAttributes(jobs.length, queue),
    });
  } catch (fault) {
    return tellFault(fault);
  }
}

/** The queue of jobs that all go to one. */
function commonQueue(jobs: readonly OutgoingJob[]): string | undefined {
  const [first] = jobs;
  return jobs.every(({ queue }) => queue === first?.queue) ? first?.queue : undefined;
}

/** The span of a run. The worker's loop may have been begun in a span of the program's: no run is a part of that. */
export function startRun(
  tracer: Tracer,
  { job, attempt }: HandlerContext,
  parent: boolean,
): Span | undefined {
  const sent = spanOf(job.headers);
  const isChild = parent && attempt === 1 && sent !== undefined;
  const options: SpanOptions = { kind: SpanKind.CONSUMER, attributes: runAttributes(job, attempt) };
  if (sent !== undefined && !isChild) options.links = [{ context: sent }];
  const around = isChild ? trace.setSpanContext(ROOT_CONTEXT, sent) : ROOT_CONTEXT;
  try {
    return tracer.startSpan(`${PROCESS} ${job.queue}`, options, around);
  } catch (fault) {
    return tellFault(fault);
  }
}

/** Sends jobs with their span; without an `async` function, whose promises are a part of a quick dispatch's time. */
export function sendWithin(
  span: Span | undefined,
  jobs: readonly OutgoingJob[],
  next: DispatchFunction,
): Promise<readonly OutgoingAnswer[]> {
  if (span === undefined) return next(jobs);
  let sent: Promise<readonly OutgoingAnswer[]>;
  try {
    const carried = carrying(jobs, headersOf(span.spanContext()));
    sent = context.with(trace.setSpan(context.active(), span), () => next(carried));
  } catch (error) {
    endFailed(span, error);
    return Promise.reject(error);
  }
  return sent.then((answers) => {
    const refused = answers.find((answer) => answer instanceof Error);
    if (refused === undefined) end(span);
    else endFailed(span, refused);
    return answers;
  }, (error) => {
    endFailed(span, error);
    throw error;
  });
}

/** Jobs with the headers of their trace; those that the caller gave itself are kept. */
function carrying(
  jobs: readonly OutgoingJob[],
  headers: Readonly<Record<string, string>>,
): readonly OutgoingJob[] {
  return jobs.map((job) => ({ ...job, headers: withOwn(headers, job.headers) }));
}

/** Most jobs have none of their own, and to lay two objects into one costs three times as much as a copy. */
function withOwn(
  headers: Readonly<Record<string, string>>,
  own: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  for (const name in own) if (Object.hasOwn(own, name)) return { ...headers, ...own };
  return { ...headers };
}

/** Runs a handler within its span. */
export function runWithin(span: Span | undefined, next: () => Promise<Outcome>): Promise<Outcome> {
  if (span === undefined) return next();
  let run: Promise<Outcome>;
  try {
    run = context.with(trace.setSpan(ROOT_CONTEXT, span), next);
  } catch (error) {
    endFailed(span, error);
    throw error;
  }
  return run.then((outcome) => {
    endRun(span, outcome);
    return outcome;
  }, (error) => {
    endFailed(span, error);
    throw error;
  });
}

function endRun(span: Span, outcome: Outcome): void {
  try {
    span.setAttribute(OUTCOME, outcome.kind);
    if (outcome.kind === "retry" || outcome.kind === "deadLetter") {
      if (outcome.error === undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: outcome.kind });
      else fail(span, outcome.error);
    }
  } catch (fault) {
    tellFault(fault);
  }
  end(span);
}

function endFailed(span: Span, thrown: unknown): void {
  try {
    fail(span, thrown);
  } catch (fault) {
    tellFault(fault);
  }
  end(span);
}

function fail(span: Span, thrown: unknown): void {
  const error = errorOf(thrown);
  span.recordException(error);
  span.setAttribute(ERROR_TYPE, error.name);
  span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
}

function end(span: Span): void {
  try {
    span.end();
  } catch (fault) {
    tellFault(fault);
  }
}

/** A tracer or a processor of spans that throws changes no job's fate, and is told where OpenTelemetry tells its own. */
function tellFault(fault: unknown): undefined {
  diag.error(`relevo: a span failed: ${messageOf(fault)}`);
}
