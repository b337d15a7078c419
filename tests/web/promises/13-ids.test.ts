import { expect } from "vitest";
import { after, DuplicateJobError, fixed, reschedule } from "../../../mod.ts";
import { promise } from "../support/promises.ts";
import { any, listen, reasonOf, type Stage, TASK } from "../support/stage.ts";

const MINUTE = 60_000;
const id = "mine";

async function reserve({ line }: Stage): Promise<void> {
  const asked = { limit: 1, slots: 1, lease: 3_600_000, wait: 0, deadline: 10_000 };
  expect(await line.reserve(["default"], asked)).toHaveLength(1);
}

promise(13, "ids", (claim) => {
  claim(
    "an id that was given is the job's, one that was not is generated and new each time",
    async (stage) => {
      const relay = stage.relay(TASK);
      const given = 'paid:A1/ü 😀\n"quoted"';
      expect(await relay.dispatch("task", null, { id: given })).toEqual({ id: given, status: "stored" });
      const generated = await Promise.all([1, 2, 3].map(() => relay.dispatch("task")));
      expect(new Set(generated.map((dispatched) => dispatched.id)).size).toBe(3);
      expect((await relay.get("default", given))?.id).toBe(given);
    },
  );

  for (const channel of ["waiting", "delayed", "reserved"] as const) {
    claim(
      `an id is refused while a job with it is ${channel}, however long ago it was dispatched`,
      async (stage) => {
        const relay = stage.relay(TASK);
        const told = listen(relay);
        const delay = channel === "delayed" ? 60 * MINUTE : 0;
        await relay.dispatch("task", "first", { id, delay, idWindow: 0 });
        if (channel === "reserved") await reserve(stage);
        await stage.runtime.advance(10 * MINUTE);
        expect(await relay.dispatch("task", "second", { id, idWindow: 0 })).toEqual({
          id,
          status: "duplicate",
        });
        expect(await relay.get("default", id)).toMatchObject({ channel });
        expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0, reserved: 0, [channel]: 1 });
        expect(told.of("dispatched").map(({ status }) => status)).toEqual(["stored", "duplicate"]);
      },
    );
  }

  claim(
    "an id that begins as those of other programs' entries do is refused, and nothing is stored",
    async (stage) => {
      const relay = stage.relay(TASK);
      for (const given of ["#17", "#", "#x"]) {
        const error = await reasonOf(relay.dispatch("task", null, { id: given }));
        expect(error).toBeInstanceOf(TypeError);
        expect(String(error)).toContain(`'id' must not begin with '#'`);
        await expect(relay.dispatchMany([{ name: "task" as const, id: given }])).rejects.toThrow("'#'");
      }
      expect(await relay.dispatch("task", null, { id: "a#17" })).toMatchObject({ status: "stored" });
    },
  ),
    claim("onDuplicate: 'throw' rejects with DuplicateJobError and its id", async (stage) => {
      const relay = stage.relay(TASK);
      await relay.dispatch("task", null, { id, onDuplicate: "throw" });
      const error = await reasonOf(relay.dispatch("task", null, { id, onDuplicate: "throw" }));
      expect(error).toBeInstanceOf(DuplicateJobError);
      expect(error).toMatchObject({ code: "DUPLICATE_JOB", id });
      expect(await relay.dispatch("task", null, { id, onDuplicate: "ignore" })).toMatchObject({
        status: "duplicate",
      });
    });

  claim("a done job's id is refused for two minutes after its dispatch, and free then", async (stage) => {
    const relay = stage.relay(TASK);
    const handled: unknown[] = [];
    relay.handle("task", (payload) => void handled.push(payload));
    await relay.dispatch("task", 1, { id });
    await stage.runtime.advance(MINUTE);
    await relay.drain();
    await stage.runtime.advance(MINUTE - 1);
    expect(await relay.dispatch("task", 2, { id })).toMatchObject({ status: "duplicate" });
    await stage.runtime.advance(1);
    expect(await relay.dispatch("task", 3, { id })).toMatchObject({ status: "stored" });
    await relay.drain();
    expect(handled).toEqual([1, 3]);
  });

  claim("idWindow says for how long, and a refused dispatch does not lengthen it", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => undefined);
    await relay.dispatch("task", null, { id, idWindow: 5_000 });
    await relay.drain();
    await stage.runtime.advance(4_999);
    expect(await relay.dispatch("task", null, { id, idWindow: 50_000 })).toMatchObject({
      status: "duplicate",
    });
    await stage.runtime.advance(1);
    expect(await relay.dispatch("task", null, { id })).toMatchObject({ status: "stored" });
  });

  claim("idWindow 0: the id is free as soon as its job is settled", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => undefined);
    for (let i = 0; i < 3; i++) {
      expect(await relay.dispatch("task", null, { id, idWindow: 0 })).toMatchObject({ status: "stored" });
      expect(await relay.dispatch("task", null, { id, idWindow: 0 })).toMatchObject({ status: "duplicate" });
      await relay.drain();
    }
  });

  claim("a job that retries or reschedules itself keeps its id taken", async (stage) => {
    const relay = stage.relay(TASK);
    let runs = 0;
    relay.handle("task", () => {
      if (++runs === 1) throw new Error("no");
      return reschedule(after(60 * MINUTE));
    });
    await relay.dispatch("task", null, { id, idWindow: 0, backoff: fixed(60 * MINUTE, { jitter: 0 }) });
    for (let round = 0; round < 2; round++) {
      await relay.drain();
      expect(await relay.dispatch("task", null, { id, idWindow: 0 })).toMatchObject({ status: "duplicate" });
      await stage.runtime.advance(60 * MINUTE);
    }
    expect(runs).toBe(2);
  });

  claim("a dead job does not hold its id once the window is over, and until then it does", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => Promise.reject(new Error("no")));
    await relay.dispatch("task", null, { id, maxAttempts: 1 });
    await relay.drain();
    expect(await relay.dispatch("task", null, { id })).toMatchObject({ status: "duplicate" });
    await stage.runtime.advance(2 * MINUTE);
    expect(await relay.dispatch("task", null, { id })).toMatchObject({ status: "stored" });
    expect(await relay.info()).toMatchObject({ waiting: 1, failed: 1 });
  });

  claim(
    "reloading a dead job whose id is taken leaves it dead and says so; once the id is free it comes back",
    async (stage) => {
      const relay = stage.relay(TASK);
      const handled: unknown[] = [];
      let broken = true;
      relay.handle("task", (payload) => {
        if (broken) throw new Error("no");
        handled.push(payload);
      });
      await relay.dispatch("task", "dead", { id, idWindow: 0, maxAttempts: 1 });
      await relay.dispatch("task", "other", { maxAttempts: 1 });
      await relay.drain();
      await relay.dispatch("task", "live", { id });
      expect(await relay.reload("default", "failed", { ids: [id] })).toEqual({ reloaded: 0, taken: 1 });
      expect(await relay.reload("default", "failed", "all")).toEqual({ reloaded: 1, taken: 1 });
      expect(await relay.info()).toMatchObject({ waiting: 2, failed: 1 });
      expect(await relay.get("default", id)).toMatchObject({ channel: "waiting" });
      broken = false;
      await relay.drain({ concurrency: 1 });
      expect(await relay.reload("default", "failed", "all")).toEqual({ reloaded: 1, taken: 0 });
      await relay.drain();
      expect(handled.sort()).toEqual(["dead", "live", "other"]);
    },
  );

  claim("a reloaded job takes its id again", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => Promise.reject(new Error("no")));
    await relay.dispatch("task", null, { id, idWindow: 0, maxAttempts: 1 });
    await relay.drain();
    await relay.reload("default", "failed", "all");
    expect(await relay.dispatch("task", null, { id, idWindow: 0 })).toMatchObject({ status: "duplicate" });
  });

  claim("of a thousand dispatches of one id in one tick one is stored", async (stage) => {
    const relay = stage.relay(TASK);
    const other = stage.relay(TASK, { transport: await stage.client() });
    const all = await Promise.all(
      Array.from({ length: 1_000 }, (_, i) => (i % 2 === 0 ? relay : other).dispatch("task", i, { id })),
    );
    expect(all.filter(({ status }) => status === "stored")).toHaveLength(1);
    expect(await relay.info()).toMatchObject({ waiting: 1 });
  });

  claim("in a bulk a taken id refuses its job alone, unless the bulk is atomic", async (stage) => {
    const relay = stage.relay(TASK);
    await relay.dispatch("task", null, { id });
    const jobs = [{ name: "task" as const, id: "a" }, { name: "task" as const, id }, {
      name: "task" as const,
      id: "b",
    }];
    const refused = await reasonOf(relay.dispatchMany(jobs, { atomic: true }));
    expect(refused).toMatchObject({
      stored: 0,
      failures: [{ index: 1, error: { code: "DUPLICATE_JOB", id } }],
    });
    expect(await relay.info()).toMatchObject({ waiting: 1 });
    const done = await relay.dispatchMany(jobs);
    expect(done.map(({ status }) => status)).toEqual(["stored", "duplicate", "stored"]);
  });

  claim("ids of different queues do not meet", async (stage) => {
    const relay = stage.relay({ ...TASK, paid: { schema: any<unknown>(), queue: "billing" } });
    expect(await relay.dispatch("task", null, { id })).toMatchObject({ status: "stored" });
    expect(await relay.dispatch("paid", null, { id })).toMatchObject({ status: "stored" });
  });

  claim("an operator's removal of a live job does not end the window of its id", async (stage) => {
    const relay = stage.relay(TASK);
    await relay.dispatch("task", null, { id });
    await relay.remove("default", "waiting", { ids: [id] });
    expect(await relay.dispatch("task", null, { id })).toMatchObject({ status: "duplicate" });
    await stage.runtime.advance(2 * MINUTE);
    expect(await relay.dispatch("task", null, { id })).toMatchObject({ status: "stored" });
  });
});
