/** Request ids in contexts and around them: F035, F140, W90. */
import { expect, test } from "vitest";
import { createRelay, fixed } from "../../../mod.ts";
import { requestId } from "../../../src/middleware/mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { running, thrown } from "../support/kit.ts";
import { type Ambient, ambient, jobs } from "./support.ts";

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

test("wrong options of requestId are refused", () => {
  const call = () => requestId({ storage: {} as Ambient });
  expect(thrown(call).message).toContain("must have 'run' and 'getStore'");
});
