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

import { trace, type Tracer } from "@opentelemetry/api";
import type { Middleware } from "../sides/middleware.ts";
import { aroundDispatch, aroundRun, owning } from "../sides/own.ts";
import { checkBoolean, checkKnown } from "../options.ts";
import { runSide, sendSide } from "./spans.ts";

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
 * It needs `@opentelemetry/api` and whatever SDK the program has set up; without one it does nothing. A tracer or a
 * processor of spans that throws changes no job's fate: that is told to the `diag` of `@opentelemetry/api`.
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
  const [run, dispatch] = [runSide(tracer, parent), sendSide(tracer)];
  return owning({ run: aroundRun(run), dispatch: aroundDispatch(dispatch) }, { run, dispatch });
}

function isTracer(value: unknown): value is Tracer {
  return typeof value === "object" && value !== null && "startSpan" in value &&
    typeof value.startSpan === "function";
}
