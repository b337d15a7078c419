import { expect } from "vitest";
import {
  after,
  type Backoff,
  exponential,
  fixed,
  jittered,
  type JobDefinition,
  linear,
  reschedule,
  retry,
  type StandardSchema,
  type WorkerOptions,
} from "../../../mod.ts";
import { promise } from "../support/promises.ts";
import { any, listen, type Stage, TASK } from "../support/stage.ts";

/** A die that always shows the same. */
function loaded(stage: Stage, random: number) {
  return { runtime: { ...stage.runtime, random: () => random } };
}

/** The delays of a job that fails each time, as they are told. */
async function delaysOf(
  stage: Stage,
  random: number,
  runs: number,
  worker: WorkerOptions = {},
): Promise<readonly number[]> {
  const relay = stage.relay(TASK, loaded(stage, random));
  const told = listen(relay);
  relay.handle("task", () => Promise.reject(new Error("no")));
  await relay.dispatch("task", null, { maxAttempts: runs + 1 });
  for (let i = 0; i < runs; i++) {
    await relay.drain(worker);
    await stage.runtime.advance(3_600_000);
  }
  return told.of("retrying").map(({ delay }) => delay);
}

/** How many runs a job gets that fails each time. */
async function runsOf(
  stage: Stage,
  definition: Partial<JobDefinition>,
  dispatch: { readonly maxAttempts?: number },
  worker: WorkerOptions,
): Promise<number> {
  const relay = stage.relay({ task: { schema: any<unknown>(), ...definition } });
  let runs = 0;
  relay.handle("task", () => {
    runs++;
    throw new Error("no");
  });
  await relay.dispatch("task", null, dispatch);
  await relay.drain({ backoff: fixed(0), ...worker });
  expect(await relay.info()).toMatchObject({ failed: 1, waiting: 0, delayed: 0 });
  return runs;
}

const job = (options: Partial<JobDefinition>): { readonly task: JobDefinition<StandardSchema<unknown>> } => ({
  task: { schema: any<unknown>(), ...options },
});

