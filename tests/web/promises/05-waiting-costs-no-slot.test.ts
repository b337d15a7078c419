import { expect } from "vitest";
import { after, at, every, fixed, type Recurrence, reschedule, retry } from "../../../mod.ts";
import { expectDue } from "../support/due.ts";
import { promise } from "../support/promises.ts";
import { encode, type Stage, TASK } from "../support/stage.ts";

const HOUR = 3_600_000;

/** A relay whose process has its wall clock an hour ahead of the broker's. */
function hasty(stage: Stage) {
  const { runtime } = stage;
  return stage.relay(TASK, { runtime: { ...runtime, now: () => runtime.now() + HOUR } });
}

promise(5, "waiting costs no slot", (claim) => {
  claim(
    "W05: a hundred delayed and retrying jobs leave the only slot free for the next job",
    async (stage) => {
      const relay = stage.relay(TASK);
      const handled: unknown[] = [];
      relay.handle("task", (payload) => {
        if (payload === "fail") throw new Error("later");
        handled.push(payload);
      });
      stage.run(relay, { concurrency: 1, backoff: fixed(HOUR) });
      await relay.dispatchMany([
        ...Array.from({ length: 50 }, () => ({ name: "task" as const, payload: "fail" })),
        ...Array.from({ length: 50 }, () => ({ name: "task" as const, payload: "delayed", delay: HOUR })),
        { name: "task", payload: "now" },
      ]);
      await stage.runtime.advance(10);
      expect(handled).toEqual(["now"]);
      expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 100, reserved: 0 });
    },
  );

  claim(
    "what waits for a retry waits in the broker: another worker runs it when the first has stopped",
    async (stage) => {
      const relay = stage.relay(TASK);
      const other = stage.relay(TASK, { transport: await stage.client() });
      relay.handle("task", () => retry({ delay: 7_000 }));
      const attempts: number[] = [];
      other.handle("task", (_, { attempt }) => void attempts.push(attempt));
      await relay.dispatch("task");
      await relay.drain();
      await relay.close();
      await stage.runtime.advance(6_999);
      await other.drain();
      expect(attempts).toEqual([]);
      await stage.runtime.advance(1);
      await other.drain();
      expect(attempts).toEqual([2]);
    },
  );

  claim(
    "a waiting worker sleeps through nothing: a job runs at the millisecond at which it is due",
    async (stage) => {
      const relay = stage.relay(TASK);
      const runs: [unknown, number][] = [];
      const start = stage.runtime.now();
      relay.handle("task", (payload) => void runs.push([payload, stage.runtime.now() - start]));
      stage.run(relay, { poll: HOUR });
      for (const delay of [50, 1, 1_234, 60_001, 49]) await relay.dispatch("task", delay, { delay });
      await stage.runtime.advance(100_000);
      expect(runs.map(([delay]) => delay)).toEqual([1, 49, 50, 1_234, 60_001]);
      for (const [delay, time] of runs) expectDue(time, delay as number, stage.pace);
    },
  );

  claim(
    "jobs due at the same time run in the order of dispatch, however they came to be due then",
    async (stage) => {
      const relay = stage.relay(TASK);
      const handled: unknown[] = [];
      relay.handle("task", (payload) => void handled.push(payload));
      const instant = stage.runtime.now() + 1_000;
      await relay.dispatch("task", 0, { at: instant });
      await relay.dispatch("task", 1, { delay: 1_000 });
      await stage.runtime.advance(400);
      await relay.dispatch("task", 2, { delay: 600 });
      await relay.dispatch("task", 3, { at: new Date(instant) });
      await relay.dispatchMany([4, 5, 6].map((payload) => ({ name: "task", payload, at: instant })));
      await stage.runtime.advance(600);
      await relay.drain({ concurrency: 1 });
      expect(handled).toEqual([0, 1, 2, 3, 4, 5, 6]);
    },
  );

  claim("what was due earlier runs before what was due later", async (stage) => {
    const relay = stage.relay(TASK);
    const handled: unknown[] = [];
    relay.handle("task", (payload) => void handled.push(payload));
    await relay.dispatch("task", "second", { delay: 200 });
    await relay.dispatch("task", "first", { delay: 100 });
    await stage.runtime.advance(300);
    await relay.dispatch("task", "third");
    await relay.drain({ concurrency: 1 });
    expect(handled).toEqual(["first", "second", "third"]);
  });

  claim("a delay is counted by the broker's clock, whatever the dispatcher's shows", async (stage) => {
    const relay = hasty(stage);
    const { id } = await relay.dispatch("task", null, { delay: 5_000 });
    expect((await relay.get("default", id))?.due).toBe(stage.runtime.now() + 5_000);
    await stage.runtime.advance(4_999);
    expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 1 });
    await stage.runtime.advance(1);
    expect(await relay.info()).toMatchObject({ waiting: 1, delayed: 0 });
  });

  claim("'at' is the caller's instant: it stands in the job as it was given", async (stage) => {
    const relay = hasty(stage);
    const instant = stage.runtime.now() + 5_000;
    const { id } = await relay.dispatch("task", null, { at: instant });
    expect((await relay.get("default", id))?.due).toBe(instant);
    await stage.runtime.advance(4_999);
    expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 1 });
    await stage.runtime.advance(1);
    expect(await relay.info()).toMatchObject({ waiting: 1, delayed: 0 });
  });

  for (
    const [what, options] of [
      ["a delay of 0", { delay: 0 }],
      ["a delay that is over", { delay: -5 }],
      ["an instant in the past", { at: new Date(0) }],
    ] as const
  ) {
    claim(`${what} means at once`, async (stage) => {
      const relay = stage.relay(TASK);
      await relay.dispatch("task", null, options);
      expect(await relay.info()).toMatchObject({ waiting: 1, delayed: 0 });
    });
  }

  claim("a job may wait for a year, longer than any timer holds", async (stage) => {
    const relay = stage.relay(TASK);
    const year = 365 * 24 * HOUR;
    await relay.dispatch("task", null, { delay: year });
    await stage.runtime.advance(year - 1);
    expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 1 });
    await stage.runtime.advance(1);
    expect(await relay.info()).toMatchObject({ waiting: 1, delayed: 0 });
  });

  const recurrences: readonly [string, () => Recurrence, number][] = [
    ["after", () => after(90_000), 90_000],
    ["every", () => every(60_000), 60_000],
    ["at", () => at(Date.UTC(2026, 0, 1, 0, 0, 30)), 30_000],
  ];
  for (const [name, by, wait] of recurrences) {
    claim(`a job rescheduled by '${name}' waits in the broker and runs when it is due`, async (stage) => {
      const relay = stage.relay(TASK);
      const start = stage.runtime.now();
      const runs: number[] = [];
      relay.handle("task", () => {
        runs.push(stage.runtime.now() - start);
        return runs.length === 1 ? reschedule(by()) : undefined;
      });
      stage.run(relay, { poll: HOUR });
      await relay.dispatch("task");
      await stage.runtime.advance(wait - 1);
      expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 1, reserved: 0 });
      await stage.runtime.advance(1);
      expect(runs).toEqual([0, wait]);
    });
  }

  claim("a delay longer than the lease does not make a job run more than once", async (stage) => {
    const relay = stage.relay(TASK);
    const runs: unknown[] = [];
    relay.handle("task", (payload) => void runs.push(payload));
    stage.run(relay, { lease: 1_000 });
    const { id } = await relay.dispatch("task", "once", { delay: 20_000 });
    expect((await relay.get("default", id))?.payload).toEqual(encode("once"));
    await stage.runtime.advance(60_000);
    expect(runs).toEqual(["once"]);
  });
});
