import { expect } from "vitest";
import type { Delivery, Settlement } from "../../../mod.ts";
import { promise } from "../support/promises.ts";
import { listen, type Stage, TASK } from "../support/stage.ts";

const call = { deadline: 10_000 };

/** Two deliveries of one job: the first has lost its lease to the second. */
async function twice({ line, runtime }: Stage): Promise<{ stale: Delivery; current: Delivery }> {
  const asked = { limit: 1, slots: 1, lease: 1_000, wait: 0, ...call };
  const [stale] = await line.reserve(["default"], asked);
  await runtime.advance(1_000);
  const [current] = await line.reserve(["default"], { ...asked, lease: 600_000 });
  if (stale === undefined || current === undefined) throw new Error("the job was not delivered twice");
  return { stale, current };
}

promise(3, "fenced", (claim) => {
  for (const to of ["done", "release", "again", "failed", "timeout"] as const) {
    claim(`'${to}' from a delivery that lost its lease says stale and changes nothing`, async (stage) => {
      const relay = stage.relay(TASK);
      const { id } = await relay.dispatch("task", "kept");
      const { stale, current } = await twice(stage);
      expect(stale.token).not.toBe(current.token);
      const before = await relay.get("default", id);
      const { queue, token } = stale;
      const meta = `{"v":1,"attempts":9}`;
      const settlement: Settlement = to === "done" || to === "release"
        ? { queue, token, to }
        : { queue, token, to, meta, reason: "exhausted" };
      expect(await stage.line.settle([settlement], call)).toEqual(["stale"]);
      expect(await relay.get("default", id)).toEqual(before);
      expect(await relay.info()).toMatchObject({
        waiting: 0,
        delayed: 0,
        reserved: 1,
        failed: 0,
        timeout: 0,
      });
      const done = { queue, token: current.token, to: "done" as const };
      expect(await stage.line.settle([done], call)).toEqual(["settled"]);
      expect(await stage.line.settle([done], call)).toEqual(["stale"]);
    });
  }

  claim("an extension by a delivery that lost its lease says stale and moves no lease", async (stage) => {
    const relay = stage.relay(TASK);
    const { id } = await relay.dispatch("task");
    const { stale } = await twice(stage);
    const before = await relay.get("default", id);
    const extension = { queue: "default", token: stale.token, ms: 9_000_000 };
    expect(await stage.line.extend([extension], call)).toEqual([{ state: "stale" }]);
    expect((await relay.get("default", id))?.leasedUntil).toBe(before?.leasedUntil);
  });

  claim("a token of one queue means nothing in another", async (stage) => {
    const relay = stage.relay(TASK);
    await relay.dispatch("task");
    const asked = { limit: 1, slots: 1, lease: 60_000, wait: 0, ...call };
    const [delivery] = await stage.line.reserve(["default"], asked);
    const wrong = { queue: "other", token: delivery?.token ?? "", to: "done" as const };
    expect(await stage.line.settle([wrong], call)).toEqual(["stale"]);
    expect(await relay.info()).toMatchObject({ reserved: 1 });
  });

  claim(
    "a job that an operator removed while it ran: its settlement is stale, told and counted",
    async (stage) => {
      const relay = stage.relay(TASK);
      const told = listen(relay);
      relay.handle("task", async () => void await relay.remove("default", "reserved", "all"));
      const { id } = await relay.dispatch("task");
      expect(await relay.drain()).toMatchObject({ completed: 0, stale: 1 });
      expect(told.of("stale")).toEqual([{ id, queue: "default", during: "settle" }]);
      expect(told.names).not.toContain("completed");
      expect(await relay.get("default", id)).toBe(undefined);
    },
  );

  claim(
    "a worker that comes back too late makes no second job of one that another finished",
    async (stage) => {
      const relay = stage.relay(TASK);
      const other = stage.relay(TASK, { transport: await stage.client() });
      const told = listen(relay);
      const toldOther = listen(other);
      const barrier = stage.barrier();
      relay.handle("task", async () => {
        await barrier.opened;
        throw new Error("too late");
      });
      other.handle("task", () => undefined);
      const { id } = await relay.dispatch("task");
      stage.run(relay, { lease: 1_000 });
      await stage.runtime.settle();
      stage.line.cut();
      await stage.runtime.advance(1_500);
      await other.drain();
      expect(toldOther.of("completed")).toMatchObject([{ attempt: 1, job: { id, lost: 1 } }]);
      stage.line.mend();
      barrier.open();
      await stage.runtime.advance(10_000);
      expect(told.of("stale")).toHaveLength(1);
      expect(told.names).not.toContain("retrying");
      expect(await relay.info()).toEqual({ waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 });
    },
  );

  claim("of two settlements of one delivery in one batch only the first counts", async (stage) => {
    const relay = stage.relay(TASK);
    const { id } = await relay.dispatch("task");
    const asked = { limit: 1, slots: 1, lease: 60_000, wait: 0, ...call };
    const [delivery] = await stage.line.reserve(["default"], asked);
    const { queue, token } = delivery ?? { queue: "", token: "" };
    const both: Settlement[] = [
      { queue, token, to: "again", meta: `{"v":1}`, delay: 5_000 },
      { queue, token, to: "failed", meta: `{"v":1}`, reason: "x" },
    ];
    expect(await stage.line.settle(both, call)).toEqual(["settled", "stale"]);
    expect(await relay.get("default", id)).toMatchObject({ channel: "delayed" });
    expect(await relay.info()).toMatchObject({ delayed: 1, failed: 0, reserved: 0 });
  });

  claim("a release does not hand the old token out again", async (stage) => {
    const relay = stage.relay(TASK);
    await relay.dispatch("task");
    const tokens = new Set<string>();
    for (let i = 0; i < 5; i++) {
      const asked = { limit: 1, slots: 1, lease: 60_000, wait: 0, ...call };
      const [delivery] = await stage.line.reserve(["default"], asked);
      const token = delivery?.token ?? "";
      tokens.add(token);
      await stage.line.settle([{ queue: "default", token, to: "release" }], call);
    }
    expect(tokens.size).toBe(5);
  });
});
