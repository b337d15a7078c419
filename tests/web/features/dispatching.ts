/** Dispatch and its options: F020 to F038. */
import { expect, it } from "vitest";
import {
  BulkRefusedError,
  DuplicateJobError,
  fixed,
  from,
  JobTimeout,
  OutcomeUnknown,
  TransportError,
  UnknownJobError,
  UnknownQueueError,
} from "../../../mod.ts";
import { expectDue } from "../support/due.ts";
import { free, heard, rejection, running, wrapped } from "../support/kit.ts";
import type { OpenPlace } from "../support/place.ts";

const DAY = 86_400_000;

export function dispatching(open: OpenPlace): void {
  it("F020: an idle worker runs a job at once", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: free<undefined>() });
    const at: number[] = [];
    relay.handle("job", () => at.push(runtime.monotonic()));
    const worker = running(relay);
    await runtime.advance(500);
    const start = runtime.monotonic();
    await relay.dispatch("job");
    await runtime.settle();
    await worker.abort();
    expect(at).toEqual([start]);
  });

  it("F021: a delayed job is not there 20 ms later, and is there when its 80 ms are over", async () => {
    const { runtime, transport, ...place } = open();
    const relay = place.relay({ job: free<undefined>() });
    const asks = { deadline: 1_000, limit: 1, slots: 1, lease: 1_000 };
    await relay.dispatch("job", undefined, { delay: 80 });
    const early = transport.reserve(["default"], { ...asks, wait: 20 });
    await runtime.advance(20);
    expect(await early).toEqual([]);
    const start = runtime.monotonic();
    let after: number | undefined;
    const late = transport.reserve(["default"], { ...asks, wait: 200 }).then((deliveries) => {
      after = runtime.monotonic() - start;
      return deliveries;
    });
    await runtime.advance(200);
    expect(await late).toHaveLength(1);
    expect(after).toBeCloseTo(60, 3);
  });

  it("F022: of jobs delayed by 1 s and 1 h, only the first ran after 2 s", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: free<string>() });
    const seen: string[] = [];
    relay.handle("job", (payload) => seen.push(payload));
    await relay.dispatch("job", "hour", { delay: 3_600_000 });
    await relay.dispatch("job", "second", { delay: 1_000 });
    const worker = running(relay);
    await runtime.advance(999);
    expect(seen).toEqual([]);
    await runtime.advance(1_001);
    await worker.abort();
    expect(seen).toEqual(["second"]);
    expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 1 });
  });

  it("F023, W66: an instant is kept, however late the dispatch is", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: free<string>() });
    const at: [string, number][] = [];
    relay.handle("job", (payload) => at.push([payload, runtime.now()]));
    const instant = runtime.now() + 1_000;
    const worker = running(relay);
    await runtime.advance(500);
    await relay.dispatch("job", "number", { at: instant });
    await relay.dispatch("job", "date", { at: new Date(instant + 1) });
    await runtime.advance(2_000);
    await worker.abort();
    expect(at.map(([payload]) => payload)).toEqual(["number", "date"]);
    for (const [n, [, time]] of at.entries()) expectDue(time, instant + n, place.pace);
  });

  it("F024, W93: a delay is kept to the millisecond, and a one-shot finds nothing before", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: free<number>() });
    const seen: number[] = [];
    relay.handle("job", (payload) => seen.push(payload));
    for (const delay of [3_000, 400]) {
      await relay.dispatch("job", delay, { delay });
      await runtime.advance(delay - 1);
      expect(await relay.drain({ limit: 1 })).toMatchObject({ completed: 0 });
      await runtime.advance(1);
      expect(await relay.drain({ limit: 1 })).toMatchObject({ completed: 1 });
    }
    expect(seen).toEqual([3_000, 400]);
  });

  it("F025: a zero or negative delay and an instant in the past mean at once", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: free<number>() });
    const seen: number[] = [];
    relay.handle("job", (payload) => seen.push(payload));
    await relay.dispatch("job", 1, { delay: -5_000 });
    await relay.dispatch("job", 2, { delay: 0 });
    await relay.dispatch("job", 3, { at: runtime.now() - DAY });
    await relay.dispatch("job", 4, { at: new Date(runtime.now() - DAY) });
    expect(await relay.info()).toMatchObject({ waiting: 4, delayed: 0 });
    await relay.drain();
    expect(seen.toSorted()).toEqual([1, 2, 3, 4]);
  });

  it("F026: maxAttempts 3 makes three runs and a dead job, and 1 makes one", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: free<string>() });
    const runs: Record<string, number> = {};
    relay.handle("job", (payload) => {
      runs[payload] = (runs[payload] ?? 0) + 1;
      throw new Error("always");
    });
    await relay.dispatch("job", "three", { maxAttempts: 3 });
    await relay.dispatch("job", "one", { maxAttempts: 1 });
    const worker = running(relay);
    await runtime.advance(60_000);
    await worker.abort();
    expect(runs).toEqual({ three: 3, one: 1 });
    expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0, reserved: 0, failed: 2 });
  });

  it("F027, W56, W99: the signal aborts at the timeout, and the job ends once, in 'timeout'", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: free<undefined>() });
    const failed = heard(relay.events, "failed");
    const start = runtime.monotonic();
    const aborts: unknown[] = [];
    relay.handle("job", (_, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          aborts.push(runtime.monotonic() - start);
          reject(signal.reason);
        });
      }));
    await relay.dispatch("job", undefined, { timeout: 50, maxAttempts: 1 });
    const worker = running(relay);
    await runtime.advance(60_000);
    await worker.abort();
    expect(aborts).toEqual([50]);
    expect(failed).toMatchObject([{ channel: "timeout", reason: "timeout", attempt: 1 }]);
    expect(failed[0]?.error).toBeInstanceOf(JobTimeout);
    expect(await relay.info()).toMatchObject({ failed: 0, timeout: 1, delayed: 0, reserved: 0 });
  });

  it("F027: two listeners share one timeout, so that the second sees the abort", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: { schema: free<undefined>(), timeout: 50, maxAttempts: 1 } });
    const seen: unknown[] = [];
    const listener = (name: string) => async (_: unknown, { signal }: { signal: AbortSignal }) => {
      seen.push([name, signal.aborted]);
      await runtime.sleep(40, signal).catch((reason) => {
        seen.push([name, "aborted"]);
        throw reason;
      });
    };
    relay.handle("job", [listener("first"), listener("second")]);
    await relay.dispatch("job");
    const worker = running(relay);
    await runtime.advance(1_000);
    await worker.abort();
    expect(seen).toEqual([["first", false], ["second", false], ["second", "aborted"]]);
    expect(await relay.info()).toMatchObject({ timeout: 1 });
  });

  it("F028: equal payloads with ids of their own both run, and both ids are shown", async () => {
    const relay = open().relay({ job: free<string>() });
    const completed = heard(relay.events, "completed");
    relay.handle("job", () => undefined);
    await relay.dispatch("job", "same", { id: "a" });
    await relay.dispatch("job", "same", { id: "b" });
    const { jobs } = await relay.list("default", "waiting");
    expect(jobs.map(({ id }) => id)).toEqual(["a", "b"]);
    await relay.drain();
    expect(completed.map(({ job }) => job.id).toSorted()).toEqual(["a", "b"]);
  });

  it("F031: no queue and no name are distinct errors, the queue's first, and nothing is stored", async () => {
    const relay = open().relay({ job: free<undefined>() });
    // A caller without types.
    const dispatch = relay.dispatch as (name: string, payload: unknown, options: object) => Promise<unknown>;
    expect(await rejection(dispatch("job", undefined, { queue: "" }))).toBeInstanceOf(UnknownQueueError);
    expect(await rejection(dispatch("", undefined, {}))).toBeInstanceOf(UnknownJobError);
    expect(await rejection(dispatch("", undefined, { queue: "" }))).toBeInstanceOf(UnknownQueueError);
    expect(await relay.info()).toMatchObject({ waiting: 0 });
    expect(await relay.queues()).toEqual([]);
  });

  it("F032, W95: a live job's id is refused with a typed error, and free once it is done", async () => {
    const relay = open().relay({ job: free<number>() });
    const seen: number[] = [];
    relay.handle("job", (payload) => seen.push(payload));
    const options = { id: "x", idWindow: 0, onDuplicate: "throw" } as const;
    await relay.dispatch("job", 1, options);
    const error = await rejection(relay.dispatch("job", 2, options));
    expect(error).toBeInstanceOf(DuplicateJobError);
    expect(error).toMatchObject({ code: "DUPLICATE_JOB", id: "x" });
    await relay.drain();
    expect(await relay.dispatch("job", 3, options)).toEqual({ id: "x", status: "stored" });
    await relay.drain();
    expect(seen).toEqual([1, 3]);
  });

  it("F033, W96: an atomic bulk with one bad job stores none; ten thousand good ones are stored", async () => {
    const relay = open().relay({ job: free<number>() });
    const many = relay.dispatchMany as (jobs: readonly object[], options: object) => Promise<unknown>;
    const atomic = { atomic: true };
    await relay.dispatch("job", 0, { id: "taken" });
    const one = { name: "job", payload: 1 };
    await expect(many([], atomic)).rejects.toThrow(RangeError);
    if (!relay.transport.features.atomicPush) {
      await expect(many([one], atomic)).rejects.toThrow(TypeError);
      expect(await relay.info()).toMatchObject({ waiting: 1 });
      return;
    }
    const duplicate = await rejection(many([one, { ...one, id: "taken" }, one], atomic));
    expect(duplicate).toBeInstanceOf(BulkRefusedError);
    expect(duplicate).toMatchObject({
      stored: 0,
      failures: [{ index: 1, error: { code: "DUPLICATE_JOB" } }],
    });
    const twice = await rejection(many([{ ...one, id: "b" }, { ...one, id: "b" }], atomic));
    expect(twice).toMatchObject({ stored: 0, failures: [{ index: 1 }] });
    const nameless = await rejection(many([one, { payload: 2 }], atomic));
    expect(nameless).toMatchObject({ stored: 0, failures: [{ index: 1, error: { code: "UNKNOWN_JOB" } }] });
    expect(await relay.info()).toMatchObject({ waiting: 1 });
    const stored = await many(Array.from({ length: 10_000 }, () => one), atomic);
    expect(stored).toHaveLength(10_000);
    expect(await relay.info()).toMatchObject({ waiting: 10_001 });
  });

  it("F036: a dispatch whose signal is aborted already rejects with its reason, and stores nothing", async () => {
    const relay = open().relay({ job: free<number>() });
    const reason = new Error("no longer wanted");
    const signal = AbortSignal.abort(reason);
    expect(await rejection(relay.dispatch("job", 1, { signal }))).toBe(reason);
    expect(await rejection(relay.dispatchMany([{ name: "job", payload: 1 }], { signal }))).toBe(reason);
    const controller = new AbortController();
    const later = relay.dispatch("job", 1, { signal: controller.signal });
    controller.abort(reason);
    expect(await rejection(later)).toBe(reason);
    expect(await relay.info()).toMatchObject({ waiting: 0 });
  });

  it("a bulk that is aborted while the store has it is unknown, though the reason be an error of ours", async () => {
    const { transport, ...place } = open();
    const asked = Promise.withResolvers<void>();
    // The store has the jobs, and the answer comes after the abort.
    const slow = wrapped(transport, (inner) => ({
      push: async (batch, { signal, ...call }) => {
        await inner.push(batch, call);
        const ended = new Promise((_, reject) =>
          signal?.addEventListener("abort", () => reject(signal.reason))
        );
        asked.resolve();
        return await ended as never;
      },
    }));
    const relay = place.relay({ job: free<number>() }, { transport: slow });
    // As the signal of a handler has it, whose job's time is over.
    const reason = new JobTimeout("job", 5);
    const controller = new AbortController();
    const refused = rejection(
      relay.dispatchMany([{ name: "job", payload: 1, id: "a" }], { signal: controller.signal }),
    );
    await asked.promise;
    controller.abort(reason);
    expect(await refused).toMatchObject({
      stored: 0,
      failures: [{ index: 0, error: { code: "OUTCOME_UNKNOWN", id: "a", cause: reason } }],
    });
    expect(await relay.info()).toMatchObject({ waiting: 1 });
  });

  it("jobs that are dispatched in one tick, alone and in lists, run in the order of the calls", async () => {
    const relay = open().relay({ job: free<number>() });
    const seen: number[] = [];
    relay.handle("job", (n) => void seen.push(n));
    // A bridge to a broker subscribes with the first.
    await relay.dispatch("job", 0);
    await relay.drain();
    await Promise.all([
      relay.dispatch("job", 1),
      relay.dispatchMany([{ name: "job", payload: 2 }, { name: "job", payload: 3 }]),
      relay.dispatch("job", 4),
      relay.dispatchMany([{ name: "job", payload: 5 }], { atomic: false }),
      relay.dispatch("job", 6),
    ]);
    await relay.drain({ concurrency: 1 });
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it("a number that a dispatch takes is one that a worker reads, up to the largest", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({
      job: free<number>(),
      versioned: { schema: free<number>(), upcast: from(Number.MAX_SAFE_INTEGER) },
    });
    const seen: unknown[] = [];
    relay.handle("job", (_, { job, attempt }) => {
      seen.push(job.maxAttempts);
      if (attempt === 1) throw new Error("once more");
    });
    relay.handle("versioned", (n) => void seen.push(n));
    const century = 36_525 * 86_400_000;
    const policy = { ...fixed(0, { jitter: 1 }), max: century };
    await relay.dispatch("job", 1, {
      maxAttempts: Number.MAX_SAFE_INTEGER,
      timeout: century,
      backoff: policy,
    });
    await relay.dispatch("versioned", 2);
    await relay.drain();
    await runtime.advance(1_000);
    await relay.drain();
    expect(seen.toSorted()).toEqual([2, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]);
    expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0, failed: 0 });
  });

  it("F037: a broker's error reaches the caller; one after which the job may be there says so", async () => {
    const { transport, ...place } = open();
    let error: Error = new TransportError("TRANSPORT_UNAVAILABLE", "gone", { cause: new Error("no route") });
    const away = wrapped(transport, () => ({ push: () => Promise.reject(error) }));
    const relay = place.relay({ job: free<number>() }, { transport: away });
    expect(await rejection(relay.dispatch("job", 1))).toBe(error);
    error = new Error("the socket closed half-way");
    const unknown = await rejection(relay.dispatch("job", 1, { id: "a" }));
    expect(unknown).toBeInstanceOf(OutcomeUnknown);
    expect(unknown).toMatchObject({ id: "a", cause: error });
  });

  it("F038: a worker of one queue leaves the jobs of another where they are", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({
      a: { schema: free<undefined>(), queue: "A" },
      b: { schema: free<undefined>(), queue: "B", backoff: fixed(0) },
    });
    const seen: string[] = [];
    relay.handle("a", () => seen.push("a"));
    relay.handle("b", () => seen.push("b"));
    const worker = running(relay, { queues: ["A"] });
    await relay.dispatch("a");
    await relay.dispatch("b");
    await runtime.advance(10_000);
    await worker.abort();
    expect(seen).toEqual(["a"]);
    expect(await relay.info("A")).toMatchObject({ waiting: 0, reserved: 0 });
    expect(await relay.info("B")).toMatchObject({ waiting: 1 });
  });
}
