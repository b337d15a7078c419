/**
 * A trace in the headers of a job, as the W3C writes it, whatever propagator the program has set.
 *
 * @module
 */

import {
  createTraceState,
  INVALID_SPANID,
  INVALID_TRACEID,
  isSpanContextValid,
  type SpanContext,
} from "@opentelemetry/api";
import { TRACEPARENT, TRACESTATE } from "./conventions.ts";

const PARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;

/** The headers of a span; none of one that is not recorded anywhere. */
export function headersOf(span: SpanContext): Readonly<Record<string, string>> {
  if (!isSpanContextValid(span)) return {};
  const { traceId, spanId, traceFlags, traceState } = span;
  const flags = (traceFlags & 0xff).toString(16).padStart(2, "0");
  const headers: Record<string, string> = { [TRACEPARENT]: `00-${traceId}-${spanId}-${flags}` };
  const state = traceState?.serialize() ?? "";
  if (state !== "") headers[TRACESTATE] = state;
  return headers;
}

/** The span that a job's headers name; undefined where they name none, or another program spoilt them. */
export function spanOf(headers: Readonly<Record<string, string>>): SpanContext | undefined {
  const found = PARENT.exec(headers[TRACEPARENT] ?? "");
  if (found === null || found[0].startsWith("ff")) return undefined;
  const [, traceId = "", spanId = "", flags = ""] = found;
  // Ids of this form are valid but for these; to ask the package would read their digits a second time.
  if (traceId === INVALID_TRACEID || spanId === INVALID_SPANID) return undefined;
  const state = headers[TRACESTATE];
  const span: SpanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
  return state === undefined ? span : { ...span, traceState: createTraceState(state) };
}
