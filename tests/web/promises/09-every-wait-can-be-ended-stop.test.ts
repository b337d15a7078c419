import { expect } from "vitest";
import { promise } from "../support/promises.ts";
import { listen, reasonOf, schema, TASK } from "../support/stage.ts";

const HOUR = 3_600_000;

promise(9, "every wait can be ended: stop and close", (claim) => {
  claim(
    "worker.stop() lets running jobs finish first, however long they take, and aborts nothing",
    async (stage) => {
      const relay = stage.relay(TASK);
      const told = listen(relay);
      relay.handle("task", async (_, { signal }) => {
        await stage.runtime.sleep(HOUR);
        expect(signal.aborted).toBe(false);
      });
      await relay.dispatch("task");
      const running = stage.run(relay, { concurrency: 1 });
      await stage.runtime.settle();
      await relay.dispatch("task", "next");
      const stopped = running.worker.stop();
      await stage.runtime.advance(HOUR);
      await stopped;
      expect(running.over).toBe(true);
      expect(told.course).toEqual(["started", "completed"]);
      expect(await relay.info()).toMatchObject({ waiting: 1, reserved: 0 });
    },
  );

  claim("worker.stop({ grace }) aborts signals after that time", async (stage) => {
    const relay = stage.relay(TASK);
    const told = listen(relay);
    const start = stage.runtime.now();
    relay.handle("task", async (_, { signal }) => {
      await stage.runtime.sleep(HOUR, signal).catch(() => undefined);
      return stage.runtime.now() - start;
    });
    await relay.dispatch("task");
    const running = stage.run(relay);
    await stage.runtime.settle();
    void running.worker.stop({ grace: 1_000 });
    await stage.runtime.advance(999);
    expect(running.over).toBe(false);
    await stage.runtime.advance(1);
    expect(running.over).toBe(true);
    expect(told.of("completed")).toMatchObject([{ duration: 1_000 }]);
  });

  claim("stop in the tick of run, and abort in the tick of run, both resolve it", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => expect.unreachable());
    const worker = relay.worker();
    const first = worker.run();
    await Promise.all([first, worker.stop()]);
    const controller = new AbortController();
    const second = worker.run({ signal: controller.signal });
    controller.abort();
    await second;
    await stage.runtime.settle();
    expect(stage.line.pending).toEqual([]);
  });

  claim("stop and abort are idempotent, also together, and after the end", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => undefined);
    const running = stage.run(relay);
    await stage.runtime.settle();
    running.abort();
    await Promise.all([running.worker.stop(), running.worker.stop({ grace: 0 }), running.done]);
    running.abort();
    await running.worker.stop();
    await relay.worker().stop();
    expect(running.over).toBe(true);
  });

  claim("a second run while one is running rejects, and the first goes on", async (stage) => {
    const relay = stage.relay(TASK);
    const handled: unknown[] = [];
    relay.handle("task", (payload) => void handled.push(payload));
    const running = stage.run(relay);
    await expect(running.worker.run()).rejects.toThrow("running already");
    const controller = new AbortController();
    const own = relay.run({ signal: controller.signal });
    await expect(relay.run()).rejects.toThrow("running already");
    await relay.dispatch("task", 1);
    await stage.runtime.settle();
    expect(handled).toEqual([1]);
    controller.abort();
    await own;
    expect(running.over).toBe(false);
  });

  claim("a stopped worker can run again, and so can a relay", async (stage) => {
    const relay = stage.relay(TASK);
    const handled: unknown[] = [];
    relay.handle("task", (payload) => void handled.push(payload));
    const worker = relay.worker();
    for (const round of [1, 2, 3]) {
      const done = worker.run();
      await relay.dispatch("task", round);
      await stage.runtime.settle();
      await worker.stop();
      await done;
    }
    for (const round of [4, 5]) {
      const controller = new AbortController();
      const done = relay.run({ signal: controller.signal });
      await relay.dispatch("task", round);
      await stage.runtime.settle();
      controller.abort();
      await done;
    }
    expect(handled).toEqual([1, 2, 3, 4, 5]);
  });

  claim("a run with wrong options rejects, and the next one is free", async (stage) => {
    const relay = stage.relay(TASK);
    await expect(relay.run({ concurrency: 0 })).rejects.toThrow(
      "'concurrency' must be a whole number from 1",
    );
    await expect(relay.run({ pol: 1 } as object)).rejects.toThrow("no option 'pol'");
    await relay.run({ signal: AbortSignal.abort() });
    expect(stage.line.count("reserve")).toBe(0);
  });

  claim("a drain ends with its signal, its limit and its budget", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => stage.runtime.sleep(400));
    for (let i = 0; i < 10; i++) await relay.dispatch("task");
    expect(await stage.within(relay.drain({ limit: 2 }), 1_000)).toMatchObject({ completed: 2 });
    expect(await stage.within(relay.drain({ budget: 1_000, concurrency: 1 }), 2_000)).toMatchObject({
      completed: 3,
    });
    const controller = new AbortController();
    const drained = relay.drain({ signal: controller.signal, concurrency: 1 });
    await stage.runtime.settle();
    controller.abort();
    expect(await stage.within(drained, 1_000)).toMatchObject({ completed: 1 });
    expect(await relay.info()).toMatchObject({ waiting: 4, reserved: 0 });
  });

  claim(
    "close lets running handlers finish and dispatch, refuses what comes later, and is idempotent",
    async (stage) => {
      const relay = stage.relay(TASK);
      const told = listen(relay);
      const barrier = stage.barrier();
      relay.handle("task", async () => {
        await barrier.opened;
        await relay.dispatch("task", null, { delay: HOUR });
      });
      await relay.dispatch("task");
      const running = stage.run(relay);
      await stage.runtime.settle();
      const closing = Promise.all([relay.close(), relay.close(), relay[Symbol.asyncDispose]()]);
      await stage.runtime.settle();
      expect(running.over).toBe(false);
      barrier.open();
      await closing;
      expect(running.over).toBe(true);
      expect(told.of("completed")).toHaveLength(1);
      const closed = { code: "RELAY_CLOSED" };
      expect(await reasonOf(relay.dispatch("task"))).toMatchObject(closed);
      expect(await reasonOf(relay.dispatchMany([{ name: "task" }]))).toMatchObject(closed);
      expect(await reasonOf(relay.info())).toMatchObject(closed);
      expect(await reasonOf(relay.run())).toMatchObject(closed);
      expect(await reasonOf(relay.drain())).toMatchObject(closed);
      expect(await reasonOf(running.worker.run())).toMatchObject(closed);
      expect(() => relay.worker()).toThrow(expect.objectContaining(closed));
      await relay.close();
    },
  );

  claim("close waits for dispatches under way", async (stage) => {
    const relay = stage.relay(TASK);
    const dispatched = relay.dispatch("task");
    await Promise.all([relay.close(), dispatched]);
    expect((await dispatched).status).toBe("stored");
  });

  claim("close waits for dispatches whose schema still waits, and a signal ends those", async (stage) => {
    const barrier = stage.barrier();
    const slow = schema<unknown>((value) => barrier.opened.then(() => ({ value })));
    const relay = stage.relay({ task: slow });
    const enough = new AbortController();
    const stored = relay.dispatch("task", 1);
    const ended = [
      reasonOf(relay.dispatch("task", 2, { signal: enough.signal })),
      reasonOf(relay.dispatchMany([{ name: "task", payload: 3 }], { signal: enough.signal })),
    ];
    const closing = relay.close();
    await stage.runtime.settle();
    enough.abort("enough");
    expect(await Promise.all(ended)).toEqual(["enough", "enough"]);
    expect(stage.line.disposed).toBe(false);
    barrier.open();
    await closing;
    expect(await stored).toMatchObject({ status: "stored" });
    expect(stage.line.count("push")).toBe(1);
  });

  claim(
    "a wrong grace is refused and does not spoil the close; a second close may hurry the first",
    async (stage) => {
      const relay = stage.relay(TASK);
      const barrier = stage.barrier();
      relay.handle("task", () => barrier.opened);
      await relay.dispatch("task");
      stage.run(relay, { grace: 1_000 });
      await stage.runtime.settle();
      await expect(relay.close({ grace: -1 })).rejects.toThrow("'grace' must be milliseconds");
      const closing = relay.close();
      await stage.runtime.advance(60_000);
      const hurried = relay.close({ grace: 500 });
      await stage.runtime.advance(1_500);
      await Promise.all([closing, hurried]);
      expect(stage.line.disposed).toBe(true);
    },
  );

  claim("the last relay that closes closes the transport", async (stage) => {
    const first = stage.relay(TASK);
    const second = stage.relay(TASK);
    await first.close();
    expect(stage.line.disposed).toBe(false);
    await second.dispatch("task");
    await second.close();
    expect(stage.line.disposed).toBe(true);
  });

  claim("a transport that is closed under a worker ends its run with TransportClosed", async (stage) => {
    const relay = stage.relay(TASK, { transport: await stage.client() });
    const { TransportClosed } = await import("../../../mod.ts");
    relay.handle("task", () => undefined);
    const running = stage.run(relay, { poll: 1_000 });
    const ended = reasonOf(running.done);
    await stage.runtime.settle();
    Object.assign(relay.transport, { reserve: () => Promise.reject(new TransportClosed("test")) });
    await stage.runtime.advance(1_000);
    expect(await ended).toBeInstanceOf(TransportClosed);
    await running.worker.stop();
  });
});
