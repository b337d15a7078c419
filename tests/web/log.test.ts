/** The log: F112, F167, F169, and what the first hour must not hide. */
import { expect, test } from "vitest";
import {
  after,
  createRelay,
  deadLetter,
  fixed,
  type Log,
  type LogFields,
  type Logger,
  memory,
  type PrintLevel,
  reschedule,
} from "../../mod.ts";
import { observe } from "../../src/events/events.ts";
import { createFakeRuntime, type FakeRuntime } from "../../src/testing/mod.ts";
import { fading } from "./support/fading.ts";
import { bytes, free, heard, running, thrown } from "./support/kit.ts";

const jobs = { job: free<string>(), other: { schema: free<string>(), queue: "elsewhere" } };

interface Written {
  readonly level: PrintLevel;
  readonly line: string;
}

/** A relay whose console is a list. */
function make(log?: Log, jobsOf = jobs) {
  const runtime = createFakeRuntime();
  const written: Written[] = [];
  const print = (level: PrintLevel, line: string): void => void written.push({ level, line });
  const transport = memory({ runtime });
  const relay = createRelay({ jobs: jobsOf, transport, runtime: { ...runtime, print }, log });
  return { runtime, written, transport, relay, lines: () => written.map(({ line }) => line) };
}

/** A logger that writes down what it gets. */
function writer() {
  const entries: { readonly level: string; readonly message: string; readonly fields: LogFields }[] = [];
  const at = (level: string) => (message: string, fields: LogFields) =>
    void entries.push({ level, message, fields });
  const logger: Logger = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  return { logger, entries };
}

/** What a relay tells of jobs that end in every way. */
async function story(log: Log): Promise<void> {
  const { runtime, relay, transport } = make(log);
  relay.handle("job", (payload, { attempt, job }) => {
    if (payload === "fails") throw new Error("no");
    if (payload === "refused") return deadLetter({ reason: "gone" });
    if (payload === "again" && attempt === 1 && job.due === job.createdAt) {
      return reschedule(after(1_000), { payload: "again: the secret" });
    }
    return undefined;
  });
  for (const id of ["done", "fails", "refused", "again"]) {
    await relay.dispatch("job", id, { id, requestId: `request of ${id}`, maxAttempts: 2 });
  }
  const unknown = { queue: "default", id: "u", name: "nobody's", payload: bytes("1"), meta: "" };
  await transport.push([unknown], { deadline: 1_000 });
  const worker = running(relay, { backoff: fixed(100, { jitter: 0 }) });
  await runtime.advance(5_000);
  await worker.abort();
  await relay.close();
}

test("F169: a logger gets debug for what goes well and error for retry, death and errors, with id, name and request id", async () => {
  const { logger, entries } = writer();
  await story(logger);
  const of = (event: string) => entries.filter(({ fields }) => fields.event === event);
  expect(of("started").every(({ level }) => level === "debug")).toBe(true);
  expect(of("completed")).toMatchObject([
    { level: "debug", fields: { id: "done", name: "job", queue: "default", requestId: "request of done" } },
    { level: "debug", fields: { id: "again" } },
  ]);
  expect(of("rescheduled")).toMatchObject([{ level: "debug", fields: { id: "again", attempt: 1 } }]);
  expect(of("retrying")).toMatchObject([
    { level: "error", fields: { id: "fails", attempt: 1, delay: 100, error: "no" } },
  ]);
  expect(of("failed").map(({ level, fields }) => [level, fields.id, fields.reason])).toEqual([
    ["error", "refused", "gone"],
    ["error", "fails", "exhausted"],
  ]);
  expect(entries.every(({ message, fields }) => !`${message}${JSON.stringify(fields)}`.includes("secret")))
    .toBe(true);
});

test("F167: with seed 003's levels a retry is an info and an abort a warning, in its words", async () => {
  const { logger, entries } = writer();
  await story({ logger, levels: { retrying: "info", failed: "warn" } });
  const told = entries.filter(({ level }) => level === "info" || level === "warn");
  expect(told.map(({ level, message }) => `${level} ${message}`)).toEqual([
    "info job 'job' fails in 'default' failed 1 times, retrying in 100 ms: no",
    "warn job 'job' refused in 'default' failed after 1 attempts, aborted (gone): The handler refused the job: gone",
    "warn job 'job' fails in 'default' failed after 2 attempts, aborted (exhausted): no",
  ]);
});