promise(6, "one meaning of n", (claim) => {
  for (const n of [1, 2, 5]) {
    claim(`maxAttempts ${n} means ${n} runs in all, numbered from 1`, async (stage) => {
      const relay = stage.relay(TASK);
      const attempts: number[] = [];
      relay.handle("task", (_, { attempt, job: { attempts: before } }) => {
        expect(before).toBe(attempt - 1);
        attempts.push(attempt);
        throw new Error("no");
      });
      await relay.dispatch("task", null, { maxAttempts: n, backoff: fixed(0) });
      await relay.drain();
      expect(attempts).toEqual(Array.from({ length: n }, (_, i) => i + 1));
    });
  }

  claim("by default there are three runs", async (stage) => {
    expect(await runsOf(stage, {}, {}, {})).toBe(3);
  });

  claim("a job that succeeds at its last attempt is done", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", (_, { attempt }) => attempt < 3 ? retry({ delay: 0 }) : "done");
    await relay.dispatch("task");
    expect(await relay.drain()).toMatchObject({ retried: 2, completed: 1, failed: 0 });
  });

  claim("by default the backoff is 5 s, doubling, to at most 10 min", async (stage) => {
    const expected = [5, 10, 20, 40, 80, 160, 320, 600, 600].map((seconds) => seconds * 1_000);
    expect(await delaysOf(stage, 0, 9)).toEqual(expected);
  });

  claim("the jitter adds up to 10 % and takes nothing away", async (stage) => {
    const most = 1 - 2 ** -32;
    expect(await delaysOf(stage, most, 9)).toEqual(
      [5.5, 11, 22, 44, 88, 176, 352, 660, 660].map((s) => s * 1_000),
    );
    expect(await delaysOf(stage, 0.5, 1)).toEqual([5_250]);
  });

  claim("a retry runs after exactly the delay that was told", async (stage) => {
    const relay = stage.relay(TASK);
    const told = listen(relay);
    const runs: number[] = [];
    relay.handle("task", () => {
      runs.push(stage.runtime.now());
      throw new Error("no");
    });
    stage.run(relay);
    await relay.dispatch("task");
    await stage.runtime.advance(60_000);
    const [first = 0, second = 0, third = 0] = runs;
    expect([second - first, third - second]).toEqual(told.of("retrying").map(({ delay }) => delay));
    expect(runs).toHaveLength(3);
  });

  claim(
    "jittered() starts at its base and multiplies the last delay by 2 and by 0.5 to 1.5",
    async (stage) => {
      const delays = await delaysOf(stage, 0.25, 4, { backoff: jittered(1_000) });
      expect(delays).toEqual([1_000, 1_500, 2_250, 3_375]);
    },
  );

  claim("jittered() is never below its base and never over its maximum", async (stage) => {
    expect(await delaysOf(stage, 0, 4, { backoff: jittered(1_000) })).toEqual([1_000, 1_000, 1_000, 1_000]);
    const most = await delaysOf(stage, 1 - 2 ** -32, 4, { backoff: jittered(1_000, { max: 5_000 }) });
    expect(most).toEqual([1_000, 3_000, 5_000, 5_000]);
  });

  claim(
    "linear() adds its step, fixed() waits the same, exponential() begins at the base that it is given",
    async (stage) => {
      expect(await delaysOf(stage, 0, 3, { backoff: linear(100) })).toEqual([100, 200, 300]);
      expect(await delaysOf(stage, 0, 3, { backoff: fixed(100) })).toEqual([100, 100, 100]);
      expect(await delaysOf(stage, 0, 3, { backoff: exponential(100) })).toEqual([100, 200, 400]);
    },
  );

  for (
    const [who, dispatch, definition, worker, runs] of [
      ["the dispatch over the definition", { maxAttempts: 2 }, { maxAttempts: 4 }, { maxRetry: 5 }, 2],
      ["the definition over the worker", {}, { maxAttempts: 4 }, { maxRetry: 5 }, 4],
      ["the worker over the default", {}, {}, { maxRetry: 5 }, 5],
    ] as const
  ) {
    claim(`W37: maxAttempts: ${who}`, async (stage) => {
      expect(await runsOf(stage, definition, dispatch, worker)).toBe(runs);
    });
  }

  for (
    const [who, outcome, dispatch, definition, worker, delay] of [
      ["the outcome over the dispatch", 10, 20, 30, 40, 10],
      ["an outcome of 0 too", 0, 20, 30, 40, 0],
      ["the dispatch over the definition", undefined, 20, 30, 40, 20],
      ["the definition over the worker", undefined, undefined, 30, 40, 30],
      ["the worker over the default", undefined, undefined, undefined, 40, 40],
    ] as const
  ) {
    claim(`backoff: ${who}`, async (stage) => {
      const policy = (ms: number | undefined) =>
        ms === undefined ? {} : { backoff: fixed(ms, { jitter: 0 }) };
      const relay = stage.relay(job(policy(definition)));
      const told = listen(relay);
      relay.handle("task", () => retry(outcome === undefined ? {} : { delay: outcome }));
      await relay.dispatch("task", null, policy(dispatch));
      await relay.drain({ ...policy(worker), limit: 1 });
      expect(told.of("retrying")).toMatchObject([{ delay }]);
    });
  }

  for (
    const [who, dispatch, definition, timeout] of [
      ["the dispatch over the definition", 20, 30, 20],
      ["the definition", undefined, 30, 30],
    ] as const
  ) {
    claim(`timeout: ${who}`, async (stage) => {
      const relay = stage.relay(job({ timeout: definition }));
      const start = stage.runtime.now();
      let aborted = 0;
      relay.handle("task", (_, { signal }) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => resolve(aborted = stage.runtime.now() - start));
        }));
      await relay.dispatch("task", null, dispatch === undefined ? {} : { timeout: dispatch });
      stage.run(relay);
      await stage.runtime.advance(1_000);
      expect(aborted).toBe(timeout);
    });
  }

  claim("only what a dispatch says travels with a job", async (stage) => {
    const relay = stage.relay(job({ maxAttempts: 4, timeout: 9_000, backoff: fixed(1) }));
    const bare = await relay.dispatch("task");
    const backoff = linear(7, { max: 70, jitter: 0.5 });
    const full = await relay.dispatch("task", null, { maxAttempts: 2, timeout: 5_000, backoff });
    const [plain] = await stage.line.get("default", [bare.id], { deadline: 1_000 });
    expect(plain?.meta).toBe("");
    expect(await relay.get("default", full.id)).toMatchObject({
      maxAttempts: 2,
      timeout: 5_000,
      backoff: { type: "linear", base: 7, max: 70, jitter: 0.5 },
    });
  });

  claim("a job without a record keeps its time and its request id, whatever becomes of it", async (stage) => {
    const relay = stage.relay(job({ maxAttempts: 2, backoff: fixed(1_000, { jitter: 0 }) }));
    const seen: { readonly createdAt: number; readonly requestId: string }[] = [];
    relay.handle("task", (_, { job: { createdAt, requestId } }) => {
      seen.push({ createdAt, requestId });
      throw new Error("no");
    });
    const { id } = await relay.dispatch("task");
    const { createdAt = NaN, due } = await relay.get("default", id) ?? {};
    expect(createdAt).toBe(due);
    await stage.runtime.advance(5_000);
    await relay.drain();
    await stage.runtime.advance(1_000);
    await relay.drain();
    const dead = { channel: "failed", attempts: 2, createdAt, requestId: id };
    expect(await relay.get("default", id)).toMatchObject(dead);
    await relay.reload("default", "failed", "all", { attempts: "reset" });
    await relay.drain();
    expect(seen).toEqual(Array.from({ length: 3 }, () => ({ createdAt, requestId: id })));
  });

  claim(
    "a deploy changes jobs that wait: definition and worker options are those of where the job runs",
    async (stage) => {
      const before = stage.relay(job({ maxAttempts: 9, backoff: fixed(9_000) }));
      const { id } = await before.dispatch("task");
      await before.close();
      const now = stage.relay(job({ maxAttempts: 2, backoff: fixed(1_000, { jitter: 0 }) }), {
        transport: await stage.client(),
      });
      const told = listen(now);
      now.handle("task", () => Promise.reject(new Error("no")));
      await now.drain();
      await stage.runtime.advance(1_000);
      await now.drain();
      expect(told.of("retrying")).toMatchObject([{ delay: 1_000 }]);
      expect(await now.get("default", id)).toMatchObject({ channel: "failed", attempts: 2 });
    },
  );

  claim("a backoff that is a function is refused at dispatch, and nothing is stored", async (stage) => {
    const relay = stage.relay(TASK);
    const backoff = (() => 1) as unknown as ReturnType<typeof fixed>;
    await expect(relay.dispatch("task", null, { backoff })).rejects.toThrow(
      "'backoff' must be a policy that can travel",
    );
    expect(await relay.info()).toMatchObject({ waiting: 0 });
  });

  claim("a function may decide where the job runs, by attempts, error and last delay", async (stage) => {
    const seen: unknown[] = [];
    const backoff: Backoff = ({ attempts, error, lastDelay }) => {
      seen.push([attempts, (error as Error).message, lastDelay]);
      return attempts * 10;
    };
    expect(await delaysOf(stage, 0, 3, { backoff })).toEqual([10, 20, 30]);
    expect(seen).toEqual([[1, "no", 0], [2, "no", 10], [3, "no", 20]]);
  });

  for (
    const [what, backoff] of [
      ["throws", () => {
        throw new Error("my backoff");
      }],
      ["gives no number", () => Number.NaN],
    ] as const
  ) {
    claim(`a backoff function that ${what} costs no run: the default stands in for it`, async (stage) => {
      expect(await delaysOf(stage, 0, 2, { backoff })).toEqual([5_000, 10_000]);
    });
  }

  claim("a policy that another program wrote wrongly costs no run either", async (stage) => {
    const relay = stage.relay(TASK, loaded(stage, 0));
    const told = listen(relay);
    relay.handle("task", () => Promise.reject(new Error("no")));
    const wrong = [{ type: "fixed", base: "soon" }, { type: "sometimes" }, "fixed", null, {
      type: "linear",
      base: -1,
    }];
    for (const [id, backoff] of wrong.entries()) {
      await stage.put({ id: String(id), meta: JSON.stringify({ v: 1, backoff }) });
    }
    await relay.drain();
    expect(told.of("retrying").map(({ delay }) => delay)).toEqual(wrong.map(() => 5_000));
    expect(await relay.info()).toMatchObject({ delayed: wrong.length, reserved: 0 });
  });

  claim("a reschedule does not count, and begins a new cycle of attempts and of backoff", async (stage) => {
    const relay = stage.relay(TASK);
    const told = listen(relay);
    const attempts: number[] = [];
    relay.handle("task", (_, { attempt }) => {
      attempts.push(attempt);
      if (attempts.length === 3) return reschedule(after(0));
      throw new Error("no");
    });
    const { id } = await relay.dispatch("task", null, { backoff: exponential(1_000, { jitter: 0 }) });
    for (let i = 0; i < 6; i++) {
      await relay.drain();
      await stage.runtime.advance(60_000);
    }
    expect(attempts).toEqual([1, 2, 3, 1, 2, 3]);
    expect(told.of("retrying").map(({ delay }) => delay)).toEqual([1_000, 2_000, 1_000, 2_000]);
    expect(told.of("rescheduled")).toMatchObject([{ attempt: 3, delay: 0 }]);
    expect(await relay.get("default", id)).toMatchObject({ channel: "failed", attempts: 3 });
  });
});
