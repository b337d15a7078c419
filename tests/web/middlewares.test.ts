/** The middlewares that are there: F105, F137 to F141, W90, W91, W101, W102. */
import { expect, test } from "vitest";
import {
  after,
  createRelay,
  deadLetter,
  fixed,
  type LogFields,
  memory,
  type PrintLevel,
  reschedule,
  retry,
  TransportError,
} from "../../mod.ts";
import { defaultChain, metrics, type MetricStorage, recovery, requestId } from "../../src/middleware/mod.ts";
import { createFakeRuntime } from "../../src/testing/mod.ts";
import { bytes, free, heard, running, thrown, wrapped } from "./support/kit.ts";

const jobs = { job: free<string>(), other: free<string>() };

/** A storage that writes down what it is told. */
function counters() {
  const counts = { success: 0, retry: 0, dlq: 0, reschedule: 0, internal: 0 };
  const durations: [queue: string, type: string, ms: number][] = [];
  const storage: MetricStorage = {
    observeExecuteDuration: (...rest) => durations.push(rest),
    incSuccessCount: () => counts.success++,
    incRetryCount: () => counts.retry++,
    incDlqCount: () => counts.dlq++,
    incRescheduleCount: () => counts.reschedule++,
    incInternalErrorCount: () => counts.internal++,
  };
  return { counts, durations, storage };
}

/** A storage as `AsyncLocalStorage` is one, for synchronous code. */
function ambient() {
  let current: string | undefined;
  return {
    run<Result>(id: string, call: () => Result): Result {
      const before = current;
      current = id;
      try {
        return call();
      } finally {
        current = before;
      }
    },
    getStore: () => current,
  };
}

test("F137: metrics observe each run once with queue, type and time, also of one that fails or throws", async () => {
  const { durations, storage } = counters();
  const runtime = createFakeRuntime();
  const relay = createRelay({ jobs, runtime, use: [metrics(storage), recovery()] });
  relay.handle("job", async (payload) => {
    await runtime.sleep(250);
    if (payload === "throws") throw new Error("no");
    return payload === "fails" ? retry() : undefined;
  });
  for (const payload of ["fine", "throws", "fails"]) await relay.dispatch("job", payload);
  const worker = running(relay, { backoff: fixed(600_000) });
  await runtime.advance(5_000);
  await worker.abort();
  expect(durations).toEqual(Array(3).fill(["default", "job", 250]));
  await relay.close();
});

test("F138, W102: of two done, one retried, one dead, one rescheduled and one failure of the store each is counted", async () => {
  const { counts, storage } = counters();
  const runtime = createFakeRuntime();
  let away = false;
  const transport = wrapped(memory({ runtime }), (inner) => ({
    reserve: (queues, options) =>
      away
        ? Promise.reject(new TransportError("TRANSPORT_UNAVAILABLE", "gone"))
        : inner.reserve(queues, options),
  }));
  const relay = createRelay({ jobs, runtime, transport, use: [metrics(storage)] });
  relay.handle("job", (payload) => {
    if (payload === "retry") throw new Error("no");
    if (payload === "dead") return deadLetter();
    return payload === "again" ? reschedule(after(600_000)) : undefined;
  });
  for (const payload of ["fine", "fine", "retry", "dead", "again"]) await relay.dispatch("job", payload);
  const worker = running(relay, { backoff: fixed(600_000), poll: 100 });
  await runtime.advance(1_000);
  away = true;
  await runtime.advance(1_000);
  await worker.abort();
  expect(counts).toEqual({ success: 2, retry: 1, dlq: 1, reschedule: 1, internal: 1 });
  await relay.close();
});

test("metrics of a handler's list count its job alone, and no more when the handler is gone", async () => {
  const { counts, durations, storage } = counters();
  const relay = createRelay({ jobs, runtime: createFakeRuntime() });
  const handle = relay.handle("job", () => undefined, { use: [metrics(storage)] });
  relay.handle("other", () => undefined);
  await relay.dispatch("job", "x");
  await relay.dispatch("other", "x");
  await relay.drain();
  expect(counts).toMatchObject({ success: 1, internal: 0 });
  handle[Symbol.dispose]();
  relay.handle("job", () => undefined);
  await relay.dispatch("job", "x");
  await relay.drain();
  expect(durations).toHaveLength(1);
  await relay.close();
});

