/**
 * Traces by OpenTelemetry: a span for each dispatch and one for each run, tied together by the job's headers. Needs the
 * package `@opentelemetry/api`.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { otel } from "@relevo/relevo/otel";
 * import * as v from "valibot";
 *
 * const relay = createRelay({ jobs: { welcome: v.object({}) }, use: [otel()] });
 * console.log((await relay.dispatch("welcome", {})).status); // stored
 * await relay.close();
 * ```
 *
 * @module
 */

import {
  context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import type { HandlerContext } from "../jobs/context.ts";
import { errorOf } from "../errors.ts";
import type { Middleware, OutgoingJob } from "../sides/middleware.ts";
import { checkBoolean, checkKnown } from "../options.ts";
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

/** The part of a tracer of `@opentelemetry/api` by which one is known. */
export interface SpanMaker {
  /** Begins a span. */
  startSpan(name: string, options?: object, context?: object): object;
}

/** How traces are made. */
export interface OtelOptions {
  /** Makes the spans. Default: that of the global provider, asked for `@relevo/relevo`. */
  readonly tracer?: SpanMaker | undefined;
  /**
   * Whether the first run of a job is a child of its dispatch, in one trace. Default false: each run is a trace of its
   * own that links to the dispatch, as further runs do in any case.
   */
  readonly parent?: boolean | undefined;
}

/**
 * A middleware for a relay's list: a producer's span `send <queue>` around each dispatch, bulk and tick, and a consumer's
 * span `process <queue>` around each run, active while the handler runs. `traceparent` and `tracestate` travel in the
 * job's headers. There is no span around the worker's loop, and none for a job that is fetched and not run.
 *
 * It needs `@opentelemetry/api` and whatever SDK the program has set up; without one it does nothing.
 *
 * @throws {TypeError} for an option that is wrong or unknown.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { otel } from "@relevo/relevo/otel";
 * import * as v from "valibot";
 *
 * const relay = createRelay({ jobs: { tidy: v.object({}) }, use: [otel()] });
 * relay.handle("tidy", (_, { job }) => console.log("traceparent" in job.headers)); // false: no SDK is set up
 * await relay.dispatch("tidy", {});
 * await relay.drain();
 * await relay.close();
 * ```
 */
export function otel(options: OtelOptions = {}): Middleware {
  const action = "make the middleware 'otel'";
  checkKnown(action, options, ["tracer", "parent"]);
  const { parent = false } = options;
  const tracer: unknown = options.tracer ?? trace.getTracer("@relevo/relevo");
  checkBoolean(action, "parent", parent);
  if (!isTracer(tracer)) {
    throw new TypeError(`Cannot ${action} as 'tracer' must be a tracer of @opentelemetry/api`);
  }
  return {
    dispatch: (next) => async (jobs) => {
      const queue = commonQueue(jobs);
      const span = tracer.startSpan(queue === undefined ? SEND : `${SEND} ${queue}`, {
        kind: SpanKind.PRODUCER,
        attributes: jobs.length === 1 && jobs[0] !== undefined
          ? sendAttributes(jobs[0])
          : bulkAttributes(jobs.length, queue),
      });
      const carried = headersOf(span.spanContext());
      try {
        const sent = jobs.map((job) => ({ ...job, headers: { ...carried, ...job.headers } }));
        const answers = await context.with(trace.setSpan(context.active(), span), () => next(sent));
        const refused = answers.find((answer) => answer instanceof Error);
        if (refused !== undefined) fail(span, refused);
        return answers;
      } catch (error) {
        fail(span, error);
        throw error;
      } finally {
        span.end();
      }
    },
    run: (next) => async (_, run) => {
      const span = startRun(tracer, run, parent);
      try {
        const outcome = await context.with(trace.setSpan(ROOT_CONTEXT, span), next);
        tellOutcome(span, outcome);
        return outcome;
      } catch (error) {
        fail(span, error);
        throw error;
      } finally {
        span.end();
      }
    },
  };
}

function isTracer(value: unknown): value is Tracer {
  return typeof value === "object" && value !== null && "startSpan" in value &&
    typeof value.startSpan === "function";
}

/** The queue of jobs that all go to one. */
function commonQueue(jobs: readonly OutgoingJob[]): string | undefined {
  const [first] = jobs;
  return jobs.every(({ queue }) => queue === first?.queue) ? first?.queue : undefined;
}

/** The worker's loop may have been begun in a span of the program's: no run is a part of that. */
function startRun(tracer: Tracer, { job, attempt }: HandlerContext, parent: boolean): Span {
  const sent = spanOf(job.headers);
  const isChild = parent && attempt === 1 && sent !== undefined;
  const options: SpanOptions = { kind: SpanKind.CONSUMER, attributes: runAttributes(job, attempt) };
  if (sent !== undefined && !isChild) options.links = [{ context: sent }];
  const around = isChild ? trace.setSpanContext(ROOT_CONTEXT, sent) : ROOT_CONTEXT;
  return tracer.startSpan(`${PROCESS} ${job.queue}`, options, around);
}

function tellOutcome(span: Span, outcome: Outcome): void {
  span.setAttribute(OUTCOME, outcome.kind);
  if (outcome.kind !== "retry" && outcome.kind !== "deadLetter") return;
  if (outcome.error === undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: outcome.kind });
  else fail(span, outcome.error);
}

function fail(span: Span, thrown: unknown): void {
  const error = errorOf(thrown);
  span.recordException(error);
  span.setAttribute(ERROR_TYPE, error.name);
  span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
}
