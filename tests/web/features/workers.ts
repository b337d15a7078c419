/** Workers from start to stop: F043, F100 to F102, F106, F107, F110, F111, F144 to F150. */
import { expect, it } from "vitest";
import { fixed, TransportClosed } from "../../../mod.ts";
import { door, free, heard, rejection, running, thrown, wrapped } from "../support/kit.ts";
import type { OpenPlace } from "../support/place.ts";

const jobs = { job: free<number>() };

export function workers(open: OpenPlace): void {
  it("F043, F111: changes of options are chained, and the last one wins", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    let now = 0;
    let most = 0;
    relay.handle("job", async () => {
      most = Math.max(most, ++now);
      await runtime.sleep(10);
      now--;
    });
    const worker = relay.worker({ concurrency: 1, maxRetry: 1 });
    const same = worker.update({ concurrency: 5 }).update({ poll: 50, backoff: fixed(0) }).update({
      concurrency: 2,
    });
    expect(same).toBe(worker);
    await relay.dispatchMany(Array.from({ length: 10 }, (_, i) => ({ name: "job", payload: i })));
    const run = same.run();
    await runtime.advance(1_000);
    await same.stop();
    await run;
    expect(most).toBe(2);
  });

  it("F100: run is pending while it works, and resolves when its signal aborts", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    relay.handle("job", () => undefined);
    const controller = new AbortController();
    let ended = false;
    const run = relay.run({ signal: controller.signal }).then(() => ended = true);
    await runtime.advance(10_000);
    expect(ended).toBe(false);
    controller.abort(new Error("enough"));
    await runtime.settle();
    expect(ended).toBe(true);
    await run;
  });

  it("F100: a transport that cannot be asked at all makes run reject, and leaves nothing behind", async () => {
    const { runtime, transport, ...place } = open();
    const closed = wrapped(transport, () => ({ reserve: () => Promise.reject(new TransportClosed("test")) }));
    const relay = place.relay(jobs, { transport: closed });
    const seen: number[] = [];
    relay.handle("job", (payload) => seen.push(payload));
    await relay.dispatch("job", 1);
    expect(await rejection(relay.run())).toBeInstanceOf(TransportClosed);
    await runtime.settle();
    expect(runtime.sleepers).toBe(0);
    await runtime.advance(10_000);
    expect(seen).toEqual([]);
    expect(await relay.info()).toMatchObject({ waiting: 1, reserved: 0 });
  });

  it("F101: a handler's signal aborts when run's does, with the same reason", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const reason = new Error("the server goes down");
    const seen: unknown[] = [];
    relay.handle("job", async (_, { signal }) => {
      seen.push(signal.aborted);
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      seen.push(signal.aborted, signal.reason);
    });
    await relay.dispatch("job", 1);
    const controller = new AbortController();
    const run = relay.run({ signal: controller.signal });
    await runtime.settle();
    expect(seen).toEqual([false]);
    controller.abort(reason);
    await run;
    expect(seen).toEqual([false, true, reason]);
  });

  it("F102, W02: a handler that is registered while a worker runs gets its jobs", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({
      early: free<number>(),
      late: { schema: free<number>(), queue: "elsewhere" },
    });
    const seen: string[] = [];
    relay.handle("early", () => seen.push("early"));
    const worker = running(relay);
    await runtime.advance(5_000);
    await relay.dispatch("late", 1);
    relay.handle("late", () => seen.push("late"));
    await relay.dispatch("early", 1);
    await runtime.settle();
    await worker.abort();
    expect(seen.toSorted()).toEqual(["early", "late"]);
  });

  it("F106, F107: run ends by its signal and by stop, and resolves both times", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    relay.handle("job", () => undefined);
    const worker = relay.worker();
    const controller = new AbortController();
    const first = worker.run({ signal: controller.signal });
    await runtime.advance(1_500);
    controller.abort(new Error("the caller's own reason"));
    expect(await first).toBeUndefined();
    const second = worker.run();
    await runtime.advance(1_500);
    await worker.stop();
    expect(await second).toBeUndefined();
  });

  it("F107: stop lets the running job finish, and the worker runs again afterwards", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const done: number[] = [];
    relay.handle("job", async (payload) => {
      await runtime.sleep(300);
      done.push(payload);
    });
    const worker = relay.worker({ concurrency: 1 });
    await worker.stop();
    await relay.dispatch("job", 1);
    const run = worker.run();
    await runtime.advance(100);
    let stopped = false;
    const stop = worker.stop().then(() => stopped = true);
    await runtime.advance(199);
    expect([stopped, done]).toEqual([false, []]);
    await runtime.advance(1);
    await Promise.all([stop, run, worker.stop()]);
    expect(done).toEqual([1]);
    expect(await relay.info()).toMatchObject({ waiting: 0, reserved: 0 });
    await relay.dispatch("job", 2);
    const again = worker.run();
    await runtime.advance(300);
    await worker.stop();
    await again;
    expect(done).toEqual([1, 2]);
  });

  it("F107, W33: a stop in the tick of the run ends it, and a second run beside it is refused", async () => {
    const relay = open().relay(jobs);
    relay.handle("job", () => undefined);
    const worker = relay.worker();
    const run = worker.run();
    await expect(worker.run()).rejects.toThrow("running already");
    await Promise.all([worker.stop(), run]);
    const controller = new AbortController();
    const second = relay.run({ signal: controller.signal });
    await expect(relay.run()).rejects.toThrow("running already");
    controller.abort();
    await second;
  });

  it("F110: an idle worker asks at most once per poll, and once more", async () => {
    const { runtime, transport, ...place } = open();
    let reserves = 0;
    const counted = wrapped(transport, (inner) => ({
      reserve(queues, options) {
        reserves++;
        return inner.reserve(queues, options);
      },
    }));
    const relay = place.relay(jobs, { transport: counted });
    relay.handle("job", () => undefined);
    const worker = running(relay, { poll: 200 });
    await runtime.advance(1_000);
    expect(reserves).toBeGreaterThanOrEqual(5);
    expect(reserves).toBeLessThanOrEqual(6);
    await worker.abort();
  });

  it("F144: two slots run two jobs of 500 ms at once", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const done: number[] = [];
    relay.handle("job", async (payload) => {
      await runtime.sleep(500);
      done.push(payload);
    });
    await relay.dispatch("job", 1);
    await relay.dispatch("job", 2);
    const worker = running(relay, { concurrency: 2 });
    await runtime.advance(500);
    expect(done.toSorted()).toEqual([1, 2]);
    await worker.abort();
  });

  it("F145: a worker is idle once per poll, and drains a full queue without a pause", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const idle = heard(relay.events, "idle");
    let done = 0;
    relay.handle("job", () => void done++);
    const worker = running(relay, { poll: 200, concurrency: 1 });
    await runtime.advance(1_000);
    expect(idle.length).toBeGreaterThanOrEqual(4);
    expect(idle.length).toBeLessThanOrEqual(6);
    const start = runtime.monotonic();
    await relay.dispatchMany(Array.from({ length: 100 }, (_, i) => ({ name: "job", payload: i })));
    await runtime.settle();
    expect([done, runtime.monotonic() - start]).toEqual([100, 0]);
    await worker.abort();
  });

  it("F147, W57, W88: closing lets the running job finish, stops every worker, and may be asked again", async () => {
    const { runtime, transport, ...place } = open();
    const relay = place.relay({ job: { schema: free<number>(), maxAttempts: 1 } });
    const done: number[] = [];
    const aborted: boolean[] = [];
    relay.handle("job", async (payload, { signal }) => {
      await runtime.sleep(300);
      aborted.push(signal.aborted);
      done.push(payload);
    });
    await relay.dispatch("job", 1);
    await relay.dispatch("job", 2);
    const workers = [running(relay, { concurrency: 1 }), running(relay, { concurrency: 1 })];
    await runtime.advance(100);
    let closed = false;
    const closing = relay.close().then(() => closed = true);
    await runtime.advance(199);
    expect(closed).toBe(false);
    await runtime.advance(1);
    await closing;
    await Promise.all([relay.close(), ...workers.map((worker) => worker.done)]);
    expect(done.toSorted()).toEqual([1, 2]);
    expect(aborted).toEqual([false, false]);
    expect(await transport.info("default", { deadline: 1_000 })).toMatchObject({
      waiting: 0,
      reserved: 0,
      failed: 0,
    });
  });

  it("F148: handler and concurrency change while jobs flow, and none is lost", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const seen: [string, number][] = [];
    let now = 0;
    let most = 0;
    const handler = (name: string) => async (payload: number) => {
      most = Math.max(most, ++now);
      await runtime.sleep(10);
      now--;
      seen.push([name, payload]);
    };
    relay.handle("job", handler("old"));
    const worker = running(relay, { concurrency: 2 });
    await relay.dispatchMany(Array.from({ length: 100 }, (_, i) => ({ name: "job", payload: i })));
    await runtime.advance(100);
    expect(most).toBe(2);
    relay.handle("job", handler("new"), { replace: true });
    worker.worker.update({ concurrency: 5 });
    await runtime.advance(1_000);
    await worker.abort();
    expect(most).toBe(5);
    expect(seen.map(([, payload]) => payload).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 100 }, (_, i) => i),
    );
    // What was running already ends with the old handler.
    const firstNew = seen.findIndex(([name]) => name === "new");
    expect(seen.slice(firstNew + 2).every(([name]) => name === "new")).toBe(true);
    expect(firstNew).toBeGreaterThan(0);
  });

  it("F149: without options a worker has ten slots and polls once a second; zeros are refused", async () => {
    const { runtime, transport, ...place } = open();
    const waits: number[] = [];
    const watched = wrapped(transport, (inner) => ({
      reserve(queues, options) {
        waits.push(options.wait);
        return inner.reserve(queues, options);
      },
    }));
    const relay = place.relay(jobs, { transport: watched });
    let now = 0;
    let most = 0;
    const finish = door();
    relay.handle("job", async () => {
      most = Math.max(most, ++now);
      await finish.opened;
      now--;
    });
    const worker = running(relay);
    await runtime.settle();
    expect(waits).toEqual([1_000]);
    await relay.dispatchMany(Array.from({ length: 30 }, (_, i) => ({ name: "job", payload: i })));
    await runtime.settle();
    expect(most).toBe(10);
    finish.open();
    await runtime.settle();
    await worker.abort();
    for (const options of [{ concurrency: 0 }, { concurrency: -1 }, { poll: 0 }, { poll: -1 }]) {
      expect(thrown(() => relay.worker(options))).toBeInstanceOf(RangeError);
    }
  });

  it("F150: a one-shot takes exactly one job, or says that there is none", async () => {
    const relay = open().relay(jobs);
    const seen: number[] = [];
    relay.handle("job", (payload) => seen.push(payload));
    for (let i = 1; i <= 3; i++) await relay.dispatch("job", i);
    for (let i = 1; i <= 3; i++) {
      expect(await relay.drain({ limit: 1 })).toMatchObject({ completed: 1 });
      expect(seen).toHaveLength(i);
      expect(await relay.info()).toMatchObject({ waiting: 3 - i, reserved: 0 });
    }
    expect(await relay.drain({ limit: 1 })).toMatchObject({ completed: 0, failed: 0 });
    expect(seen).toEqual([1, 2, 3]);
  });
}
