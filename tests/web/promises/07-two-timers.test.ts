import { expect } from "vitest";
import {
  after,
  complete,
  deadLetter,
  fixed,
  type HandlerContext,
  type Outcome,
  type Relay,
  reschedule,
  retry,
} from "../../../mod.ts";
import { promise } from "../support/promises.ts";
import { listen, schema, type Stage, TASK, type Told } from "../support/stage.ts";

interface Play {
  readonly relay: Relay<typeof TASK>;
  readonly told: Told;
  readonly id: string;
}

/** Runs one job of that timeout under a running worker; abortGrace is 5 s. */
async function start(
  stage: Stage,
  handler: (context: HandlerContext) => unknown,
  { timeout = 10_000, maxAttempts = 1 } = {},
): Promise<Play> {
  const relay = stage.relay(TASK);
  const told = listen(relay);
  relay.handle("task", (_, context) => handler(context));
  const { id } = await relay.dispatch("task", null, {
    timeout,
    maxAttempts,
    backoff: fixed(60_000, { jitter: 0 }),
  });
  stage.run(relay);
  await stage.runtime.settle();
  return { relay, told, id };
}

/** Resolves when the signal aborts, and `ms` after that. */
async function obey({ runtime }: Stage, { signal }: HandlerContext, ms = 0): Promise<void> {
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  await runtime.sleep(ms);
}

