/** Channels and what operators do with them: F071, F078 to F085, F181, F182, F185. */
import { expect, it } from "vitest";
import { exponential, fixed, type QueueInfo, type Relay, TransportError } from "../../../mod.ts";
import { bytes, free, heard, running, textOf, thrown, wrapped } from "../support/kit.ts";
import type { OpenPlace, Place } from "../support/place.ts";

const EMPTY: QueueInfo = { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };
const jobs = { job: free<string>() };

/** A relay with dead jobs of these ids, oldest first, a second apart. */
async function buried(place: Place, ids: readonly string[]): Promise<Relay<typeof jobs>> {
  const relay = place.relay(jobs);
  using _failing = relay.handle("job", () => {
    throw new Error("always");
  });
  for (const id of ids) {
    await relay.dispatch("job", `payload of ${id}`, { id, idWindow: 0, maxAttempts: 1 });
    await relay.drain();
    await place.runtime.advance(1_000);
  }
  return relay;
}

/** Reserves a job as a worker does that dies of it. */
async function perish({ transport, runtime }: Place, lease: number): Promise<void> {
  const asks = { deadline: 1_000, limit: 1, slots: 1, lease, wait: 0 };
  expect(await transport.reserve(["default"], asks)).toHaveLength(1);
  await runtime.advance(lease);
}