test("F112: an installed logger gets one entry each for a retry, an exhaustion, an unknown name and a broker's error", async () => {
  const { logger, entries } = writer();
  const runtime = createFakeRuntime();
  const store = fading(memory({ runtime }));
  const relay = createRelay({ jobs, transport: store.transport, runtime, log: logger });
  relay.handle("job", () => {
    throw new Error("always");
  });
  const unknown = { queue: "default", id: "u", name: "nobody's", payload: bytes("1"), meta: "" };
  await store.transport.push([unknown], { deadline: 1_000 });
  await relay.dispatch("job", "x");
  const worker = running(relay, { maxRetry: 2, backoff: fixed(10), poll: 100 });
  await runtime.advance(500);
  store.away = true;
  await runtime.advance(500);
  await worker.abort();
  await relay.close();
  const events = entries.map(({ fields: { event } }) => event);
  for (const event of ["retrying", "failed", "released", "connection"] as const) {
    expect(events.filter((each) => each === event)).toEqual([event]);
  }
  expect(entries.find(({ fields }) => fields.event === "released")?.fields.name).toBe("nobody's");
  expect(entries.find(({ fields }) => fields.event === "connection")?.fields).toMatchObject({
    code: "TRANSPORT_UNAVAILABLE",
    error: "gone",
  });
});

async function fail(relay: ReturnType<typeof make>["relay"], id: string): Promise<void> {
  await relay.dispatch("job", "x", { id, maxAttempts: 1, idWindow: 0 });
  await relay.drain();
}

function failing({ relay }: ReturnType<typeof make>, error: unknown = new Error("broken")): void {
  relay.handle("job", () => {
    throw error;
  });
}

test("without listeners the console gets one line for a dead job, with name, id, queue, code and message", async () => {
  const made = make();
  failing(made, Object.assign(new Error("connect refused"), { code: "ECONNREFUSED" }));
  await fail(made.relay, "a1");
  await made.relay.close();
  expect(made.written).toEqual([{
    level: "error",
    line: "relevo failed: job 'job' a1 in 'default' failed after 1 attempts, aborted (exhausted): " +
      "ECONNREFUSED connect refused",
  }]);
});

test("a transport that goes and comes again is two lines", async () => {
  const runtime = createFakeRuntime();
  const written: string[] = [];
  const store = fading(memory({ runtime }), "no");
  store.away = true;
  const print = (level: PrintLevel, line: string): void => void written.push(`${level} ${line}`);
  const relay = createRelay({ jobs, transport: store.transport, runtime: { ...runtime, print } });
  relay.handle("job", () => undefined);
  const worker = running(relay);
  await runtime.advance(1_000);
  store.away = false;
  await runtime.advance(60_000);
  await worker.abort();
  await relay.close();
  expect(written).toEqual([
    "warn relevo connection: the transport is away: TRANSPORT_UNAVAILABLE no",
    "info relevo connection: the transport is there again",
  ]);
});

test.each<[string, (made: ReturnType<typeof make>) => void, number]>([
  ["a listener of the program's silences its type", ({ relay }) => void heard(relay.events, "failed"), 0],
  ["a listener of another type does not", ({ relay }) => void heard(relay.events, "error"), 1],
  [
    "an observer of Relevo's own does not",
    ({ relay }) => void observe(relay.events, "failed", () => undefined),
    1,
  ],
  ["a listener that was removed does not", ({ relay: { events } }) => {
    const listener = (): void => undefined;
    events.addEventListener("failed", listener);
    events.addEventListener("failed", listener);
    events.removeEventListener("failed", listener);
  }, 1],
  ["a listener whose signal aborted does not", ({ relay: { events } }) => {
    const controller = new AbortController();
    events.addEventListener("failed", () => undefined, { signal: controller.signal });
    controller.abort();
  }, 1],
])("%s", async (_, listen, lines) => {
  const made = make();
  failing(made);
  listen(made);
  await fail(made.relay, "1");
  await made.relay.close();
  expect(made.written).toHaveLength(lines);
});

test("a listener that hears once silences one event", async () => {
  const made = make();
  failing(made);
  const ids: string[] = [];
  made.relay.events.addEventListener("failed", ({ detail }) => void ids.push(detail.job.id), { once: true });
  for (const id of ["1", "2"]) await fail(made.relay, id);
  await made.relay.close();
  expect(ids).toEqual(["1"]);
  expect(made.lines()).toHaveLength(1);
  expect(made.lines()[0]).toContain(" 2 in 'default'");
});

test("a message is cut at 200 characters, and its control characters are escaped", async () => {
  const made = make();
  failing(made, new Error(`first\nsecond\u001b[31m\u0007\u202e${"x".repeat(1_000)}`));
  await fail(made.relay, "1");
  await made.relay.close();
  const [line = ""] = made.lines();
  expect(line).toContain("first\\nsecond\\u001b[31m\\u0007\\u202exxx");
  expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(line.length).toBeLessThan(350);
});

test("ten lines a second of one type, then their count; other types go on", async () => {
  const made = make();
  failing(made);
  for (let n = 0; n < 25; n++) await made.relay.dispatch("job", "x", { id: `${n}`, maxAttempts: 1 });
  await made.relay.drain();
  expect(made.lines()).toHaveLength(10);
  await made.runtime.advance(1_000);
  expect(made.lines().slice(10)).toEqual(["relevo failed: 15 more within a second"]);
  await fail(made.relay, "later");
  expect(made.lines()).toHaveLength(12);
  await made.relay.close();
  await made.runtime.settle();
  expect(made.runtime.sleepers).toBe(0);
});

