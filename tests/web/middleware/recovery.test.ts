/** What recovery makes of what a handler throws: F105, F139, W101. */
import { expect, test } from "vitest";
import { createRelay, fixed, retry } from "../../../mod.ts";
import { recovery } from "../../../src/middleware/mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { free, heard, running, thrown } from "../support/kit.ts";
import { jobs } from "./support.ts";

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
  expect(dead.get("1")?.lastError?.stack).toContain("recovery.test");
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

test.each<[string, (thrown: unknown) => unknown, string]>([
  ["gives another word", () => "drop", "must be one of 'dead', 'retry': current value is \"drop\""],
  ["gives a promise", () => Promise.reject(new Error("later")), "current value is a Promise"],
  [
    "throws",
    () => {
      throw new Error("no table of faults");
    },
    "no table of faults",
  ],
])(
  "a function onPanic that %s does not hide what the handler threw, in event and record",
  async (_, onPanic, fault) => {
    const relay = createRelay({
      jobs,
      runtime: createFakeRuntime(),
      use: [recovery({ onPanic: onPanic as () => "dead" })],
    });
    const failed = heard(relay.events, "failed");
    relay.handle("job", () => {
      throw Object.assign(new TypeError("the card is declined"), { code: "DECLINED" });
    });
    await relay.dispatch("job", "x", { id: "1", maxAttempts: 1 });
    expect((await relay.drain()).failed).toBe(1);
    const both = { name: "TypeError", code: "DECLINED", message: failed[0]?.error.message };
    expect(both.message).toMatch(/^the card is declined; its 'onPanic' failed too: /);
    expect(both.message).toContain(fault);
    const { lastError } = await relay.get("default", "1") ?? {};
    expect(lastError).toMatchObject(both);
    expect(lastError?.stack).toContain("recovery.test");
    await relay.close();
  },
);

test("wrong options of recovery are refused", () => {
  const call = () => recovery({ onPanic: "drop" as "dead" });
  expect(thrown(call).message).toContain("'onPanic' must be one of");
});