export function channels(open: OpenPlace): void {
  it.each([[200, 6, 1], [1_000, 32, 16]])(
    "F071: of %i jobs, %i workers and %i producers, each job runs exactly once",
    async (count, workers, producers) => {
      const { runtime, ...place } = open();
      const relay = place.relay({ job: free<number>() });
      const runs = new Map<number, number>();
      const trouble = [...(["error", "stale", "lost"] as const).map((type) => heard(relay.events, type))];
      relay.handle("job", async (payload) => {
        runs.set(payload, (runs.get(payload) ?? 0) + 1);
        await runtime.sleep(1);
      });
      const started = Array.from({ length: workers }, () => running(relay, { concurrency: 3 }));
      const produce = async (first: number): Promise<void> => {
        for (let i = first; i < count; i += producers) await relay.dispatch("job", i);
      };
      const produced = Promise.all(Array.from({ length: producers }, (_, i) => produce(i)));
      await runtime.advance(5_000);
      await produced;
      for (const worker of started) await worker.abort();
      expect(runs.size).toBe(count);
      expect([...runs.values()].every((times) => times === 1)).toBe(true);
      expect(trouble.flat()).toEqual([]);
      expect(await relay.info()).toEqual(EMPTY);
    },
  );

  it("W54: a thousand delayed jobs and five consumers make a thousand runs", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: free<number>() });
    let runs = 0;
    relay.handle("job", () => void runs++);
    await relay.dispatchMany(
      Array.from({ length: 1_000 }, (_, i) => ({ name: "job", payload: i, delay: 500 + i % 7 })),
    );
    const workers = Array.from({ length: 5 }, () => running(relay));
    await runtime.advance(2_000);
    for (const worker of workers) await worker.abort();
    expect(runs).toBe(1_000);
    expect(await relay.info()).toEqual(EMPTY);
  });

  it("F078, W58: a failed run is delayed, not reserved, and the next is attempt 2", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: { schema: free<string>(), maxAttempts: 2, backoff: fixed(1_000) } });
    const attempts: number[] = [];
    relay.handle("job", (_, { attempt }) => {
      attempts.push(attempt);
      throw new Error("always");
    });
    await relay.dispatch("job", "x");
    await relay.drain();
    expect(await relay.info()).toEqual({ ...EMPTY, delayed: 1 });
    expect((await relay.list("default", "delayed")).jobs).toMatchObject([{ attempts: 1 }]);
    await runtime.advance(20_000);
    await relay.drain();
    await runtime.advance(20_000);
    await relay.drain();
    expect(attempts).toEqual([1, 2]);
  });

  it("F079: a job out of attempts is in 'failed'", async () => {
    const relay = await buried(open(), ["a"]);
    expect(await relay.info()).toEqual({ ...EMPTY, failed: 1 });
  });

  it("F080: a job whose worker died is in 'timeout' within two seconds, and in no other channel", async () => {
    const { runtime, transport, ...place } = open();
    const relay = place.relay(jobs);
    let runs = 0;
    relay.handle("job", () => void runs++);
    await relay.dispatch("job", "x");
    const asks = { deadline: 1_000, limit: 1, slots: 1, lease: 1_000, wait: 0 };
    await transport.reserve(["default"], asks);
    const worker = running(relay, { maxLost: 0, lease: 1_000 });
    await runtime.advance(2_000);
    await worker.abort();
    expect(runs).toBe(0);
    expect(await relay.info()).toEqual({ ...EMPTY, timeout: 1 });
    expect((await relay.list("default", "timeout")).jobs).toMatchObject([{
      lost: 1,
      dead: { reason: "lost" },
    }]);
  });

  it("W55: a handler that ignores its deadline leaves its job in one channel, and a reload runs it once", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: { schema: free<string>(), timeout: 50, maxAttempts: 1 } });
    const stuck = heard(relay.events, "stuck");
    let runs = 0;
    relay.handle("job", async () => {
      runs++;
      await runtime.sleep(runs === 1 ? 60_000 : 0);
      if (runs === 1) throw new Error("late");
    });
    await relay.dispatch("job", "x");
    const worker = running(relay, { abortGrace: 100 });
    await runtime.advance(1_000);
    expect(stuck).toMatchObject([{ reason: "timeout" }]);
    expect(await relay.info()).toEqual({ ...EMPTY, timeout: 1 });
    await runtime.advance(120_000);
    expect(await relay.info()).toEqual({ ...EMPTY, timeout: 1 });
    expect(await relay.reload("default", "failed", "all")).toEqual({ reloaded: 0, taken: 0 });
    expect(await relay.reload("default", "timeout", "all")).toEqual({ reloaded: 1, taken: 0 });
    await runtime.advance(1_000);
    await worker.abort();
    expect(runs).toBe(2);
    expect(await relay.info()).toEqual(EMPTY);
  });

  it("F081: reloaded jobs run once more each, and those that fail again are dead again", async () => {
    const place = open();
    const relay = await buried(place, ["a", "b", "c"]);
    expect(await relay.info()).toEqual({ ...EMPTY, failed: 3 });
    expect(await relay.reload("default", "failed", "all")).toEqual({ reloaded: 3, taken: 0 });
    const attempts: number[] = [];
    relay.handle("job", (_, { attempt }) => {
      attempts.push(attempt);
      throw new Error("again");
    });
    await relay.drain();
    await place.runtime.advance(3_600_000);
    await relay.drain();
    expect(attempts).toEqual([2, 2, 2]);
    expect(await relay.info()).toEqual({ ...EMPTY, failed: 3 });
    const reload = relay.reload as (queue: string, channel: string, select: string) => Promise<unknown>;
    for (const channel of ["waiting", "delayed", "reserved", "nonsense"]) {
      await expect(reload("default", channel, "all")).rejects.toThrow("'channel' must be one of");
    }
  });

  it("F081, W44, W74: with attempts 'reset' a reloaded job has a full life", async () => {
    const place = open();
    const relay = await buried(place, []);
    const attempts: number[] = [];
    relay.handle("job", (_, { attempt }) => {
      attempts.push(attempt);
      throw new Error("always");
    });
    await relay.dispatch("job", "x", { maxAttempts: 2, backoff: fixed(10) });
    const worker = running(relay);
    await place.runtime.advance(1_000);
    expect(await relay.reload("default", "failed", "all", { attempts: "reset" })).toMatchObject({
      reloaded: 1,
    });
    await place.runtime.advance(1_000);
    await worker.abort();
    expect(attempts).toEqual([1, 2, 1, 2]);
  });

  it("F082, W63: a flush empties its channel and no other, by the same words on each transport", async () => {
    const relay = await buried(open(), ["a", "b", "c"]);
    await relay.dispatch("job", "stays");
    const remove = relay.remove as (queue: string, channel: string, select: string) => Promise<number>;
    await expect(remove("default", "{app}:failed", "all")).rejects.toThrow("'channel' must be one of");
    expect(await relay.info()).toMatchObject({ failed: 3 });
    expect(await relay.remove("default", "failed", "all")).toBe(3);
    expect(await relay.info()).toMatchObject({ waiting: 1, failed: 0 });
    expect(await relay.remove("default", "timeout", "all")).toBe(0);
  });

  it("F083: info counts each channel exactly", async () => {
    const place = open();
    const relay = await buried(place, ["a", "b"]);
    for (let i = 0; i < 4; i++) await relay.dispatch("job", "waits");
    for (let i = 0; i < 3; i++) await relay.dispatch("job", "later", { delay: 60_000 });
    const asks = { deadline: 1_000, limit: 1, slots: 1, lease: 60_000, wait: 0 };
    await place.transport.reserve(["default"], asks);
    const { oldest, ...counts } = await relay.info();
    expect(counts).toEqual({ waiting: 3, delayed: 3, reserved: 1, failed: 2, timeout: 0 });
    expect(oldest).toBe(0);
    await expect(relay.info("elsewhere")).rejects.toMatchObject({ code: "UNKNOWN_QUEUE" });
  });

  it("F084, W25, W40, W65: three slots run nine jobs of 100 ms in 300 ms, and no slots at all are refused", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const start = runtime.monotonic();
    const ends: number[] = [];
    let now = 0;
    let most = 0;
    relay.handle("job", async () => {
      most = Math.max(most, ++now);
      await runtime.sleep(100);
      now--;
      ends.push(runtime.monotonic() - start);
    });
    await relay.dispatchMany(Array.from({ length: 9 }, () => ({ name: "job", payload: "x" })));
    const worker = running(relay, { concurrency: 3 });
    await runtime.advance(1_000);
    await worker.abort();
    expect(most).toBe(3);
    expect(ends).toEqual([100, 100, 100, 200, 200, 200, 300, 300, 300]);
    expect(thrown(() => relay.worker({ concurrency: 0 })).message).toContain(
      "'concurrency' must be a whole number",
    );
  });

  it("F085, W52: a worker survives two seconds without its transport, and resolves when its signal aborts", async () => {
    const { runtime, transport, ...place } = open();
    let away = false;
    const error = new TransportError("TRANSPORT_UNAVAILABLE", "gone");
    const shaky = wrapped(transport, (inner) => ({
      reserve: (queues, options) => away ? Promise.reject(error) : inner.reserve(queues, options),
    }));
    const relay = place.relay(jobs, { transport: shaky });
    const states = heard(relay.events, "connection");
    const seen: string[] = [];
    relay.handle("job", (payload) => seen.push(payload));
    const worker = running(relay, { poll: 100 });
    await runtime.advance(500);
    away = true;
    await runtime.advance(2_000);
    await relay.dispatch("job", "x");
    away = false;
    await runtime.advance(5_000);
    expect(seen).toEqual(["x"]);
    expect(states).toMatchObject([{ state: "down", error }, { state: "up" }]);
    expect(worker.ended).toBe(false);
    await worker.abort();
  });

  it("F181, W82: a job that kills every worker is counted and ends among the dead", async () => {
    const place = open();
    const relay = place.relay(jobs);
    const lost = heard(relay.events, "lost");
    let runs = 0;
    relay.handle("job", () => void runs++);
    await relay.dispatch("job", "poison");
    for (let i = 0; i < 3; i++) await perish(place, 1_000);
    await relay.drain({ maxLost: 2 });
    expect(runs).toBe(0);
    expect(lost).toMatchObject([{ lost: 3 }]);
    expect(await relay.info()).toEqual({ ...EMPTY, timeout: 1 });
    expect((await relay.list("default", "timeout")).jobs).toMatchObject([
      { lost: 3, dead: { reason: "lost", lost: 3 } },
    ]);
  });

  it("F182: the dead are listed newest first, brought back one by one, forgotten, and flushed", async () => {
    const place = open();
    const relay = await buried(place, ["a", "b", "c", "d"]);
    const ids = async (): Promise<string[]> =>
      (await relay.list("default", "failed")).jobs.map(({ id }) => id);
    expect(await ids()).toEqual(["d", "c", "b", "a"]);
    expect(await relay.reload("default", "failed", { ids: ["b"] })).toEqual({ reloaded: 1, taken: 0 });
    expect(await ids()).toEqual(["d", "c", "a"]);
    expect(textOf((await relay.get("default", "b"))?.payload ?? bytes(""))).toBe('"payload of b"');
    expect(await relay.get("default", "nobody")).toBeUndefined();
    expect(await relay.reload("default", "failed", { ids: ["nobody"] })).toEqual({ reloaded: 0, taken: 0 });
    expect(await relay.remove("default", "failed", { ids: ["c"] })).toBe(1);
    expect(await ids()).toEqual(["d", "a"]);
    // One that cannot come back stays where it is.
    await relay.dispatch("job", "another", { id: "a", idWindow: 0 });
    expect(await relay.reload("default", "failed", { ids: ["a"] })).toEqual({ reloaded: 0, taken: 1 });
    expect(await ids()).toEqual(["d", "a"]);
    expect(await relay.remove("default", "failed", "all")).toBe(2);
    expect(await ids()).toEqual([]);
  });

  it("F185: waiting jobs are listed page by page, the next to run first", async () => {
    const relay = open().relay(jobs);
    for (let i = 0; i < 7; i++) await relay.dispatch("job", `${i}`, { id: `job ${i}` });
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await relay.list("default", "waiting", { limit: 3, cursor });
      seen.push(...page.jobs.map(({ id }) => id));
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(Array.from({ length: 7 }, (_, i) => `job ${i}`));
  });

  it("W57: stopping a worker whose job has one attempt lets it finish, and fails nothing", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: { schema: free<string>(), maxAttempts: 1, backoff: exponential(10) } });
    const completed = heard(relay.events, "completed");
    relay.handle("job", () => runtime.sleep(300));
    await relay.dispatch("job", "x");
    const worker = running(relay);
    await runtime.advance(100);
    const stopped = worker.worker.stop();
    await runtime.advance(300);
    await stopped;
    expect(completed).toHaveLength(1);
    expect(await relay.info()).toEqual(EMPTY);
  });
}
