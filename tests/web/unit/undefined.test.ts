import { expect, it } from "vitest";
import { createRelay, deadLetter, exponential, reschedule, retry } from "../../../mod.ts";
import { createFakeRuntime } from "../../../src/testing/fake_runtime.ts";
import { free } from "../support/kit.ts";

/** Every key of an options object as undefined, as a program has it that reads its settings from elsewhere. */
function nothing<const Key extends string>(...keys: Key[]): { [K in Key]: undefined } {
  return Object.fromEntries(keys.map((key) => [key, undefined])) as { [K in Key]: undefined };
}

it("an option that is given as undefined is as if it were left out, wherever there are options", async () => {
  const runtime = createFakeRuntime();
  const definition = {
    schema: free<number>(),
    ...nothing("queue", "maxAttempts", "timeout", "backoff", "codec", "aliases"),
  };
  const relay = createRelay({
    jobs: { task: definition },
    runtime,
    ...nothing("transport", "codecs", "maxPayload", "callTimeout", "maxPending", "requestId"),
  });
  relay.handle(
    "task",
    (n) => n === 1 ? retry(nothing("delay", "error")) : deadLetter(nothing("reason", "error")),
    {
      replace: undefined,
    },
  );
  const settings = nothing(
    "id",
    "idWindow",
    "onDuplicate",
    "delay",
    "at",
    "maxAttempts",
    "timeout",
    "backoff",
    "queue",
  );
  const options = { ...settings, ...nothing("headers", "requestId", "signal", "transaction") };
  await relay.dispatch("task", 1, options);
  const bulk = relay.dispatchMany(
    [{ name: "task", payload: 2, ...settings }],
    nothing("atomic", "signal", "transaction"),
  );
  await Promise.all([bulk, runtime.advance(1)]);
  const work = nothing(
    "concurrency",
    "poll",
    "backoff",
    "maxRetry",
    "lease",
    "grace",
    "abortGrace",
    "maxLost",
  );
  const more = nothing("unknown", "unknownFor", "invalid", "queues", "prefetch", "signal");
  const drained = await relay.drain({ ...work, ...more, ...nothing("limit", "budget") });
  expect(drained).toMatchObject({ retried: 1, failed: 1 });
  expect(exponential(5, nothing("max", "jitter"))).toEqual(exponential(5));
  expect(reschedule({ next: () => ({ delay: 1 }) }, nothing("keepAttempts"))).toMatchObject({
    keepAttempts: false,
  });
  const page = await relay.list("default", "failed", nothing("limit", "cursor", "signal"));
  expect(page.jobs.map(({ dead }) => dead?.reason)).toEqual(["refused"]);
  expect(await relay.reload("default", "failed", "all", nothing("attempts", "signal"))).toMatchObject({
    reloaded: 1,
  });
  await relay.close(nothing("grace"));
});
