import { expect } from "vitest";
import type { HandlerContext, ReserveOptions } from "../../../mod.ts";
import { promise } from "../support/promises.ts";
import { listen, type Stage, TASK } from "../support/stage.ts";

const HOUR = 3_600_000;

/** Loses the job's lease so many times, as workers do that die with it in hand. */
async function lose({ line, runtime }: Stage, times: number, lease = 1_000): Promise<void> {
  for (let i = 0; i < times; i++) {
    const asked = { limit: 1, slots: 1, lease, wait: 0, deadline: 10_000 };
    expect(await line.reserve(["default"], asked)).toHaveLength(1);
    await runtime.advance(lease);
  }
}

promise(4, "leases renew themselves", (claim) => {
  claim(
    "W41: a handler runs for an hour with a lease of 30 s, once, while another worker is idle",
    async (stage) => {
      const relay = stage.relay(TASK);
      const other = stage.relay(TASK, { transport: await stage.client() });
      const told = listen(relay);
      const runs: string[] = [];
      relay.handle("task", async () => {
        runs.push("first");
        await stage.runtime.sleep(HOUR);
      });
      other.handle("task", () => void runs.push("second"));
      stage.run(relay, { lease: 30_000, concurrency: 1 });
      await relay.dispatch("task");
      await stage.runtime.settle();
      stage.run(other, { lease: 30_000, poll: HOUR });
      await stage.runtime.advance(HOUR);
      expect(runs).toEqual(["first"]);
      expect(told.of("completed")).toHaveLength(1);
      expect(told.names).not.toContain("stale");
    },
  );

  claim("the heartbeat comes at a third of the lease, which is 30 s unless told otherwise", async (stage) => {
    const relay = stage.relay(TASK);
    const barrier = stage.barrier();
    relay.handle("task", () => barrier.opened);
    await relay.dispatch("task");
    stage.run(relay);
    await stage.runtime.advance(9_999);
    expect(stage.line.count("extend")).toBe(0);
    await stage.runtime.advance(1);
    expect(stage.line.count("extend")).toBe(1);
    await stage.runtime.advance(10_000);
    expect(stage.line.count("extend")).toBe(2);
    const [job] = (await relay.list("default", "reserved")).jobs;
    expect(job?.leasedUntil).toBe(stage.runtime.now() + 30_000);
  });

  claim(
    "a dead worker's job runs elsewhere as soon as its lease is over, though none is polling by then",
    async (stage) => {
      const relay = stage.relay(TASK);
      const runs: number[] = [];
      relay.handle("task", () => void runs.push(stage.runtime.now()));
      await relay.dispatch("task");
      const asked = { limit: 1, slots: 1, lease: 30_000, wait: 0, deadline: 10_000 };
      await stage.line.reserve(["default"], asked);
      const end = stage.runtime.now() + 30_000;
      stage.run(relay, { poll: HOUR });
      await stage.runtime.advance(29_999);
      expect(runs).toEqual([]);
      await stage.runtime.advance(100);
      expect(runs).toHaveLength(1);
      expect(runs[0]).toBeGreaterThanOrEqual(end);
    },
  );

  claim("a lost lease is told, and counts apart from attempts", async (stage) => {
    const relay = stage.relay(TASK);
    const told = listen(relay);
    const seen: unknown[] = [];
    relay.handle("task", (_, { attempt, job }) => void seen.push({ attempt, lost: job.lost }));
    const { id } = await relay.dispatch("task");
    await lose(stage, 2);
    await relay.drain();
    expect(seen).toEqual([{ attempt: 1, lost: 2 }]);
    expect(told.of("lost")).toEqual([{ id, queue: "default", lost: 2 }]);
  });

  for (const [maxLost, survived] of [[undefined, 3], [3, 3], [1, 1], [0, 0]] as const) {
    claim(
      `with maxLost ${maxLost ?? "by default"} a job survives ${survived} lost leases and no more`,
      async (stage) => {
        const relay = stage.relay(TASK);
        const told = listen(relay);
        const seen: number[] = [];
        relay.handle("task", (_, { job }) => void seen.push(job.lost));
        const options = maxLost === undefined ? {} : { maxLost };
        await relay.dispatch("task");
        await lose(stage, survived);
        await relay.drain(options);
        expect(seen).toEqual([survived]);
        const { id } = await relay.dispatch("task", "again");
        await lose(stage, survived + 1);
        await relay.drain(options);
        expect(seen).toEqual([survived]);
        const dead = await relay.get("default", id);
        expect(dead).toMatchObject({
          channel: "timeout",
          attempts: 0,
          dead: { reason: "lost", lost: survived + 1 },
        });
        expect(told.of("failed")).toMatchObject([{ reason: "lost", channel: "timeout" }]);
      },
    );
  }

  claim("losses before and after a failed run are counted together", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => Promise.reject(new Error("no")));
    const { id } = await relay.dispatch("task", null, {
      backoff: { type: "fixed", base: 0, max: 0, jitter: 0 },
    });
    await lose(stage, 2);
    await relay.drain({ limit: 1 });
    expect(await relay.get("default", id)).toMatchObject({ channel: "waiting", attempts: 1, lost: 2 });
    await lose(stage, 2);
    await relay.drain({ limit: 1 });
    expect(await relay.get("default", id)).toMatchObject({
      channel: "timeout",
      attempts: 1,
      dead: { lost: 4 },
    });
  });

  claim(
    "a job that came back is taken into a free slot only, though its peers are fetched ahead of it",
    async (stage) => {
      const relay = stage.relay(TASK);
      const other = await stage.client();
      const barrier = stage.barrier();
      const started: unknown[] = [];
      let slow = false;
      relay.handle("task", async (payload) => {
        if (!slow) return;
        started.push(payload);
        await barrier.opened;
      });
      // Handlers that take no time make the worker fetch ahead.
      await relay.dispatchMany(Array.from({ length: 64 }, () => ({ name: "task" as const })));
      stage.run(relay, { concurrency: 2, poll: 1_000 });
      await stage.runtime.settle();
      slow = true;
      const hold = stage.barrier();
      stage.line.rig((verb) => verb === "reserve" ? hold.opened : undefined);
      await stage.runtime.advance(1_000);
      const payloads = ["ahead", "ahead", "ahead", "back", "back", "back"];
      await relay.dispatchMany(payloads.map((payload) => ({ name: "task" as const, payload })));
      const asked = { limit: 6, slots: 6, lease: 1_000, wait: 0, deadline: 10_000 };
      const taken = await other.reserve(["default"], asked);
      const released = taken.slice(0, 3).map(({ queue, token }) => ({
        queue,
        token,
        to: "release" as const,
      }));
      await other.settle(released, { deadline: 10_000 });
      await stage.runtime.advance(1_000);
      hold.open();
      await stage.runtime.settle();
      const reserved = (await relay.list("default", "reserved")).jobs;
      const back = reserved.filter(({ lost }) => lost > 0);
      expect(reserved.length).toBeGreaterThan(2);
      expect(back.length).toBe(started.filter((payload) => payload === "back").length);
      expect(started).toHaveLength(2);
    },
  );

  claim("a worker's short lease does not shorten that of another", async (stage) => {
    const relay = stage.relay(TASK);
    const other = stage.relay(TASK, { transport: await stage.client() });
    const barrier = stage.barrier();
    const runs: string[] = [];
    relay.handle("task", () => {
      runs.push("long");
      return barrier.opened;
    });
    other.handle("task", () => void runs.push("short"));
    await relay.dispatch("task");
    stage.run(relay, { lease: 60_000, concurrency: 1 });
    await stage.runtime.settle();
    stage.run(other, { lease: 100, poll: 4_000 });
    await stage.runtime.advance(20_000 - 1);
    expect(stage.line.count("extend")).toBe(0);
    expect(runs).toEqual(["long"]);
  });

  claim(
    "a worker that could not extend in time tells its handler, and the job runs elsewhere",
    async (stage) => {
      const relay = stage.relay(TASK);
      const line = await stage.client();
      const other = stage.relay(TASK, { transport: line });
      const told = listen(relay);
      const barrier = stage.barrier();
      const contexts: HandlerContext[] = [];
      relay.handle("task", (_, context) => {
        contexts.push(context);
        // Signals are made when they are looked at.
        expect(context.signal.aborted).toBe(false);
        return barrier.opened;
      });
      const elsewhere: number[] = [];
      other.handle("task", (_, { attempt }) => void elsewhere.push(attempt));
      const { id } = await relay.dispatch("task");
      stage.run(relay, { lease: 3_000 });
      await stage.runtime.settle();
      stage.line.cut();
      stage.run(other);
      await stage.runtime.advance(3_100);
      expect(elsewhere).toEqual([1]);
      stage.line.mend();
      await stage.runtime.advance(1_000);
      expect(contexts[0]?.signal.reason).toMatchObject({ name: "LeaseLost", code: "LEASE_LOST", id });
      expect(told.of("stale")).toEqual([{ id, queue: "default", during: "extend" }]);
      barrier.open();
      await stage.runtime.settle();
      expect(told.names).not.toContain("completed");
    },
  );

  claim("what was fetched ahead goes to others within a lease when handlers become slow", async (stage) => {
    const relay = stage.relay(TASK);
    const told = listen(relay);
    const barrier = stage.barrier();
    let runs = 0;
    relay.handle("task", () => ++runs > 64 ? barrier.opened : undefined);
    await relay.dispatchMany(Array.from({ length: 100 }, () => ({ name: "task" as const })));
    stage.run(relay, { concurrency: 2, poll: 60_000 });
    await stage.runtime.settle();
    expect((await relay.info()).reserved).toBeGreaterThan(2);
    await stage.runtime.advance(20_000);
    expect(await relay.info()).toMatchObject({ reserved: 2, waiting: 34 });
    expect(new Set(told.of("released").map(({ reason }) => reason))).toEqual(new Set(["busy"]));
    const other = stage.relay(TASK, { transport: await stage.client() });
    const attempts: number[] = [];
    other.handle("task", (_, { attempt }) => void attempts.push(attempt));
    expect(await stage.within(other.drain(), 1_000)).toMatchObject({ completed: 34 });
    expect(new Set(attempts)).toEqual(new Set([1]));
  });

  claim("a lease that is made shorter while the worker runs is extended in time", async (stage) => {
    const relay = stage.relay(TASK);
    const other = stage.relay(TASK, { transport: await stage.client() });
    const barrier = stage.barrier();
    let runs = 0;
    for (const each of [relay, other]) {
      each.handle("task", () => {
        runs++;
        return barrier.opened;
      });
    }
    const { worker } = stage.run(relay, { poll: 60_000 });
    await stage.runtime.advance(1_000);
    worker.update({ lease: 600 });
    await stage.runtime.settle();
    await relay.dispatch("task");
    await stage.runtime.settle();
    stage.run(other, { poll: 60_000 });
    await stage.runtime.advance(6_000);
    expect(runs).toBe(1);
  });

  claim("leases that are granted shorter than asked for are extended in time", async (stage) => {
    const short = await stage.client();
    const transport = {
      ...short,
      reserve: async (queues: readonly string[], options: ReserveOptions) => {
        return await short.reserve(queues, { ...options, lease: 600 });
      },
    };
    const relay = stage.relay(TASK, { transport });
    const other = stage.relay(TASK);
    const barrier = stage.barrier();
    let runs = 0;
    for (const each of [relay, other]) {
      each.handle("task", () => {
        runs++;
        return barrier.opened;
      });
    }
    await relay.dispatch("task");
    stage.run(relay, { poll: 60_000 });
    await stage.runtime.settle();
    stage.run(other, { poll: 60_000 });
    await stage.runtime.advance(6_000);
    expect(runs).toBe(1);
  });
});
