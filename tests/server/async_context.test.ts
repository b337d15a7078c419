/** What stands in an `AsyncLocalStorage` of the program's while handlers run. */
import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { expect, test } from "vitest";
import { createRelay } from "../../mod.ts";
import { createFakeRuntime } from "../../src/testing/mod.ts";
import { free } from "../web/support/kit.ts";

/** Whether the runtime itself forgets what a call entered when the call is over: Node 22 does not. */
function forgets(): boolean {
  const storage = new AsyncLocalStorage<string>();
  const scope = new AsyncResource("test");
  scope.runInAsyncScope(() => storage.enterWith("entered"));
  return scope.runInAsyncScope(() => storage.getStore()) === undefined;
}

async function seenBy(handle: (storage: AsyncLocalStorage<string>, n: number) => void): Promise<unknown[]> {
  const storage = new AsyncLocalStorage<string>();
  const relay = createRelay({ jobs: { job: free<number>() }, runtime: createFakeRuntime() });
  const seen: unknown[] = [];
  relay.handle("job", async (n) => {
    seen.push(storage.getStore());
    handle(storage, n);
    await Promise.resolve();
    seen.push(storage.getStore());
  });
  await storage.run(
    "dispatch",
    () => relay.dispatchMany([1, 2].map((payload) => ({ name: "job", payload }))),
  );
  await storage.run("start", () => relay.drain({ concurrency: 1 }));
  expect(storage.getStore()).toBeUndefined();
  await relay.close();
  return seen;
}

test("handlers follow from the call that started their worker", async () => {
  expect(await seenBy(() => undefined)).toEqual(["start", "start", "start", "start"]);
});

test("what a handler enters is not there for the next one, where the runtime forgets it behind a call", async () => {
  const enter = (storage: AsyncLocalStorage<string>, n: number): void => storage.enterWith(`job ${n}`);
  expect(await seenBy(enter)).toEqual(["start", "job 1", forgets() ? "start" : "job 1", "job 2"]);
});

test("a handler that runs inline follows from its dispatch", async () => {
  const storage = new AsyncLocalStorage<string>();
  const relay = createRelay({ jobs: { job: free<number>() }, inline: true });
  const seen: unknown[] = [];
  relay.handle("job", () => void seen.push(storage.getStore()));
  await Promise.all(["one", "two"].map((id) => storage.run(id, () => relay.dispatch("job", 1))));
  expect(seen).toEqual(["one", "two"]);
  await relay.close();
});