promise(7, "two timers", (claim) => {
  claim("without a timeout a run may take a day", async (stage) => {
    const relay = stage.relay(TASK);
    const told = listen(relay);
    relay.handle("task", async (_, { signal }) => {
      await stage.runtime.sleep(86_400_000);
      expect(signal.aborted).toBe(false);
    });
    await relay.dispatch("task");
    stage.run(relay, { lease: 600_000, concurrency: 1 });
    await stage.runtime.advance(86_400_000);
    expect(told.course).toEqual(["started", "completed"]);
  });

  claim(
    "when the timeout is over the signal aborts, to the millisecond, with the timeout as its reason",
    async (stage) => {
      const contexts: HandlerContext[] = [];
      await start(stage, (context) => {
        contexts.push(context);
        return obey(stage, context);
      });
      await stage.runtime.advance(9_999);
      expect(contexts[0]?.signal.aborted).toBe(false);
      await stage.runtime.advance(1);
      expect(contexts[0]?.signal.reason).toMatchObject({
        name: "JobTimeout",
        code: "JOB_TIMEOUT",
        timeout: 10_000,
      });
    },
  );

  claim(
    "a run that throws at its signal failed as timed out; as the last one its job is dead in timeout",
    async (stage) => {
      const { relay, told, id } = await start(stage, async (context) => {
        await obey(stage, context);
        context.signal.throwIfAborted();
      });
      await stage.runtime.advance(10_000);
      expect(told.of("failed")).toMatchObject([
        { channel: "timeout", reason: "timeout", attempt: 1, error: { code: "JOB_TIMEOUT" } },
      ]);
      expect(await relay.get("default", id)).toMatchObject({
        channel: "timeout",
        attempts: 1,
        dead: { reason: "timeout" },
        lastError: { name: "JobTimeout" },
      });
      expect(await relay.info()).toMatchObject({ failed: 0, timeout: 1 });
    },
  );

  claim(
    "a run that timed out counts as failed, and the job runs again while attempts are left",
    async (stage) => {
      const attempts: number[] = [];
      const { relay, told } = await start(stage, async (context) => {
        attempts.push(context.attempt);
        if (context.attempt === 1) await obey(stage, context);
      }, { maxAttempts: 2 });
      await stage.runtime.advance(10_000);
      expect(told.of("retrying")).toMatchObject([{
        attempt: 1,
        delay: 60_000,
        error: { code: "JOB_TIMEOUT" },
      }]);
      expect(await relay.info()).toMatchObject({ delayed: 1, timeout: 0, failed: 0 });
      await stage.runtime.advance(60_001);
      expect(attempts).toEqual([1, 2]);
      expect(told.of("completed")).toHaveLength(1);
    },
  );

  claim("a timeout that was not the last attempt leaves 'failed' to the failure that is", async (stage) => {
    const { relay } = await start(stage, async (context) => {
      if (context.attempt === 1) return await obey(stage, context);
      throw new Error("at once");
    }, { maxAttempts: 2 });
    await stage.runtime.advance(80_000);
    expect(await relay.info()).toMatchObject({ failed: 1, timeout: 0 });
  });

  claim("a value that is no outcome does not save a run whose time is over", async (stage) => {
    const { told } = await start(stage, async (context) => {
      await obey(stage, context, 1_000);
      return "result";
    });
    await stage.runtime.advance(11_000);
    expect(told.of("failed")).toMatchObject([{ reason: "timeout" }]);
    expect(told.course).not.toContain("stuck");
  });

  const outcomes: readonly [string, () => Outcome, string, object][] = [
    ["complete()", () => complete(), "completed", {}],
    ["deadLetter()", () => deadLetter({ reason: "mine" }), "failed", { channel: "failed", reason: "mine" }],
    ["reschedule()", () => reschedule(after(50)), "rescheduled", { delay: 50 }],
  ];
  for (const [name, make, event, detail] of outcomes) {
    claim(`${name} within the abortGrace stands`, async (stage) => {
      let runs = 0;
      const { told } = await start(stage, async (context) => {
        if (++runs > 1) return;
        await obey(stage, context, 4_999);
        return make();
      });
      await stage.runtime.advance(14_999);
      expect(told.course.slice(0, 2)).toEqual(["started", event]);
      expect(told.of(event as "failed")).toMatchObject([detail]);
    });
  }

  claim("retry() within the abortGrace stands with its delay, and counts as timed out", async (stage) => {
    const { relay, told } = await start(stage, async (context) => {
      await obey(stage, context, 100);
      return retry({ delay: 7 });
    }, { maxAttempts: 2 });
    await stage.runtime.advance(10_100);
    expect(told.of("retrying")).toMatchObject([{ delay: 7, error: { code: "JOB_TIMEOUT" } }]);
    await stage.runtime.advance(20_000);
    expect(await relay.info()).toMatchObject({ timeout: 1, failed: 0 });
  });

  claim(
    "after the abortGrace, 5 s by default, the run is settled as timed out and told as stuck, once",
    async (stage) => {
      const barrier = stage.barrier();
      const { relay, told, id } = await start(stage, () => barrier.opened);
      await stage.runtime.advance(14_999);
      expect(await relay.info()).toMatchObject({ reserved: 1, timeout: 0 });
      expect(told.course).toEqual(["started"]);
      await stage.runtime.advance(1);
      expect(await relay.info()).toMatchObject({ reserved: 0, timeout: 1 });
      expect(told.course).toEqual(["started", "stuck", "failed"]);
      expect(told.of("stuck")).toMatchObject([{ reason: "timeout", attempt: 1, job: { id } }]);
    },
  );

  claim(
    "a handler that ignores its signal keeps its slot until it ends, and its late result is discarded",
    async (stage) => {
      const relay = stage.relay(TASK);
      const told = listen(relay);
      const barrier = stage.barrier();
      const handled: unknown[] = [];
      relay.handle("task", async (payload) => {
        if (payload !== "stuck") return void handled.push(payload);
        await barrier.opened;
        return complete();
      });
      await relay.dispatch("task", "stuck", { timeout: 1_000, maxAttempts: 1 });
      await relay.dispatch("task", "next");
      stage.run(relay, { concurrency: 1, abortGrace: 2_000 });
      await stage.runtime.advance(60_000);
      expect(await relay.info()).toMatchObject({ timeout: 1, waiting: 1, reserved: 0 });
      expect(handled).toEqual([]);
      barrier.open();
      await stage.runtime.settle();
      expect(handled).toEqual(["next"]);
      expect(told.of("completed")).toHaveLength(1);
      expect(told.course).not.toContain("stale");
      expect(await relay.info()).toMatchObject({ timeout: 1 });
    },
  );

  claim("what a stuck handler throws at last is discarded too", async (stage) => {
    const barrier = stage.barrier();
    const { relay, told } = await start(stage, async () => {
      await barrier.opened;
      throw new Error("too late");
    }, { maxAttempts: 2 });
    await stage.runtime.advance(15_000);
    expect(told.of("retrying")).toHaveLength(1);
    barrier.open();
    await stage.runtime.settle();
    expect(told.course).toEqual(["started", "stuck", "retrying"]);
    expect(await relay.info()).toMatchObject({ delayed: 1 });
  });

  claim("the timeout bounds all listeners of a job together", async (stage) => {
    const relay = stage.relay(TASK);
    const told = listen(relay);
    const ran: string[] = [];
    const step = (name: string) => async (_: unknown, { signal }: HandlerContext) => {
      ran.push(name);
      await stage.runtime.sleep(6_000, signal);
    };
    relay.handle("task", [step("first"), { handle: step("second") }, step("third")]);
    await relay.dispatch("task", null, { timeout: 10_000, maxAttempts: 1 });
    stage.run(relay);
    await stage.runtime.advance(10_000);
    expect(ran).toEqual(["first", "second"]);
    expect(told.of("failed")).toMatchObject([{ reason: "timeout" }]);
  });

  claim("the timeout is that of one run: each has the whole of it, and waiting takes none", async (stage) => {
    const relay = stage.relay(TASK);
    const told = listen(relay);
    relay.handle("task", async (_, { attempt, signal }) => {
      await stage.runtime.sleep(9_000, signal);
      if (attempt < 3) throw new Error("once more");
    });
    await relay.dispatch("task", null, { timeout: 10_000, delay: 60_000, backoff: fixed(30_000) });
    stage.run(relay);
    await stage.runtime.advance(300_000);
    expect(told.of("completed")).toMatchObject([{ attempt: 3, duration: 9_000 }]);
  });

  claim("a timeout longer than the lease is reached, as the lease renews itself", async (stage) => {
    const { told } = await start(stage, (context) => obey(stage, context), { timeout: 120_000 });
    await stage.runtime.advance(119_999);
    expect(told.course).toEqual(["started"]);
    await stage.runtime.advance(1);
    expect(told.of("failed")).toMatchObject([{ reason: "timeout" }]);
    expect(told.course).not.toContain("lost");
  });

  for (const [when, abortGrace] of [["before", 5_000], ["after", 1_000]] as const) {
    claim(
      `no further listener is called once the timeout is over, ${when} the run is given up`,
      async (stage) => {
        const relay = stage.relay(TASK);
        const ran: string[] = [];
        const step = (name: string) => async () => {
          ran.push(name);
          await stage.runtime.sleep(12_000);
          return complete();
        };
        relay.handle("task", [step("first"), step("second")]);
        await relay.dispatch("task", null, { timeout: 10_000, maxAttempts: 1 });
        stage.run(relay, { abortGrace });
        await stage.runtime.advance(60_000);
        expect(ran).toEqual(["first"]);
        expect(await relay.info()).toMatchObject({ timeout: 1, reserved: 0 });
      },
    );
  }

  claim("the timeout bounds a schema that never answers, too", async (stage) => {
    const barrier = stage.barrier();
    let asked = 0;
    const slow = schema<unknown>((value) =>
      asked++ === 0 ? { value } : barrier.opened.then(() => ({ value }))
    );
    const relay = stage.relay({ task: { schema: slow, timeout: 10_000, maxAttempts: 1 } });
    const runs: unknown[] = [];
    relay.handle("task", (payload) => void runs.push(payload));
    await relay.dispatch("task", 1);
    stage.run(relay);
    await stage.runtime.advance(15_000);
    expect(await relay.info()).toMatchObject({ timeout: 1, reserved: 0 });
    barrier.open();
    await stage.runtime.settle();
    expect(runs).toEqual([]);
  });

  claim("a drain does not wait for a handler that its run was taken from", async (stage) => {
    const barrier = stage.barrier();
    const relay = stage.relay(TASK);
    relay.handle("task", () => barrier.opened);
    await relay.dispatch("task", null, { timeout: 1_000, maxAttempts: 1 });
    expect(await stage.within(relay.drain({ abortGrace: 1_000 }), 3_000)).toMatchObject({ failed: 1 });
  });
});
