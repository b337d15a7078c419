import { expect } from "vitest";
import {
  after,
  type Channel,
  deadLetter,
  fixed,
  type Jobs,
  type Relay,
  reschedule,
  type StoredJob,
} from "../../../mod.ts";
import { promise } from "../support/promises.ts";
import { encode, number, type Stage, TASK } from "../support/stage.ts";

const CHANNELS: readonly Channel[] = ["waiting", "delayed", "reserved", "failed", "timeout"];

/** The channels in which a job is, after making sure that the counts say the same as the lists. */
async function channelsOf(relay: Pick<Relay<Jobs>, "info" | "list">, id: string): Promise<Channel[]> {
  const info = await relay.info();
  const found: Channel[] = [];
  for (const channel of CHANNELS) {
    const { jobs } = await relay.list("default", channel);
    expect(jobs).toHaveLength(info[channel]);
    found.push(...jobs.filter((job) => job.id === id).map(() => channel));
  }
  return found;
}

/** Kills one job in the way that a case has prepared. */
async function deadOne(stage: Stage, relay: Relay<Jobs>, id: string): Promise<StoredJob> {
  await relay.drain({ unknown: "dead" });
  await stage.runtime.settle();
  expect(await channelsOf(relay, id)).toEqual(["failed"]);
  const job = await relay.get("default", id);
  if (job === undefined) throw new Error("the job is lost");
  return job;
}

