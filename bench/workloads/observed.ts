/**
 * What it costs to be observed: a drain with metrics beside one without, and dispatch and drain with traces beside the
 * same with two spans a job that a program makes by the SDK itself. CPU of the whole process, told as the median of
 * paired turns, and the quartiles of their ratios.
 *
 * @module
 */

import {
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { TracerProvider } from "@opentelemetry/sdk-trace";
import process from "node:process";
import * as v from "valibot";
import { createRelay, type Relay } from "../../mod.ts";
import { connect } from "../../src/connect.ts";
import { ERROR_TYPE, OUTCOME, PROCESS, runAttributes, SEND, SYSTEM } from "../../src/otel/conventions.ts";
import { otel } from "../../src/otel/mod.ts";
import { prometheus } from "../../src/prometheus/mod.ts";
import { median, quantile } from "../lib/stats.ts";
import { collect, type Figures, type Setting } from "./workload.ts";

const QUEUE = "default";
const BULK = 500;
const HANDLERS = 100;
/** The first turns warm up. */
const WARM = 2;

type Jobs = { readonly job: ReturnType<typeof v.string> };

/** The ways in which jobs are observed; each pair is measured in turns. */
const PAIRS = [["unobserved", "metrics"], ["spans", "traces"]] as const;
type Way = (typeof PAIRS)[number][number];

/** Microseconds of CPU a job: of a drain, and of dispatch and drain where there are spans. */
export async function observed({ contender, count, place }: Setting): Promise<Figures> {
  const { url } = contender;
  if (url === undefined) throw new Error("This contender has no events");
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
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
    const ratios = costs.map((each) => each.watched / each.plain);
    figures[`${watched}, x ${plain}`] = median(ratios);
    figures[`${watched}, x ${plain}, lower quartile`] = quantile(ratios, 1 / 4);
    figures[`${watched}, x ${plain}, upper quartile`] = quantile(ratios, 3 / 4);
  }
  return figures;
}

async function costOf(
  transport: Awaited<ReturnType<typeof connect>>,
  jobs: number,
  way: Way,
): Promise<number> {
  const traced = way === "spans" || way === "traces";
  const use = way === "traces" ? [otel({ tracer: tracer() })] : [];
  const relay = createRelay({ jobs: { job: v.string() }, transport, use });
  const counted = way === "metrics" ? prometheus(relay) : undefined;
  const byHand = way === "spans" ? spansByHand(relay) : undefined;
  if (byHand === undefined) relay.handle("job", async () => {});
  else byHand.handle();
  const dispatch = byHand?.dispatch ?? ((text: string) => relay.dispatch("job", text));
  const payload = "x".repeat(98);
  const fill = async (): Promise<void> => {
    for (let done = 0; done < jobs; done += BULK) {
      const some = Array.from({ length: Math.min(BULK, jobs - done) });
      if (traced) await Promise.all(some.map(() => dispatch(payload)));
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

/** The calls of a program that makes the two spans of a job itself. */
interface ByHand {
  dispatch(payload: string): Promise<void>;
  handle(): void;
}

/**
 * The two spans of a job as a careful program makes them by the SDK alone, around its own calls and without any
 * middleware, which would cost more: with the attributes of `otel`, the trace carried in the job's headers by the
 * program's propagator, a link from the run to the dispatch, both spans active inside, and errors told.
 */
function spansByHand(relay: Relay<Jobs>): ByHand {
  const spans = tracer();
  return {
    async dispatch(payload) {
      const span = spans.startSpan(`${SEND} ${QUEUE}`, {
        kind: SpanKind.PRODUCER,
        attributes: {
          "messaging.system": SYSTEM,
          "messaging.operation.name": SEND,
          "messaging.operation.type": SEND,
          "messaging.destination.name": QUEUE,
          "relevo.job.name": "job",
        },
      });
      const active = trace.setSpan(context.active(), span);
      const headers: Record<string, string> = {};
      propagation.inject(active, headers);
      try {
        const { id } = await context.with(active, () => relay.dispatch("job", payload, { headers }));
        span.setAttribute("messaging.message.id", id);
      } catch (error) {
        fail(span, error);
        throw error;
      } finally {
        span.end();
      }
    },
    handle: () =>
      relay.handle("job", async (_, { job, attempt }) => {
        const sent = trace.getSpanContext(propagation.extract(ROOT_CONTEXT, job.headers));
        const links = sent === undefined ? [] : [{ context: sent }];
        const attributes = runAttributes(job, attempt, job.schedule);
        const how = { kind: SpanKind.CONSUMER, attributes, links };
        const span = spans.startSpan(`${PROCESS} ${job.queue}`, how, ROOT_CONTEXT);
        try {
          await context.with(trace.setSpan(ROOT_CONTEXT, span), async () => {});
          span.setAttribute(OUTCOME, "complete");
        } catch (error) {
          fail(span, error);
          throw error;
        } finally {
          span.end();
        }
      }),
  };
}

function fail(span: Span, thrown: unknown): void {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  span.recordException(error);
  span.setAttribute(ERROR_TYPE, error.name);
  span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
}
