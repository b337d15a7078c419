/** What metrics count: F137, F138, W102. */
import { expect, test } from "vitest";
import {
  after,
  createRelay,
  deadLetter,
  fixed,
  memory,
  type PrintLevel,
  reschedule,
  retry,
} from "../../../mod.ts";
import { metrics, type MetricStorage, recovery } from "../../../src/middleware/mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { fading } from "../support/fading.ts";
import { bytes, free, heard, running, thrown } from "../support/kit.ts";
import { counters, jobs } from "./support.ts";

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
  const store = fading(memory({ runtime }));
  const relay = createRelay({ jobs, runtime, transport: store.transport, use: [metrics(storage)] });
  relay.handle("job", (payload) => {
    if (payload === "retry") throw new Error("no");
    if (payload === "dead") return deadLetter();
    return payload === "again" ? reschedule(after(600_000)) : undefined;
  });
  for (const payload of ["fine", "fine", "retry", "dead", "again"]) await relay.dispatch("job", payload);
  const worker = running(relay, { backoff: fixed(600_000), poll: 100 });
  await runtime.advance(1_000);
  store.away = true;
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

test("a storage that rejects is an error event for each of its methods, and the others count on", async () => {
  const { counts, storage } = counters();
  const broken: MetricStorage = {
    ...storage,
    observeExecuteDuration: () => Promise.reject(new Error("no durations")),
    incRetryCount: () => Promise.reject(new Error("no retries")),
  };
  const relay = createRelay({ jobs, runtime: createFakeRuntime(), use: [metrics(broken)] });
  const errors = heard(relay.events, "error");
  relay.handle("job", (payload) => payload === "bad" ? retry() : undefined);
  for (const payload of ["fine", "bad"]) await relay.dispatch("job", payload);
  expect(await relay.drain()).toMatchObject({ completed: 1, retried: 1 });
  await relay.close();
  expect(counts).toMatchObject({ success: 1, internal: 0 });
  expect(errors.map(({ error, during }) => `${during}: ${error.message}`).toSorted()).toEqual([
    "a listener of 'completed': no durations",
    "a listener of 'retrying': no durations",
    "a listener of 'retrying': no retries",
  ]);
});

test("a storage whose durations throw counts the run all the same", async () => {
  const { counts, storage } = counters();
  const broken: MetricStorage = {
    ...storage,
    observeExecuteDuration: () => {
      throw new Error("no durations");
    },
  };
  const relay = createRelay({ jobs, runtime: createFakeRuntime(), use: [metrics(broken)], log: false });
  relay.handle("job", () => undefined);
  await relay.dispatch("job", "x");
  await relay.drain();
  expect(counts.success).toBe(1);
  await relay.close();
});

test("wrong options of metrics are refused", () => {
  const call = () => metrics({} as MetricStorage);
  expect(thrown(call).message).toContain("must have a function 'observeExecuteDuration'");
});

test("metrics in a handler's list count the runs of that handler once: of its group, under an alias, and when it is replaced", async () => {
  const runtime = createFakeRuntime();
  const transport = memory({ runtime });
  const before = createRelay({ jobs: { old: free<string>() }, runtime, transport });
  const relay = createRelay({
    jobs: {
      job: { schema: free<string>(), aliases: ["old"] },
      news: { schema: free<string>(), topic: true },
    },
    runtime,
    transport,
  });
  const [one, two, mine] = [counters(), counters(), counters()];
  relay.handle("news", () => undefined, { group: "one", use: [metrics(one.storage)] });
  relay.handle("news", () => undefined, { group: "two", use: [metrics(two.storage)] });
  relay.handle("job", () => undefined, { use: [metrics(mine.storage)] });
  relay.handle("job", () => undefined, { use: [metrics(mine.storage)], replace: true });
  await relay.drain();
  await relay.dispatch("news", "x");
  await before.dispatch("old", "x");
  await relay.dispatch("job", "x");
  expect(await relay.drain()).toMatchObject({ completed: 4 });
  expect([one, two, mine].map(({ counts }) => counts.success)).toEqual([1, 1, 2]);
  await before.close();
  await relay.close();
});
