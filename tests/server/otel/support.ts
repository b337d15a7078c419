/** A real SDK whose spans stay in memory. */
import { context, type Span as ApiSpan, SpanKind, SpanStatusCode, type Tracer } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";

/** A span as tests compare it. */
export interface Seen {
  readonly name: string;
  readonly kind: string;
  readonly trace: string;
  readonly id: string;
  readonly parent: string | undefined;
  readonly links: readonly string[];
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly failed: boolean;
}

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());

/** Makes the spans. */
export const tracer: Tracer = provider.getTracer("test");

/** A span of the program's own around something. */
export function within<Value>(name: string, work: (span: ApiSpan) => Promise<Value>): Promise<Value> {
  return tracer.startActiveSpan(name, async (span) => {
    try {
      return await work(span);
    } finally {
      span.end();
    }
  });
}

/** The spans that ended since the last call. */
export async function ended(): Promise<readonly Seen[]> {
  await provider.forceFlush();
  const spans = exporter.getFinishedSpans().map(seenOf);
  exporter.reset();
  return spans;
}

function seenOf(span: ReadableSpan): Seen {
  const { traceId, spanId } = span.spanContext();
  return {
    name: span.name,
    kind: SpanKind[span.kind] ?? "",
    trace: traceId,
    id: spanId,
    parent: span.parentSpanContext?.spanId,
    links: span.links.map((link) => link.context.spanId),
    attributes: span.attributes,
    failed: span.status.code === SpanStatusCode.ERROR,
  };
}