test("a job that is dead before a run is counted and has no duration", async () => {
  const { counts, durations, storage } = counters();
  const relay = createRelay({ jobs, runtime: createFakeRuntime(), use: [metrics(storage)] });
  relay.handle("job", () => undefined);
  const broken = { queue: "default", id: "1", name: "job", payload: bytes("no json"), meta: "" };
  await relay.transport.push([broken], { deadline: 1_000 });
  await relay.drain();
  expect([counts.dlq, durations.length]).toEqual([1, 0]);
  await relay.close();
});

test("metrics keep the console's lines, and a storage that throws changes no job's fate", async () => {
  const lines: string[] = [];
  const print = (_: PrintLevel, line: string): void => void lines.push(line);
  const { storage } = counters();
  const broken: MetricStorage = {
    ...storage,
    incDlqCount: () => {
      throw new Error("the storage is full");
    },
  };
  const relay = createRelay({ jobs, runtime: { ...createFakeRuntime(), print }, use: [metrics(broken)] });
  relay.handle("job", () => deadLetter({ reason: "gone" }));
  await relay.dispatch("job", "x");
  expect((await relay.drain()).failed).toBe(1);
  await relay.close();
  expect(lines.some((line) => line.startsWith("relevo failed: job 'job'"))).toBe(true);
  expect(lines).toContain("relevo error: a listener of 'failed': the storage is full");
});

test("F139: what a handler throws is dead at its first attempt, with text and stack", async () => {
  const relay = createRelay({ jobs, runtime: createFakeRuntime(), use: [recovery()] });
  relay.handle("job", (payload) => {
    // deno-lint-ignore no-throw-literal
    if (payload === "text") throw "a text";
    throw new Error("test panic error");
  });
  await relay.dispatch("job", "error", { id: "1" });
  await relay.dispatch("job", "text", { id: "2" });
  expect((await relay.drain()).failed).toBe(2);
  const dead = new Map((await relay.list("default", "failed")).jobs.map((job) => [job.id, job]));
  expect(dead.get("1")).toMatchObject({
    attempts: 1,
    dead: { reason: "panic" },
    lastError: { message: "test panic error" },
  });
  expect(dead.get("1")?.lastError?.stack).toContain("middlewares.test");
  expect(dead.get("2")?.lastError?.message).toBe("a text");
  await relay.close();
});

test("F105, W101: onPanic chooses between dead and retry, by a word or by what was thrown", async () => {
  const runtime = createFakeRuntime();
  const relay = createRelay({ jobs, runtime });
  const byKind = (thrown: unknown) => thrown instanceof TypeError ? "dead" : "retry";
  relay.handle("job", (payload) => {
    throw payload === "type" ? new TypeError("a fault") : new Error("away");
  }, { use: [recovery({ onPanic: byKind })] });
  relay.handle("other", () => {
    throw new Error("no");
  }, { use: [recovery({ onPanic: "retry" })] });
  await relay.dispatch("job", "type");
  await relay.dispatch("job", "away");
  await relay.dispatch("other", "x");
  expect(await relay.drain()).toMatchObject({ failed: 1, retried: 2 });
  await relay.close();
});

test("recovery lets outcomes pass, and what is thrown at the stop of a worker or at a timeout", async () => {
  const runtime = createFakeRuntime();
  const timed = { job: free<string>(), other: { schema: free<string>(), timeout: 1_000, maxAttempts: 2 } };
  const relay = createRelay({ jobs: timed, runtime, use: [recovery()] });
  const retrying = heard(relay.events, "retrying");
  const failed = heard(relay.events, "failed");
  const untilAborted = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  relay.handle(
    "job",
    (payload, { signal }) => payload === "retry" ? retry({ delay: 60_000 }) : untilAborted(signal),
  );
  relay.handle("other", (_, { signal }) => untilAborted(signal));
  await relay.dispatch("job", "retry");
  await relay.dispatch("job", "waits");
  await relay.dispatch("other", "x");
  const worker = running(relay, { backoff: fixed(60_000) });
  await runtime.advance(2_000);
  await worker.abort();
  expect(retrying.map(({ job }) => job.name).toSorted()).toEqual(["job", "other"]);
  expect(failed).toEqual([]);
  expect(await relay.info()).toMatchObject({ waiting: 1, delayed: 2 });
  await relay.close();
});

