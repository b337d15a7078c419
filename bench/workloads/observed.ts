/**
 * What it costs to be observed: a drain with metrics beside one without, and dispatch and drain with traces beside the
 * same with the SDK's own two spans a job. CPU of the whole process, told as the median of paired turns.
 *
 * @module
 */

import { context, ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { TracerProvider } from "@opentelemetry/sdk-trace";
import process from "node:process";
import * as v from "valibot";
import { createRelay, type Middleware } from "../../mod.ts";
import { connect } from "../../src/connect.ts";
import { OUTCOME, runAttributes, sendAttributes } from "../../src/otel/conventions.ts";
import { otel } from "../../src/otel/mod.ts";
import { prometheus } from "../../src/prometheus/mod.ts";
import { collect, type Figures, type Setting } from "./workload.ts";

const BULK = 500;
const HANDLERS = 100;
/** The first turns warm up. */
const WARM = 2;

/** The ways in which jobs are observed; each pair is measured in turns. */
const PAIRS = [["unobserved", "metrics"], ["spans", "traces"]] as const;
type Way = (typeof PAIRS)[number][number];

/** Microseconds of CPU a job: of a drain, and of dispatch and drain where there are spans. */
export async function observed({ contender, count, place }: Setting): Promise<Figures> {
  const { url } = contender;
  if (url === undefined) throw new Error("This contender has no events");
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const [jobs, turns] = [count("jobs"), count("turns")];
  const figures: Record<string, number> = {};
  for (const [plain, watched] of PAIRS) {
    const costs: { readonly plain: number; readonly watched: number }[] = [];
    for (let turn = 0; turn < turns + WARM; turn++) {
      const cost = async (way: Way): Promise<number> => await costOf(await connect(url(place())), jobs, way);
      const first = await cost(turn % 2 === 0 ? plain : watched);
      const second = await cost(turn % 2 === 0 ? watched : plain);
      const [one, other] = turn % 2 === 0 ? [first, second] : [second, first];
      if (turn >= WARM) costs.push({ plain: one, watched: other });
    }
    figures[`${plain}, µs`] = median(costs.map((each) => each.plain));
    figures[`${watched}, µs`] = median(costs.map((each) => each.watched));
    figures[`${watched}, x ${plain}`] = median(costs.map((each) => each.watched / each.plain));
  }
  return figures;
}

async function costOf(
  transport: Awaited<ReturnType<typeof connect>>,
  jobs: number,
  way: Way,
): Promise<number> {
  const traced = way === "spans" || way === "traces";
  const use = way === "spans" ? [bareSpans()] : way === "traces" ? [otel({ tracer: tracer() })] : [];
  const relay = createRelay({ jobs: { job: v.string() }, transport, use });
  const counted = way === "metrics" ? prometheus(relay) : undefined;
  relay.handle("job", async () => {});
  const payload = "x".repeat(98);
  const fill = async (): Promise<void> => {
    for (let done = 0; done < jobs; done += BULK) {
      const some = Array.from({ length: Math.min(BULK, jobs - done) });
      if (traced) await Promise.all(some.map(() => relay.dispatch("job", payload)));
      else await relay.dispatchMany(some.map(() => ({ name: "job", payload })));
    }
  };
  if (!traced) await fill();
  collect();
  const start = process.cpuUsage();
  if (traced) await fill();
  const { completed } = await relay.drain({ concurrency: HANDLERS });
  const { user, system } = process.cpuUsage(start);
  counted?.[Symbol.dispose]();
  await relay.close();
  if (completed !== jobs) throw new Error(`Of ${jobs} jobs ${completed} were done`);
  return (user + system) / jobs;
}

/** Of the SDK, with nothing behind its spans. */
function tracer(): ReturnType<TracerProvider["getTracer"]> {
  return new TracerProvider({ spanProcessors: [] }).getTracer("bench");
}

/**
 * The two spans of a job as a program would make them by the SDK alone: with the same attributes, a link and active
 * inside, but with nothing carried from one to the other.
 */
function bareSpans(): Middleware {
  const spans = tracer();
  const away = spans.startSpan("away").spanContext();
  return {
    dispatch: (next) => async (jobs) => {
      const [job] = jobs;
      const attributes = job === undefined ? {} : sendAttributes(job);
      const span = spans.startSpan(`send ${job?.queue}`, { kind: SpanKind.PRODUCER, attributes });
      try {
        return await context.with(trace.setSpan(context.active(), span), () => next(jobs));
      } finally {
        span.end();
      }
    },
    run: (next) => async (_, { job, attempt }) => {
      const attributes = runAttributes(job, attempt, job.schedule);
      const how = { kind: SpanKind.CONSUMER, attributes, links: [{ context: away }] };
      const span = spans.startSpan(`process ${job.queue}`, how, ROOT_CONTEXT);
      try {
        const outcome = await context.with(trace.setSpan(ROOT_CONTEXT, span), next);
        span.setAttribute(OUTCOME, outcome.kind);
        return outcome;
      } finally {
        span.end();
      }
    },
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[values.length >> 1] ?? Number.NaN;
}
