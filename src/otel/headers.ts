/**
 * A trace in the headers of a job, as the W3C writes it, whatever propagator the program has set.
 *
 * @module
 */

import { createTraceState, isSpanContextValid, type SpanContext, TraceFlags } from "@opentelemetry/api";
import { TRACEPARENT, TRACESTATE } from "./conventions.ts";

/** The headers of a span; none of one that is not recorded anywhere. */
export function headersOf(span: SpanContext): Readonly<Record<string, string>> {
  if (!isSpanContextValid(span)) return {};
  const { traceId, spanId, traceFlags, traceState } = span;
  const traceparent = `00-${traceId}-${spanId}-${flagsText(traceFlags)}`;
  const state = traceState === undefined ? "" : traceState.serialize();
  return state === "" ? { [TRACEPARENT]: traceparent } : { [TRACEPARENT]: traceparent, [TRACESTATE]: state };
}

function flagsText(flags: number): string {
  if (flags === TraceFlags.SAMPLED) return "01";
  return (flags & 0xff).toString(16).padStart(2, "0");
}

/**
 * The parts of a `traceparent` stand at fixed places: version, trace, span and flags, with dashes in between. Read by
 * these, as to match a pattern costs each run three times as much.
 */
const TRACE_AT = 3;
const SPAN_AT = 36;
const FLAGS_AT = 53;
const LENGTH = 55;
const DASH = 0x2d;

/** The span that a job's headers name; undefined where they name none, or another program spoilt them. */
export function spanOf(text: string | undefined, state: string | undefined): SpanContext | undefined {
  if (text === undefined || !isParent(text)) return undefined;
  const span: SpanContext = {
    traceId: text.slice(TRACE_AT, SPAN_AT - 1),
    spanId: text.slice(SPAN_AT, FLAGS_AT - 1),
    traceFlags: digitAt(text, LENGTH - 1) & TraceFlags.SAMPLED,
    isRemote: true,
  };
  return state === undefined ? span : { ...span, traceState: createTraceState(state) };
}

/** Whether a text is one; a later version may have more behind a dash, and `ff` is none. */
function isParent(text: string): boolean {
  if (text.length !== LENGTH && (text.length < LENGTH || text.charCodeAt(LENGTH) !== DASH)) return false;
  if (
    text.charCodeAt(TRACE_AT - 1) !== DASH || text.charCodeAt(SPAN_AT - 1) !== DASH ||
    text.charCodeAt(FLAGS_AT - 1) !== DASH
  ) return false;
  // Digits that are all zeros name nothing.
  return digitsOf(text, 0, TRACE_AT - 1) >= 0 && !text.startsWith("ff") &&
    digitsOf(text, TRACE_AT, SPAN_AT - 1) > 0 && digitsOf(text, SPAN_AT, FLAGS_AT - 1) > 0 &&
    digitsOf(text, FLAGS_AT, LENGTH) >= 0;
}

/** All digits of a part in one another's bits: 0 where each is zero, and below 0 where one is no digit. */
function digitsOf(text: string, from: number, to: number): number {
  let bits = 0;
  for (let index = from; index < to; index++) bits |= digitAt(text, index);
  return bits;
}

/** A small hexadecimal digit; -1 for any other character. */
function digitAt(text: string, index: number): number {
  const code = text.charCodeAt(index);
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  return code >= 0x61 && code <= 0x66 ? code - 0x61 + 10 : -1;
}