test("F140, W90: the request id is in the context, the job's own or a generated one, and the same on a retry", async () => {
  const runtime = createFakeRuntime();
  const hex = () => "0123456789abcdef0123456789abcdef";
  const relay = createRelay({ jobs, runtime, requestId: hex, use: [requestId()] });
  const seen: [attempt: number, context: string, job: string][] = [];
  relay.handle("job", (_, { requestId, attempt, job }) => {
    seen.push([attempt, requestId, job.requestId]);
    if (attempt === 1) throw new Error("again");
  });
  await relay.dispatch("job", "x");
  const worker = running(relay, { backoff: fixed(100) });
  await runtime.advance(1_000);
  await relay.dispatch("job", "x", { requestId: "mine" });
  await runtime.advance(1_000);
  await worker.abort();
  expect(seen).toEqual([[1, hex(), hex()], [2, hex(), hex()], [1, "mine", "mine"], [2, "mine", "mine"]]);
  await relay.close();
  const plain = createRelay({ jobs, runtime, use: [requestId()] });
  const generated: string[] = [];
  plain.handle("job", (_, { requestId, job }) => void generated.push(requestId, job.requestId));
  await plain.dispatch("job", "x");
  await plain.drain();
  expect(generated[0]).toMatch(/^[0-9A-Z]{26}$/);
  expect(generated[0]).toBe(generated[1]);
  await plain.close();
});

test("F035: a request's own id goes before the ambient one, that before a generated one, and a bulk shares it", async () => {
  const storage = ambient();
  const relay = createRelay({ jobs, runtime: createFakeRuntime(), use: [requestId({ storage })] });
  const seen = new Map<string, string>();
  relay.handle("job", (payload, { requestId }) => void seen.set(payload, requestId));
  await storage.run("ambient", () =>
    Promise.all([
      relay.dispatch("job", "own", { requestId: "own" }),
      relay.dispatch("job", "ambient"),
      relay.dispatch("job", "id", { id: "an id" }),
    ]));
  await relay.dispatch("job", "none");
  const many = ["a", "b", "c"].map((payload) => ({ name: "job" as const, payload }));
  await relay.dispatchMany(many);
  await relay.drain();
  expect(["own", "ambient", "id"].map((payload) => seen.get(payload))).toEqual([
    "own",
    "ambient",
    "ambient",
  ]);
  expect(seen.get("none")).toMatch(/^[0-9A-Z]{26}$/);
  expect(new Set(["a", "b", "c"].map((payload) => seen.get(payload))).size).toBe(1);
  await relay.close();
});

test("what a handler dispatches carries its request id on, where the storage reaches", async () => {
  const storage = ambient();
  const relay = createRelay({ jobs, runtime: createFakeRuntime(), use: [requestId({ storage })] });
  const seen: string[] = [];
  relay.handle("job", () => relay.dispatch("other", "y"));
  relay.handle("other", (_, { requestId }) => void seen.push(requestId, `${storage.getStore()}`));
  await relay.dispatch("job", "x", { requestId: "r7" });
  await relay.drain();
  await relay.drain();
  expect(seen).toEqual(["r7", "r7"]);
  await relay.close();
});

test("F141, W91: in the default chain a throwing job is dead and timed, and its log line has the request id", async () => {
  const { counts, durations, storage } = counters();
  const logged: LogFields[] = [];
  const error = (_: string, fields: LogFields): void => void logged.push(fields);
  const silent = (): void => undefined;
  const relay = createRelay({
    jobs,
    runtime: createFakeRuntime(),
    use: defaultChain({ metrics: storage, storage: ambient() }),
    log: { debug: silent, info: silent, warn: silent, error },
  });
  relay.handle("job", (_, { requestId }) => {
    throw new Error(`panic of ${requestId}`);
  });
  await relay.dispatch("job", "x", { requestId: "r7" });
  await relay.drain();
  expect([counts.dlq, durations.length]).toEqual([1, 1]);
  expect(logged).toMatchObject([{ event: "failed", reason: "panic", requestId: "r7", error: "panic of r7" }]);
  await relay.close();
});

test.each<[string, () => unknown, string]>([
  ["recovery", () => recovery({ onPanic: "drop" as "dead" }), "'onPanic' must be one of"],
  [
    "requestId",
    () => requestId({ storage: {} as ReturnType<typeof ambient> }),
    "must have 'run' and 'getStore'",
  ],
  ["metrics", () => metrics({} as MetricStorage), "must have a function 'observeExecuteDuration'"],
])("wrong options of %s are refused", (_, call, text) => {
  expect(thrown(call).message).toContain(text);
});
