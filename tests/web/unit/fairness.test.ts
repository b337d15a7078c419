import { expect, it } from "vitest";
import { createRelay, memory } from "../../../mod.ts";
import { free } from "../support/kit.ts";

const jobs = {
  a: { schema: free<number>(), queue: "a" },
  b: { schema: free<number>(), queue: "b" },
  c: { schema: free<number>(), queue: "c" },
};

it("queues that have jobs take turns, however many of a worker's queues between them have none", async () => {
  const relay = createRelay({ jobs, transport: memory() });
  const handled: string[] = [];
  const done = Promise.withResolvers<void>();
  for (const name of ["a", "b", "c"] as const) {
    relay.handle(name, () => {
      if (handled.push(name) === 12) done.resolve();
    });
  }
  const count = Array.from({ length: 6 }, (_, n) => n);
  await relay.dispatchMany(count.map((payload) => ({ name: "a" as const, payload })));
  await relay.dispatchMany(count.map((payload) => ({ name: "c" as const, payload })));
  const worker = relay.worker({ concurrency: 1, prefetch: 0 });
  const running = worker.run();
  await done.promise;
  await worker.stop();
  await running;
  expect(handled.join("")).toBe("acacacacacac");
  await relay.close();
});
