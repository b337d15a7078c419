/** A worker that is told to end within a grace does so, whatever its store answers. */
import { expect, it } from "vitest";
import { createRelay, memory, type RunOptions, type Transport, type WorkerOptions } from "../../../mod.ts";
import { createFakeRuntime } from "../../../src/testing/fake_runtime.ts";
import { free, heard } from "../support/kit.ts";

/** A worker with one job under way; from `leave` on no call of its transport is answered. */
async function createRig(handle: () => Promise<void> | void, options: WorkerOptions & RunOptions = {}) {
  const runtime = createFakeRuntime();
  const inner = memory({ runtime });
  let gone = false;
  const silent = new Promise<never>(() => undefined);
  const transport: Transport = {
    ...inner,
    reserve: (queues, call) => gone ? silent : inner.reserve(queues, call).then((got) => gone ? silent : got),
    settle: (settlements, call) => gone ? silent : inner.settle(settlements, call),
    extend: (leases, call) => gone ? silent : inner.extend(leases, call),
  };
  const relay = createRelay({ jobs: { n: free<number>() }, transport, runtime, callTimeout: 10_000 });
  const errors = heard(relay.events, "error");
  relay.handle("n", handle);
  const worker = relay.worker(options);
  await relay.dispatch("n", 1);
  const stop = new AbortController();
  const ended: { at?: number } = {};
  const run = worker.run({ signal: stop.signal }).then(() => void (ended.at = runtime.monotonic()));
  await runtime.advance(0);
  return {
    runtime,
    worker,
    stop,
    run,
    ended,
    errors,
    leave: () => void (gone = true),
  };
}

it("a run whose server is gone ends a second after its grace, though a call may take ten", async () => {
  const { runtime, stop, run, ended, errors, leave } = await createRig(
    () => new Promise(() => undefined),
    { grace: 2_000 },
  );
  leave();
  const from = runtime.monotonic();
  stop.abort();
  await runtime.advance(2_999);
  expect(ended.at).toBeUndefined();
  await runtime.advance(1);
  await run;
  expect(ended.at).toBe(from + 3_000);
  expect(errors.map(({ during }) => during)).toContain("stopping a worker");
  expect(runtime.sleepers).toBe(0);
});

it("what was settled before the stop and is not answered has the grace, and not a call's time anew", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { runtime, stop, run, ended, leave } = await createRig(() => promise, { grace: 2_000 });
  leave();
  const from = runtime.monotonic();
  stop.abort();
  await runtime.advance(1_500);
  resolve();
  await runtime.advance(1_500);
  await run;
  expect(ended.at).toBe(from + 3_000);
});

it("a stop with a grace ends within both graces and a second, also when the reserve under way never answers", async () => {
  const { runtime, worker, run, ended, leave } = await createRig(() => undefined, { grace: 300 });
  leave();
  const from = runtime.monotonic();
  const stopping = worker.stop({ grace: 200 });
  await runtime.advance(1_500);
  await Promise.all([stopping, run]);
  expect(ended.at).toBeLessThanOrEqual(from + 1_500);
  expect(runtime.sleepers).toBe(0);
});

it("with a grace of 0 what is given back still reaches a store that answers", async () => {
  const { runtime, stop, run, errors } = await createRig(() => new Promise(() => undefined), { grace: 0 });
  stop.abort();
  await runtime.advance(1);
  await run;
  expect(errors).toEqual([]);
});
