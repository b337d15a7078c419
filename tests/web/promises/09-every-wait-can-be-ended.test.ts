import { expect } from "vitest";
import { fixed, type HandlerContext, retry } from "../../../mod.ts";
import { promise } from "../support/promises.ts";
import { listen, reasonOf, schema, type Stage, TASK } from "../support/stage.ts";

const HOUR = 3_600_000;

/** Waits until the signal aborts. */
function aborted({ signal }: HandlerContext): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}

/** A relay whose only handler is still running, and whose worker is the one that runs it. */
async function busy(stage: Stage, handler: (context: HandlerContext) => unknown, grace?: number) {
  const relay = stage.relay(TASK);
  const told = listen(relay);
  relay.handle("task", (_, context) => handler(context));
  const { id } = await relay.dispatch("task");
  const running = stage.run(relay, grace === undefined ? {} : { grace });
  await stage.runtime.settle();
  return { relay, told, id, running };
}

promise(9, "every wait can be ended: runs", (claim) => {
  claim("an abort lets no further job be reserved", async (stage) => {
    const { relay, running } = await busy(stage, aborted);
    running.abort();
    const calls = stage.line.count("reserve");
    await relay.dispatch("task");
    await stage.runtime.advance(60_000);
    await running.done;
    expect(stage.line.count("reserve")).toBe(calls);
    expect(await relay.info()).toMatchObject({ waiting: 1, reserved: 0 });
  });

  claim("handlers see their signal abort with the reason of the run's own", async (stage) => {
    const reason = new Error("the lights go out");
    const contexts: HandlerContext[] = [];
    const { running } = await busy(stage, (context) => {
      contexts.push(context);
      return aborted(context);
    });
    running.abort(reason);
    await running.done;
    expect(contexts[0]?.signal.reason).toBe(reason);
  });

  claim("a signal that is looked at only after the abort is aborted", async (stage) => {
    const barrier = stage.barrier();
    const seen: boolean[] = [];
    const { running } = await busy(stage, async (context) => {
      await barrier.opened;
      seen.push(context.signal.aborted);
    });
    running.abort();
    barrier.open();
    await running.done;
    expect(seen).toEqual([true]);
  });

  claim("W30: what finishes within the grace, 30 s by default, is settled", async (stage) => {
    const { relay, told, running } = await busy(stage, async (context) => {
      await aborted(context);
      await stage.runtime.sleep(29_999);
    });
    running.abort();
    await stage.runtime.advance(29_999);
    await running.done;
    expect(told.course).toEqual(["started", "completed"]);
    expect(await relay.info()).toMatchObject({ waiting: 0, reserved: 0 });
  });

  claim(
    "W42: a throw after the signal is a release and no failure: the job waits, and no attempt is spent",
    async (stage) => {
      const { relay, told, id, running } = await busy(stage, async (context) => {
        await aborted(context);
        throw new Error("interrupted");
      });
      running.abort();
      await running.done;
      expect(told.course).toEqual(["started", "released"]);
      expect(told.of("released")).toMatchObject([{ reason: "stop", attempt: 1 }]);
      expect(await relay.get("default", id)).toMatchObject({ channel: "waiting", attempts: 0, lost: 0 });
    },
  );

  claim("an explicit outcome after the signal stands", async (stage) => {
    const { relay, id, running } = await busy(stage, async (context) => {
      await aborted(context);
      return retry({ delay: 500 });
    });
    running.abort();
    await running.done;
    expect(await relay.get("default", id)).toMatchObject({ channel: "delayed", attempts: 1 });
  });

  claim(
    "what does not finish within the grace is told as stuck and released, its late result discarded",
    async (stage) => {
      const barrier = stage.barrier();
      const { relay, told, id, running } = await busy(stage, () => barrier.opened, 2_000);
      running.abort();
      await stage.runtime.advance(1_999);
      expect(running.over).toBe(false);
      await stage.runtime.advance(1);
      expect(running.over).toBe(true);
      expect(told.course).toEqual(["started", "stuck", "released"]);
      expect(told.of("stuck")).toMatchObject([{ reason: "stop", job: { id } }]);
      expect(await relay.get("default", id)).toMatchObject({ channel: "waiting", attempts: 0 });
      barrier.open();
      await stage.runtime.settle();
      expect(told.course).toEqual(["started", "stuck", "released"]);
    },
  );

  claim("what was fetched and not started goes back at once and in order", async (stage) => {
    const relay = stage.relay(TASK);
    const barrier = stage.barrier();
    const handled: unknown[] = [];
    let slow = false;
    relay.handle("task", async (payload) => {
      if (slow) await barrier.opened;
      handled.push(payload);
    });
    // Handlers that take no time make the worker fetch ahead.
    await relay.dispatchMany(Array.from({ length: 64 }, () => ({ name: "task" as const, payload: "fast" })));
    const running = stage.run(relay, { concurrency: 1 });
    await stage.runtime.settle();
    slow = true;
    handled.length = 0;
    await relay.dispatchMany([0, 1, 2, 3, 4, 5].map((payload) => ({ name: "task", payload })));
    await stage.runtime.settle();
    expect((await relay.info()).reserved).toBeGreaterThan(1);
    running.abort();
    await stage.runtime.settle();
    expect(await relay.info()).toMatchObject({ waiting: 5, reserved: 1 });
    barrier.open();
    await running.done;
    await relay.drain({ concurrency: 1 });
    expect(handled).toEqual([0, 1, 2, 3, 4, 5]);
  });

  claim("a job whose payload was still being checked is not started any more", async (stage) => {
    const barrier = stage.barrier();
    const relay = stage.relay({
      task: schema<unknown>(async (value) => {
        if (value === "slow") await barrier.opened;
        return { value };
      }),
    });
    const told = listen(relay);
    relay.handle("task", () => expect.unreachable());
    await stage.put({ payload: new TextEncoder().encode(`"slow"`) });
    const running = stage.run(relay);
    await stage.runtime.settle();
    running.abort();
    barrier.open();
    await running.done;
    expect(told.course).toEqual(["released"]);
    expect(await relay.info()).toMatchObject({ waiting: 1, failed: 0 });
  });

  claim("an abort during the pause of a worker that waits for its broker stops it at once", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => undefined);
    const running = stage.run(relay, { poll: HOUR });
    await stage.runtime.settle();
    stage.line.cut();
    await stage.runtime.advance(60_000);
    running.abort();
    await stage.runtime.settle();
    expect(running.over).toBe(true);
  });

  claim(
    "W05: an abort while jobs wait for a retry in 10 s stops at once, and the retry is not lost",
    async (stage) => {
      const relay = stage.relay(TASK);
      relay.handle("task", () => Promise.reject(new Error("no")));
      await relay.dispatch("task", null, { backoff: fixed(10_000) });
      const running = stage.run(relay, { poll: HOUR });
      await stage.runtime.settle();
      running.abort();
      await stage.runtime.settle();
      expect(running.over).toBe(true);
      expect(await relay.info()).toMatchObject({ delayed: 1 });
    },
  );

  claim(
    "a settlement that the broker does not answer holds a stop up for one callTimeout and is reported",
    async (stage) => {
      const relay = stage.relay(TASK, { callTimeout: 4_000 });
      const told = listen(relay);
      relay.handle("task", () => undefined);
      const hold = stage.barrier();
      stage.line.rig((verb) => verb === "settle" ? hold.opened : undefined);
      await relay.dispatch("task");
      const running = stage.run(relay);
      await stage.runtime.settle();
      running.abort();
      await stage.runtime.advance(3_999);
      expect(running.over).toBe(false);
      await stage.runtime.advance(1);
      expect(running.over).toBe(true);
      expect(told.of("error")).toMatchObject([{ during: "stopping a worker" }]);
    },
  );

  claim("W08: after a stop no timer, lease or call of the worker is alive", async (stage) => {
    const { running } = await busy(stage, aborted);
    running.abort();
    await running.done;
    expect(stage.line.pending).toEqual([]);
    const before = stage.line.count("extend");
    await stage.runtime.advance(stage.pace.linger);
    expect(stage.runtime.sleepers).toBe(0);
    await stage.runtime.advance(HOUR);
    expect(stage.line.count("extend")).toBe(before);
  });

  claim("an idle worker that stops leaves nothing either", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => undefined);
    const running = stage.run(relay, { poll: HOUR });
    await stage.runtime.settle();
    expect(stage.line.pending).toEqual(["reserve"]);
    running.abort();
    await running.done;
    await stage.runtime.advance(stage.pace.linger);
    expect(stage.line.pending).toEqual([]);
    expect(stage.runtime.sleepers).toBe(0);
  });

  claim("a run under a signal that is aborted already reserves nothing and resolves", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => expect.unreachable());
    await relay.dispatch("task");
    await relay.run({ signal: AbortSignal.abort() });
    expect(stage.line.count("reserve")).toBe(0);
  });

  claim("a run leaves no listener on the caller's signal", async (stage) => {
    const relay = stage.relay(TASK);
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...rest: Parameters<typeof addEventListener>) => {
      listeners++;
      Reflect.apply(addEventListener, signal, rest);
    };
    signal.removeEventListener = (...rest: Parameters<typeof removeEventListener>) => {
      listeners--;
      Reflect.apply(removeEventListener, signal, rest);
    };
    const worker = relay.worker();
    const done = worker.run({ signal });
    await worker.stop();
    await done;
    await relay.dispatch("task", null, { signal });
    expect(listeners).toBe(0);
  });

  claim("a dispatch under an aborted signal rejects with its reason and stores nothing", async (stage) => {
    const relay = stage.relay(TASK);
    const reason = new Error("changed my mind");
    expect(await reasonOf(relay.dispatch("task", null, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(await reasonOf(relay.dispatchMany([{ name: "task" }], { signal: AbortSignal.abort(reason) })))
      .toBe(reason);
    const controller = new AbortController();
    const dispatched = relay.dispatch("task", null, { signal: controller.signal });
    controller.abort(reason);
    expect(await reasonOf(dispatched)).toBe(reason);
    expect(stage.line.count("push")).toBe(0);
  });

  claim("an operator's call under an aborted signal rejects with its reason", async (stage) => {
    const relay = stage.relay(TASK);
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    const calls = [
      relay.info("default", { signal }),
      relay.queues({ signal }),
      relay.list("default", "waiting", { signal }),
      relay.get("default", "1", { signal }),
      relay.reload("default", "failed", "all", { signal }),
      relay.remove("default", "failed", "all", { signal }),
    ];
    expect(await Promise.all(calls.map(reasonOf))).toEqual(calls.map(() => reason));
  });
});
