import { expect, it } from "vitest";
import { createRelay, memory, type Transport } from "../../../mod.ts";
import { createFakeRuntime } from "../../../src/testing/fake_runtime.ts";

const anything = {
  "~standard": { version: 1, vendor: "here", validate: (value: unknown) => ({ value }) },
} as const;

/** A transport whose next reserve hears neither signal nor deadline, and answers only when it is told to. */
function createDeaf(inner: Transport): { transport: Transport; answer: () => void; asked: Promise<void> } {
  const deaf = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  let first = true;
  const transport: Transport = {
    ...inner,
    async reserve(queues, { signal, ...options }) {
      if (!first) return await inner.reserve(queues, { signal, ...options });
      first = false;
      asked.resolve();
      await deaf.promise;
      return await inner.reserve(queues, { ...options, wait: 0 });
    },
  };
  return { transport, answer: deaf.resolve, asked: asked.promise };
}

function createRig() {
  const runtime = createFakeRuntime();
  const { transport, answer, asked } = createDeaf(memory({ runtime }));
  const relay = createRelay({ jobs: { n: anything }, transport, runtime, callTimeout: 1_000 });
  const handled: unknown[] = [];
  relay.handle("n", (value) => void handled.push(value));
  return { runtime, relay, answer, asked, handled };
}

it("a reserve that never answers is given up, and the worker asks again", async () => {
  const { runtime, relay, asked, handled } = createRig();
  const states: string[] = [];
  relay.events.addEventListener("connection", ({ detail }) => states.push(detail.state));
  const worker = relay.worker({ poll: 500 });
  const run = worker.run();
  await asked;
  await relay.dispatch("n", 1);
  await runtime.advance(2_400);
  expect(handled).toEqual([]);
  await runtime.advance(400);
  expect(handled).toEqual([1]);
  expect(states).toEqual(["down", "up"]);
  await worker.stop();
  await run;
});

it("a worker stops within a call's time though its reserve never answers, and gives back what it brings after that", async () => {
  const { runtime, relay, answer, asked, handled } = createRig();
  const worker = relay.worker();
  const run = worker.run();
  await asked;
  const stopping = worker.stop();
  await runtime.advance(1_001);
  await Promise.all([stopping, run]);
  expect(runtime.sleepers).toBe(0);
  await relay.dispatch("n", 2);
  answer();
  await runtime.advance(0);
  expect(handled).toEqual([]);
  expect(await relay.info()).toMatchObject({ waiting: 1, reserved: 0 });
});
