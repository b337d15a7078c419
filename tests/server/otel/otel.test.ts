import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { context, diag, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { expect, onTestFinished, test } from "vitest";
import { createRelay, deadLetter, every, memory, type Middleware, type Relay } from "../../../mod.ts";
import { connect } from "../../../src/connect.ts";
import { MAX_HEADERS } from "../../../src/defaults.ts";
import { headersOf, spanOf } from "../../../src/otel/headers.ts";
import { otel, type OtelOptions } from "../../../src/otel/mod.ts";
import { createFakeRuntime, type FakeRuntime } from "../../../src/testing/mod.ts";
import { free, thrown } from "../../web/support/kit.ts";
import { spawnScript } from "../support/spawn.ts";
import { ended, type Seen, tracer, within } from "./support.ts";

type Mails = { readonly mail: ReturnType<typeof free<string>> };

type Place = (options?: OtelOptions) => { readonly relay: Relay<Mails>; readonly runtime: FakeRuntime };

function placeBehind(before: readonly Middleware[]): Place {
  return (options = {}) => {
    const runtime = createFakeRuntime();
    const relay = createRelay({
      jobs: { mail: free<string>() },
      transport: memory({ runtime }),
      runtime,
      use: [...before, otel({ tracer, ...options })],
    });
    return { relay, runtime };
  };
}

const passing: Middleware = { run: (next) => () => next(), dispatch: (next) => (jobs) => next(jobs) };

/** A claim about `otel` where the core passes it by its parts, and where its functions are called. */
function inBothWays(name: string, claim: (place: Place) => Promise<void>): void {
  test(name, () => claim(placeBehind([])));
  test(`${name}, behind a middleware of the program's`, () => claim(placeBehind([passing])));
}

function named(spans: readonly Seen[], name: string): readonly Seen[] {
  return spans.filter((span) => span.name === name);
}

inBothWays(
  "a dispatch is a producer's span below the caller's, and a run a consumer's of its own trace that links to it",
  async (place) => {
    const { relay } = place();
    let active: string | undefined;
    relay.handle("mail", () => void (active = trace.getActiveSpan()?.spanContext().spanId));
    const { id } = await within("sign up", () => relay.dispatch("mail", "hello"));
    await relay.drain();
    const spans = await ended();
    const [caller, send, run] = ["sign up", "send default", "process default"].map((name) =>
      named(spans, name)[0]
    );
    expect(spans.length).toBe(3);
    expect(send).toMatchObject({
      kind: "PRODUCER",
      parent: caller?.id,
      trace: caller?.trace,
      attributes: {
        "messaging.system": "relevo",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "default",
        "messaging.message.id": id,
        "relevo.job.name": "mail",
      },
    });
    expect(run).toMatchObject({
      kind: "CONSUMER",
      parent: undefined,
      links: [send?.id],
      failed: false,
      attributes: {
        "messaging.operation.type": "process",
        "relevo.job.attempt": 1,
        "relevo.job.outcome": "complete",
      },
    });
    expect(run?.trace).not.toBe(send?.trace);
    expect(active).toBe(run?.id);
  },
);

inBothWays(
  "with `parent` the first run is a child of its dispatch, and a retry links to it",
  async (place) => {
    const { relay, runtime } = place({ parent: true });
    let runs = 0;
    relay.handle("mail", () => {
      if (++runs === 1) throw new TypeError("no mailer");
    });
    await relay.dispatch("mail", "hello");
    await relay.drain();
    await runtime.advance(10_000);
    await relay.drain();
    const spans = await ended();
    const [send] = named(spans, "send default");
    const [first, second] = named(spans, "process default");
    expect(first).toMatchObject({ parent: send?.id, trace: send?.trace, links: [], failed: true });
    expect(first?.attributes).toMatchObject({ "error.type": "TypeError", "relevo.job.attempt": 1 });
    expect(second).toMatchObject({ parent: undefined, links: [send?.id], failed: false });
    expect(second?.attributes).toMatchObject({ "relevo.job.attempt": 2 });
  },
);

inBothWays("a handler that gives a job up has a failed span, with its error's class", async (place) => {
  const { relay } = place();
  relay.handle("mail", () => deadLetter({ error: new RangeError("too long") }));
  await relay.dispatch("mail", "hello");
  await relay.drain();
  const [run] = named(await ended(), "process default");
  expect(run).toMatchObject({
    failed: true,
    attributes: { "error.type": "RangeError", "relevo.job.outcome": "deadLetter" },
  });
});

inBothWays("a bulk is one span with its size, which every job of it links to", async (place) => {
  const { relay } = place();
  relay.handle("mail", () => undefined);
  await relay.dispatchMany(["a", "b", "c"].map((payload) => ({ name: "mail", payload }) as const));
  await relay.drain();
  const spans = await ended();
  const [send] = named(spans, "send default");
  expect(send?.attributes).toMatchObject({ "messaging.batch.message_count": 3 });
  expect(named(spans, "process default").map(({ links }) => links)).toEqual([[send?.id], [send?.id], [
    send?.id,
  ]]);
});

inBothWays(
  "a worker that was begun in a span is no part of it: no span lives as long as its loop, none is of a prefetched job",
  async (place) => {
    const { relay, runtime } = place();
    relay.handle("mail", () => undefined);
    const stop = new AbortController();
    await within("the program's start", async () => {
      const running = relay.run({ signal: stop.signal });
      await relay.dispatch("mail", "hello");
      await runtime.advance(1_000);
      stop.abort();
      await running;
    });
    const spans = await ended();
    expect(spans.map(({ name }) => name).sort()).toEqual([
      "process default",
      "send default",
      "the program's start",
    ]);
    expect(named(spans, "process default")[0]?.parent).toBeUndefined();
  },
);

inBothWays(
  "a tick of a schedule is sent by a span of its own, and its run says which schedule it is of",
  async (place) => {
    const { relay, runtime } = place();
    relay.handle("mail", () => undefined);
    await relay.schedule("mail", "hello", { key: "hourly", when: every(3_600_000) });
    await runtime.advance(3_600_000);
    await relay.drain();
    const spans = await ended();
    const [send] = named(spans, "send default");
    const [run] = named(spans, "process default");
    expect(run).toMatchObject({ links: [send?.id], attributes: { "relevo.schedule.key": "hourly" } });
  },
);

inBothWays("a dispatch that fails has a failed span, and its error is the caller's", async (place) => {
  const { relay } = place();
  await relay.transport[Symbol.asyncDispose]();
  await expect(relay.dispatch("mail", "hello")).rejects.toMatchObject({ code: "TRANSPORT_CLOSED" });
  expect(await ended()).toMatchObject([{ name: "send default", failed: true }]);
});

inBothWays("headers that another program spoilt make no link and no error", async (place) => {
  const { relay } = place();
  relay.handle("mail", () => undefined);
  for (
    const traceparent of [
      "",
      "00-xyz",
      `00-${"0".repeat(32)}-${"0".repeat(16)}-01`,
      `ff-${"1".repeat(32)}-${"1".repeat(16)}-01`,
    ]
  ) {
    await relay.dispatch("mail", "hello", { headers: { traceparent, tracestate: "=,=" } });
  }
  await relay.drain();
  const runs = named(await ended(), "process default");
  expect([runs.length, runs.flatMap(({ links }) => links)]).toEqual([4, []]);
});

inBothWays(
  "without an SDK a job has no headers, and one in a span that is not recorded carries it on",
  async (place) => {
    const { relay } = place({ tracer: trace.getTracer("no SDK") });
    const seen: object[] = [];
    relay.handle("mail", (_, { job }) => void seen.push(job.headers, [trace.getActiveSpan()]));
    await relay.dispatch("mail", "hello");
    const outer = { traceId: TRACE, spanId: SPAN, traceFlags: 0 };
    await context.with(
      trace.setSpanContext(ROOT_CONTEXT, outer),
      () => relay.dispatch("mail", "hello"),
    );
    await relay.drain();
    expect(seen).toEqual([{}, [undefined], { traceparent: `00-${TRACE}-${SPAN}-00` }, [undefined]]);
  },
);

test("headers that grow too long by a trace are refused, and nothing is stored", async () => {
  const { relay } = placeBehind([])();
  const room = "x".repeat(MAX_HEADERS - 10);
  await expect(relay.dispatch("mail", "hello", { headers: { room } })).rejects.toThrow(
    "'headers' must be at most",
  );
  await expect(relay.dispatchMany([{ name: "mail", payload: "hello", headers: { room } }])).rejects.toThrow(
    "'headers' must be at most",
  );
  expect((await relay.info()).waiting).toBe(0);
  expect(await ended()).toMatchObject([{ failed: true }, { failed: true }]);
});

test("traceparent and tracestate are written and read as the W3C has them", () => {
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const span = spanOf(traceparent, "vendor=1,other=2");
  expect(span).toMatchObject({ traceId: "4bf92f3577b34da6a3ce929d0e0e4736", traceFlags: 1, isRemote: true });
  if (span === undefined) throw new Error("there is no span");
  expect(headersOf(span)).toEqual({ traceparent, tracestate: "vendor=1,other=2" });
  expect(thrown(() => otel({ parent: "yes" } as unknown as OtelOptions)).message).toContain(
    "'parent' must be",
  );
  expect(thrown(() => otel({ tracer: {} } as unknown as OtelOptions)).message).toContain(
    "'tracer' must be a tracer",
  );
});

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

test.each<[string, boolean]>([
  [`00-${TRACE}-${SPAN}-01`, true],
  [`00-${TRACE}-${SPAN}-00`, true],
  [`cc-${TRACE}-${SPAN}-01-of a later version`, true],
  [`00-${TRACE}-${SPAN}-01x`, false],
  [`00-${TRACE}-${SPAN}-1`, false],
  [`00-${TRACE}-${SPAN}`, false],
  [`00-${TRACE}-${SPAN}-0g`, false],
  [`0x-${TRACE}-${SPAN}-01`, false],
  [`ff-${TRACE}-${SPAN}-01`, false],
  [`00-${TRACE.toUpperCase()}-${SPAN}-01`, false],
  [`00-${TRACE.slice(1)}g-${SPAN}-01`, false],
  [`00-${TRACE}-${SPAN.slice(1)}\u0130-01`, false],
  [`00-${"0".repeat(32)}-${SPAN}-01`, false],
  [`00-${TRACE}-${"0".repeat(16)}-01`, false],
  [`00_${TRACE}-${SPAN}-01`, false],
  [`00-${TRACE}_${SPAN}-01`, false],
  [`00-${TRACE}-${SPAN}_01`, false],
])("the text %s names a span: %s", (traceparent, isOne) => {
  const wanted = {
    traceId: TRACE,
    spanId: SPAN,
    traceFlags: traceparent.slice(53, 55) === "01" ? 1 : 0,
    isRemote: true,
  };
  expect(spanOf(traceparent, undefined)).toEqual(isOne ? wanted : undefined);
});

test.each([...Array(16).keys()])("flags of %i say whether the span is sampled by their last bit", (flags) => {
  const traceparent = `00-${TRACE}-${SPAN}-0${flags.toString(16)}`;
  expect(spanOf(traceparent, undefined)?.traceFlags).toBe(flags & 1);
  expect(headersOf({ traceId: TRACE, spanId: SPAN, traceFlags: flags })).toEqual({ traceparent });
});

inBothWays(
  "a trace travels beside the headers and the settings that the caller gave itself",
  async (place) => {
    const { relay } = place();
    const seen: object[] = [];
    relay.handle("mail", (_, { job }) => void seen.push(job));
    await relay.dispatch("mail", "hello", { headers: { tenant: "acme" }, maxAttempts: 7 });
    await relay.dispatch("mail", "hello", { maxAttempts: 7, timeout: 9_000 });
    await relay.drain();
    const [first, second] = named(await ended(), "send default").map(({ trace, id }) =>
      `00-${trace}-${id}-01`
    );
    expect(seen).toMatchObject([
      { headers: { tenant: "acme", traceparent: first }, maxAttempts: 7 },
      { headers: { traceparent: second }, maxAttempts: 7, timeout: 9_000 },
    ]);
  },
);

for (const method of ["startSpan", "setAttribute", "recordException", "end"]) {
  inBothWays(
    `a tracer whose ${method} throws changes no dispatch and no run, and is told to the diag`,
    async (place) => {
      const told: string[] = [];
      const log = (): void => undefined;
      const logger = {
        error: (text: string) => told.push(text),
        warn: log,
        info: log,
        debug: log,
        verbose: log,
      };
      diag.setLogger(logger, { suppressOverrideMessage: true });
      onTestFinished(() => diag.disable());
      const { relay } = place({ tracer: failing(method) });
      const failed: Error[] = [];
      relay.events.addEventListener("failed", ({ detail }) => failed.push(detail.error));
      relay.handle("mail", (how) => {
        if (how === "bad") throw new Error("no mailer");
      });
      expect((await relay.dispatch("mail", "good")).status).toBe("stored");
      await relay.dispatch("mail", "bad", { maxAttempts: 1 });
      expect(await relay.drain()).toMatchObject({ completed: 1, failed: 1 });
      expect(failed.map(({ message }) => message)).toEqual(["no mailer"]);
      expect(new Set(told)).toEqual(new Set([`relevo: a span failed: no ${method}`]));
      await ended();
    },
  );
}

/** A tracer of which, or of whose spans, one method throws. */
function failing(method: string): NonNullable<OtelOptions["tracer"]> {
  const broken = (): never => {
    throw new Error(`no ${method}`);
  };
  return {
    startSpan: (...given: Parameters<typeof tracer.startSpan>) =>
      method === "startSpan" ? broken() : Object.assign(tracer.startSpan(...given), { [method]: broken }),
  };
}

test.each(["link", "parent"])("across two processes a run is tied to its dispatch by a %s", async (how) => {
  const folder = mkdtempSync(join(tmpdir(), "relevo-otel-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const url = `sqlite:${join(folder, "jobs.db")}`;
  await using relay = createRelay({
    jobs: { mail: free<number>() },
    transport: await connect(url),
    use: [otel({ tracer })],
  });
  await relay.dispatch("mail", 1);
  const [send] = await ended();
  await using worker = spawnScript(new URL("fixtures/worker.ts", import.meta.url), [url, how]);
  const run: Seen = JSON.parse(await worker.next());
  await worker.exited;
  expect(run.name).toBe("process default");
  if (how === "parent") expect([run.trace, run.parent]).toEqual([send?.trace, send?.id]);
  else expect([run.trace === send?.trace, run.links]).toEqual([false, [send?.id]]);
});
