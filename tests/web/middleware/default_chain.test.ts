/** The seeds' default chain: F141, W91. */
import { expect, test } from "vitest";
import { createRelay, type LogFields } from "../../../mod.ts";
import { defaultChain } from "../../../src/middleware/mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { thrown } from "../support/kit.ts";
import { ambient, counters, jobs } from "./support.ts";

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

test("options of the default chain that are absent or misspelt are refused", () => {
  const { storage } = counters();
  const action = "Cannot make the default chain of middlewares as";
  expect(thrown(() => defaultChain(undefined as never)).message).toBe(
    `${action} its options must be an object: current value is undefined`,
  );
  expect(thrown(() => defaultChain({ metrics: storage, store: ambient() } as never)).message).toBe(
    `${action} there is no option 'store': there are metrics, storage`,
  );
});
