import { expect } from "vitest";
import { any, TASK } from "../support/stage.ts";
import { promise } from "../support/promises.ts";

promise(2, "published before consumed", (claim) => {
  claim(
    "jobs dispatched before any worker ever ran are handled when one comes, in the order of dispatch",
    async (stage) => {
      const producer = stage.relay(TASK);
      for (let i = 0; i < 25; i++) await producer.dispatch("task", i);
      await producer.close();
      await stage.runtime.advance(86_400_000);
      const consumer = stage.relay(TASK, { transport: await stage.client() });
      const handled: unknown[] = [];
      consumer.handle("task", (payload) => void handled.push(payload));
      stage.run(consumer, { concurrency: 1 });
      await stage.runtime.settle();
      expect(handled).toEqual(Array.from({ length: 25 }, (_, i) => i));
    },
  );

  claim("jobs of a queue that no worker has ever consumed wait in it", async (stage) => {
    const jobs = { ...TASK, paid: { schema: any<number>(), queue: "billing" } };
    const relay = stage.relay(jobs);
    const handled: unknown[] = [];
    relay.handle("task", (payload) => void handled.push(payload));
    stage.run(relay);
    await stage.runtime.settle();
    await relay.dispatch("paid", 7);
    await stage.runtime.advance(10_000);
    expect(await relay.info("billing")).toMatchObject({ waiting: 1, reserved: 0 });
    expect(handled).toEqual([]);
    relay.handle("paid", (payload) => void handled.push(payload));
    await stage.runtime.settle();
    expect(handled).toEqual([7]);
  });

  claim(
    "a handler that is registered while its worker runs gets what waits at once, not at the next poll",
    async (stage) => {
      const relay = stage.relay(TASK);
      await relay.dispatch("task", "early");
      stage.run(relay, { poll: 3_600_000 });
      await stage.runtime.settle();
      const handled: unknown[] = [];
      relay.handle("task", (payload) => void handled.push(payload));
      await stage.runtime.settle();
      expect(handled).toEqual(["early"]);
    },
  );

  claim(
    "F076: a worker that finds nothing asks again after its poll, 1 s by default, where a store may keep things from it",
    async (stage) => {
      const { shared, clock } = stage.line.features;
      const relay = stage.relay(TASK);
      relay.handle("task", () => undefined);
      const controller = new AbortController();
      const done = relay.run({ signal: controller.signal });
      await stage.runtime.advance(10_500);
      // A store of this process alone tells of everything by itself.
      expect(stage.line.count("reserve")).toBe(shared || clock !== "process" ? 11 : 2);
      controller.abort();
      await done;
    },
  );

  claim("a waiting worker starts what is dispatched without waiting for its poll", async (stage) => {
    const relay = stage.relay(TASK);
    const handled: unknown[] = [];
    relay.handle("task", (payload) => void handled.push(payload));
    stage.run(relay, { poll: 3_600_000 });
    await stage.runtime.settle();
    await relay.dispatch("task", "late");
    await stage.runtime.settle();
    expect(handled).toEqual(["late"]);
  });

  claim(
    "jobs dispatched while a topic has no group go whole to the first, and later groups begin with the next",
    async (stage) => {
      const jobs = { paid: { schema: any<number>(), topic: true } };
      const producer = stage.relay(jobs);
      for (let i = 0; i < 25; i++) await producer.dispatch("paid", i, i === 24 ? { delay: 5_000 } : {});
      await stage.runtime.advance(1_000);
      const handled: Record<string, number[]> = { first: [], second: [] };
      for (const group of ["first", "second"]) {
        const consumer = stage.relay(jobs, { transport: await stage.client() });
        consumer.handle("paid", (n) => void handled[group]?.push(n), { group });
        stage.run(consumer, { concurrency: 1 });
        await stage.runtime.settle();
      }
      await producer.dispatch("paid", 25);
      await stage.runtime.advance(10_000);
      expect(handled).toEqual({ first: [...Array.from({ length: 24 }, (_, i) => i), 25, 24], second: [25] });
    },
  );
});