promise(1, "at least once, never lost", (claim) => {
  claim(
    "a dispatch that resolved is stored where every other client sees it, byte for byte",
    async (stage) => {
      const relay = stage.relay(TASK);
      const other = stage.relay(TASK, { transport: await stage.client() });
      const payload = { text: "ü\u0000\u2028😀", list: [1, null], empty: {} };
      const headers = { trace: "a b" };
      const { id, status } = await relay.dispatch("task", payload, { headers });
      expect(status).toBe("stored");
      const stored = await other.get("default", id);
      expect(stored).toMatchObject({ id, name: "task", queue: "default", channel: "waiting", headers });
      expect(stored?.payload).toEqual(encode(payload));
    },
  );

  claim(
    "from dispatch to done a job is in exactly one channel at each step, and the counts agree",
    async (stage) => {
      const relay = stage.relay(TASK);
      const barrier = stage.barrier();
      let runs = 0;
      relay.handle("task", async () => {
        if (++runs === 1) throw new Error("once");
        await barrier.opened;
      });
      const { id } = await relay.dispatch("task", 1, { delay: 1_000 });
      expect(await channelsOf(relay, id)).toEqual(["delayed"]);
      await stage.runtime.advance(1_000);
      expect(await channelsOf(relay, id)).toEqual(["waiting"]);
      stage.run(relay, { backoff: fixed(5_000, { jitter: 0 }) });
      await stage.runtime.settle();
      expect(await channelsOf(relay, id)).toEqual(["delayed"]);
      await stage.runtime.advance(5_000);
      expect(await channelsOf(relay, id)).toEqual(["reserved"]);
      barrier.open();
      await stage.runtime.settle();
      expect(await channelsOf(relay, id)).toEqual([]);
      expect(await relay.get("default", id)).toBe(undefined);
    },
  );

  claim("a job that came back from a dead worker is in one channel too", async (stage) => {
    const relay = stage.relay(TASK);
    const { id } = await relay.dispatch("task");
    const asked = { limit: 1, slots: 1, lease: 1_000, wait: 0, deadline: 10_000 };
    await stage.line.reserve(["default"], asked);
    expect(await channelsOf(relay, id)).toEqual(["reserved"]);
    await stage.runtime.advance(1_000);
    expect(await stage.line.reserve(["default"], asked)).toHaveLength(1);
    expect(await channelsOf(relay, id)).toEqual(["reserved"]);
  });

  claim("only an operator removes a live job, and then it does not run", async (stage) => {
    const relay = stage.relay(TASK);
    const runs: unknown[] = [];
    relay.handle("task", (payload) => void runs.push(payload));
    const { id } = await relay.dispatch("task", "removed");
    await relay.dispatch("task", "kept");
    expect(await relay.remove("default", "waiting", { ids: [id] })).toBe(1);
    expect(await channelsOf(relay, id)).toEqual([]);
    await relay.drain();
    expect(runs).toEqual(["kept"]);
  });

  claim("an exhausted job is dead with reason, last error, attempts, times, queue and id", async (stage) => {
    const relay = stage.relay(TASK);
    const thrown = Object.assign(new TypeError("broken"), { code: "E_BROKEN" });
    relay.handle("task", () => Promise.reject(thrown));
    const createdAt = stage.runtime.now();
    const { id } = await relay.dispatch("task", "poison", { maxAttempts: 2, backoff: fixed(0) });
    await stage.runtime.advance(5);
    await relay.drain();
    const job = await deadOne(stage, relay, id);
    expect(job).toMatchObject({
      id,
      name: "task",
      queue: "default",
      channel: "failed",
      attempts: 2,
      createdAt,
      lastError: { name: "TypeError", message: "broken", code: "E_BROKEN" },
      dead: { channel: "failed", reason: "exhausted", at: createdAt + 5, lost: 0 },
    });
    expect(job.lastError?.stack).toContain("broken");
    expect(job.payload).toEqual(encode("poison"));
  });

  claim("a job that cannot be decoded is dead with its bytes as they came, and never ran", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => expect.unreachable());
    const payload = new Uint8Array([0x7b, 0xff, 0x00]);
    await stage.put({ id: "broken", payload, meta: `{"v":1,"createdAt":7}` });
    const job = await deadOne(stage, relay, "broken");
    expect(job).toMatchObject({ attempts: 0, createdAt: 7, dead: { reason: "undecodable" } });
    expect(job.lastError).toMatchObject({ name: "UndecodableError", code: "UNDECODABLE" });
    expect(job.payload).toEqual(payload);
  });

  claim("a job whose record cannot be read is dead, seen and removable", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => expect.unreachable());
    await stage.put({ id: "scribble", meta: "no record" });
    expect(await relay.get("default", "scribble")).toMatchObject({ channel: "waiting", attempts: 0 });
    const job = await deadOne(stage, relay, "scribble");
    expect(job).toMatchObject({ dead: { reason: "undecodable" } });
    expect(await relay.remove("default", "failed", { ids: ["scribble"] })).toBe(1);
  });

  claim("a job with an unknown name is dead with its reason where workers say so", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => expect.unreachable());
    await stage.put({ id: "stranger", name: "elsewhere" });
    const job = await deadOne(stage, relay, "stranger");
    expect(job).toMatchObject({ name: "elsewhere", attempts: 0, dead: { reason: "unknown" } });
    expect(job.lastError?.code).toBe("UNKNOWN_JOB");
  });

  claim("a job whose payload is invalid is dead with its reason", async (stage) => {
    const relay = stage.relay({ task: number });
    relay.handle("task", () => expect.unreachable());
    await stage.put({ id: "wrong", payload: encode("text") });
    const job = await deadOne(stage, relay, "wrong");
    expect(job).toMatchObject({ attempts: 0, dead: { reason: "invalid" } });
    expect(job.lastError?.code).toBe("INVALID_PAYLOAD");
  });

  claim(
    "a poisonous job is dead at its handler's word, under a reason of the handler's own",
    async (stage) => {
      const relay = stage.relay(TASK);
      relay.handle("task", () => deadLetter({ reason: "poison", error: new Error("bad egg") }));
      const { id } = await relay.dispatch("task");
      const job = await deadOne(stage, relay, id);
      expect(job).toMatchObject({
        attempts: 1,
        dead: { reason: "poison" },
        lastError: { message: "bad egg" },
      });
    },
  );

  claim("a job whose workers died of it is dead in timeout before another does", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => expect.unreachable());
    const { id } = await relay.dispatch("task");
    for (let i = 0; i < 4; i++) {
      const asked = { limit: 1, slots: 1, lease: 1_000, wait: 0, deadline: 10_000 };
      await stage.line.reserve(["default"], asked);
      await stage.runtime.advance(1_000);
    }
    await relay.drain();
    expect(await channelsOf(relay, id)).toEqual(["timeout"]);
    expect(await relay.get("default", id)).toMatchObject({ attempts: 0, dead: { reason: "lost", lost: 4 } });
  });

  claim(
    "a dead job that is reloaded runs once more, whole, whatever its attempts; with reset it has a full life",
    async (stage) => {
      const relay = stage.relay(TASK);
      const seen: unknown[] = [];
      relay.handle("task", (payload, { attempt }) => {
        seen.push([payload, attempt]);
        throw new Error("no");
      });
      const { id } = await relay.dispatch("task", "x", { maxAttempts: 2, backoff: fixed(0) });
      await relay.drain();
      expect(seen.splice(0)).toEqual([["x", 1], ["x", 2]]);
      expect(await relay.reload("default", "failed", { ids: [id] })).toEqual({ reloaded: 1, taken: 0 });
      expect(await channelsOf(relay, id)).toEqual(["waiting"]);
      await relay.drain();
      expect(seen.splice(0)).toEqual([["x", 3]]);
      expect(await channelsOf(relay, id)).toEqual(["failed"]);
      await relay.reload("default", "failed", "all", { attempts: "reset" });
      await relay.drain();
      expect(seen.splice(0)).toEqual([["x", 1], ["x", 2]]);
      expect(await channelsOf(relay, id)).toEqual(["failed"]);
    },
  );

  claim(
    "what the core does not know in a record survives a retry, death, reload and a reschedule",
    async (stage) => {
      const relay = stage.relay(TASK);
      const meta = {
        v: 1,
        createdAt: 7,
        maxAttempts: 2,
        trace: { of: ["another", 1] },
        priority: 9,
        parent: "p",
      };
      const kept = { createdAt: 7, trace: { of: ["another", 1] }, priority: 9, parent: "p" };
      let fate: () => unknown = () => Promise.reject(new Error("no"));
      relay.handle("task", () => fate());
      await stage.put({ id: "old", meta: JSON.stringify(meta) });
      const metaOf = async (): Promise<unknown> => {
        const [entry] = await stage.line.get("default", ["old"], { deadline: 10_000 });
        return JSON.parse(entry?.meta ?? "null");
      };
      await relay.drain({ backoff: fixed(1_000) });
      expect(await metaOf()).toMatchObject({ ...kept, attempts: 1 });
      await stage.runtime.advance(2_000);
      await relay.drain();
      expect(await metaOf()).toMatchObject({ ...kept, attempts: 2, dead: { reason: "exhausted" } });
      await relay.reload("default", "failed", "all");
      expect(await metaOf()).toMatchObject(kept);
      fate = () => reschedule(after(1_000));
      await relay.drain();
      expect(await metaOf()).toMatchObject({ ...kept, attempts: 0 });
      expect(await metaOf()).not.toHaveProperty("dead");
    },
  );
});
