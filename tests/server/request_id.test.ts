/** Request ids through `AsyncLocalStorage`: F035, F140. */
import { AsyncLocalStorage } from "node:async_hooks";
import { expect, test } from "vitest";
import { createRelay } from "../../mod.ts";
import { requestId } from "../../src/middleware/mod.ts";
import { createFakeRuntime } from "../../src/testing/mod.ts";
import { free } from "../web/support/kit.ts";

test("F035, F140: an id is ambient through what a handler waits for, in single dispatches and in a bulk", async () => {
  const storage = new AsyncLocalStorage<string>();
  const runtime = createFakeRuntime();
  const jobs = { first: free<string>(), second: free<string>() };
  const relay = createRelay({ jobs, runtime, use: [requestId({ storage })] });
  const seen: unknown[] = [];
  relay.handle("first", async () => {
    await Promise.resolve();
    await relay.dispatch("second", "one");
    await relay.dispatchMany([{ name: "second", payload: "a" }, {
      name: "second",
      payload: "b",
      requestId: "own",
    }]);
  });
  relay.handle("second", async (payload, { requestId }) => {
    await Promise.resolve();
    seen.push([payload, requestId, storage.getStore()]);
  });
  await relay.dispatch("first", "x", { requestId: "r1" });
  await relay.drain();
  await relay.drain();
  expect(seen.toSorted()).toEqual([["a", "r1", "r1"], ["b", "own", "own"], ["one", "r1", "r1"]]);
  expect(storage.getStore()).toBeUndefined();
  await relay.close();
});