test("closing tells what was still being counted, and leaves no timer behind", async () => {
  const made = make();
  failing(made);
  for (let n = 0; n < 12; n++) await made.relay.dispatch("job", "x", { maxAttempts: 1 });
  await made.relay.drain();
  await made.runtime.settle();
  await made.relay.close();
  await made.runtime.settle();
  expect(made.lines().at(-1)).toBe("relevo failed: 2 more within a second");
  expect(made.runtime.sleepers).toBe(0);
});

test("`log: false` writes nothing, and neither does a fake runtime", async () => {
  const silent = make(false);
  failing(silent);
  await fail(silent.relay, "1");
  await silent.relay.close();
  expect(silent.written).toEqual([]);
  expect((createFakeRuntime() as Partial<FakeRuntime>).print).toBeUndefined();
});

test("a logger that throws or rejects changes no job's fate, and is told on the console", async () => {
  const { logger } = writer();
  const made = make({
    ...logger,
    error: () => {
      throw new Error("disk full");
    },
    debug: () => Promise.reject(new Error("late")),
  });
  failing(made);
  await fail(made.relay, "1");
  await made.runtime.settle();
  expect((await made.relay.info()).failed).toBe(1);
  await made.relay.close();
  expect(new Set(made.lines())).toEqual(
    new Set(["relevo: the logger failed: disk full", "relevo: the logger failed: late"]),
  );
});

test.each<[string, unknown, string]>([
  ["true", true, "'log' must be false, a logger or options: current value is true"],
  ["null", null, "'log' must be false, a logger or options: current value is null"],
  ["a logger without a method", { logger: { error: () => undefined } }, "'logger' must have the methods"],
  ["an option that there is not", { level: "debug" }, "there is no option 'level'"],
  ["an event that there is not", { levels: { fialed: "warn" } }, "there is no option 'fialed'"],
  ["a level that there is not", { levels: { failed: "fatal" } }, "'levels.failed' must be one of"],
])("%s is refused as a log", (_, log, text) => {
  expect(thrown(() => createRelay({ jobs, log: log as Log })).message).toContain(text);
});

test("a worker without a handler is told, once a run, and not where it was given queues", async () => {
  const made = make();
  const told = heard(made.relay.events, "error");
  const worker = running(made.relay);
  await made.runtime.advance(10_000);
  await worker.abort();
  expect(told).toMatchObject([{ during: "running a worker" }]);
  expect(told[0]?.error.message).toContain("no handler is registered");
  const other = running(made.relay, { queues: ["default"] });
  await made.runtime.advance(10_000);
  await other.abort();
  expect(told).toHaveLength(1);
  await made.relay.drain();
  expect(told).toMatchObject([{}, { during: "draining" }]);
  await made.relay.close();
});

test("a handler registered in the same turn as `run` is in time", async () => {
  const made = make();
  const told = heard(made.relay.events, "error");
  const worker = running(made.relay);
  made.relay.handle("job", () => undefined);
  await made.runtime.advance(1_000);
  await worker.abort();
  expect(told).toEqual([]);
  await made.relay.close();
});

test("a job for a queue that no running worker here reads is told once a queue, and never without a worker", async () => {
  const made = make();
  const { relay, runtime } = made;
  const told = heard(relay.events, "error");
  await relay.dispatch("other", "x");
  relay.handle("job", () => undefined);
  const worker = running(relay);
  await runtime.settle();
  await relay.dispatch("job", "x");
  await relay.dispatch("other", "x");
  await relay.dispatchMany([{ name: "other", payload: "x" }]);
  expect(told).toMatchObject([{ during: "dispatching 'other'" }]);
  expect(told[0]?.error.message).toContain("Queue 'elsewhere' is not read by a running worker of this relay");
  await worker.abort();
  await relay.close();
});

test("a worker that begins to read a queue, or a handler for it, ends that", async () => {
  const made = make();
  const { relay, runtime } = made;
  const told = heard(relay.events, "error");
  relay.handle("job", () => undefined);
  const worker = running(relay);
  await runtime.settle();
  using _ = relay.handle("other", () => undefined);
  await relay.dispatch("other", "x");
  expect(told).toEqual([]);
  worker.worker.update({ queues: ["default"] });
  await relay.dispatch("other", "x");
  expect(told).toHaveLength(1);
  await worker.abort();
  await relay.close();
});

test("a topic of which no group is handled here is told as a queue is", async () => {
  const runtime = createFakeRuntime();
  const topics = { paid: { schema: free<string>(), topic: true }, job: free<string>() };
  const relay = createRelay({ jobs: topics, runtime });
  const told = heard(relay.events, "error");
  relay.handle("job", () => undefined);
  const worker = running(relay);
  await runtime.settle();
  await relay.dispatch("paid", "x");
  expect(told[0]?.error.message).toContain("No group of topic 'paid' is read");
  relay.handle("paid", () => undefined, { group: "mailer" });
  await relay.dispatch("paid", "x");
  expect(told).toHaveLength(1);
  await worker.abort();
  await relay.close();
});
