/** Runs that fail, and outcomes: F105, F108, F109, F112 to F116, F119, F125 to F128, F187. */
import { expect, it } from "vitest";
import {
  after,
  at,
  complete,
  deadLetter,
  every,
  exponential,
  fixed,
  reschedule,
  retry,
  TooLargeError,
  TransportError,
  UnknownJobError,
} from "../../../mod.ts";
import { writeMeta } from "../../../src/jobs/record.ts";
import { expectDue } from "../support/due.ts";
import { bytes, free, heard, rejection, running, thrown, wrapped } from "../support/kit.ts";
import type { OpenPlace } from "../support/place.ts";

const HOUR = 3_600_000;
const jobs = { job: free<string>() };

/** An Error as one from another realm looks: no instance of this one's class. */
function foreignError(): unknown {
  const error = new Error("from elsewhere");
  return Object.setPrototypeOf(error, { name: "Error" });
}

/** A value whose properties can be read by nothing but an await. */
function unreadable(): unknown {
  return new Proxy({}, {
    get(_, key) {
      if (key !== "then") throw new Error("cannot be read");
      return undefined;
    },
  });
}

export function failing(open: OpenPlace): void {
  it.each([
    ["throws", () => {
      throw new Error("thrown");
    }],
    ["rejects", () => Promise.reject(new Error("rejected"))],
    ["throws what is no error", () => {
      // deno-lint-ignore no-throw-literal
      throw "a string";
    }],
    ["rejects with nothing", () => Promise.reject(undefined)],
    ["throws what cannot be shown", () => {
      throw Object.create(null);
    }],
  ])(
    "F105, W03, W59: a handler that %s fails its job on each of three runs, and the next job runs",
    async (_, fail) => {
      const { runtime, ...place } = open();
      const relay = place.relay(jobs);
      const seen: string[] = [];
      relay.handle("job", (payload) => {
        seen.push(payload);
        return payload === "bad" ? fail() : undefined;
      });
      await relay.dispatch("job", "bad");
      await relay.dispatch("job", "good");
      const worker = running(relay, { maxRetry: 3, backoff: fixed(10) });
      await runtime.advance(1_000);
      await worker.abort();
      expect(seen.toSorted()).toEqual(["bad", "bad", "bad", "good"]);
      expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0, reserved: 0, failed: 1 });
      expect((await relay.list("default", "failed")).jobs).toMatchObject([
        { attempts: 3, dead: { reason: "exhausted" }, lastError: { message: expect.any(String) } },
      ]);
    },
  );

  it.each([[3, 3, 3], [2, Infinity, 2], [1, Infinity, 1], [3, 1, 1]])(
    "F108: with maxRetry %i, a job that succeeds on run %d runs %i times",
    async (maxRetry, succeedsOn, wanted) => {
      const { runtime, ...place } = open();
      const relay = place.relay(jobs);
      let runs = 0;
      relay.handle("job", () => {
        if (++runs < succeedsOn) throw new Error("not yet");
      });
      await relay.dispatch("job", "x");
      const worker = running(relay, { maxRetry, backoff: fixed(1) });
      await runtime.advance(1_000);
      await worker.abort();
      expect(runs).toBe(wanted);
      expect(await relay.info()).toMatchObject({ failed: runs < succeedsOn ? 1 : 0, delayed: 0 });
    },
  );

  it.each([1, 2, 3, 4])(
    "F116: with %i attempts a job that always fails runs as often, and then is dead",
    async (n) => {
      const { runtime, ...place } = open();
      const relay = place.relay({ job: { schema: free<string>(), maxAttempts: n, backoff: fixed(1) } });
      const retrying = heard(relay.events, "retrying");
      const failed = heard(relay.events, "failed");
      relay.handle("job", () => {
        throw new Error("always");
      });
      await relay.dispatch("job", "x");
      const worker = running(relay, { maxRetry: 9 });
      await runtime.advance(1_000);
      await worker.abort();
      expect([retrying.length, failed.length]).toEqual([n - 1, 1]);
      expect(failed[0]).toMatchObject({ attempt: n, reason: "exhausted" });
    },
  );

  it("F109: a backoff of 20 ms makes gaps of 20, 40 and 80 ms", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const at: number[] = [];
    relay.handle("job", () => {
      at.push(runtime.monotonic());
      throw new Error("always");
    });
    await relay.dispatch("job", "x");
    const worker = running(relay, { maxRetry: 4, backoff: exponential(20, { jitter: 0 }) });
    await runtime.advance(1_000);
    await worker.abort();
    expect(at).toHaveLength(4);
    for (const [n, gap] of [20, 40, 80].entries()) expectDue(at[n + 1], (at[n] ?? 0) + gap, place.pace);
  });

  it("F109, W36: the two hundredth attempt has the longest delay and no other", async () => {
    const { transport, ...place } = open();
    const relay = place.relay(jobs);
    const retrying = heard(relay.events, "retrying");
    relay.handle("job", () => {
      throw new Error("always");
    });
    const meta = writeMeta({ v: 1, attempts: 199 });
    const old = { queue: "default", id: "old", name: "job", payload: bytes('"x"'), meta };
    await transport.push([old], { deadline: 1_000 });
    await relay.drain({ maxRetry: 10_000, backoff: exponential(5_000, { max: HOUR, jitter: 0 }) });
    expect(retrying).toMatchObject([{ attempt: 200, delay: HOUR }]);
  });

  it("F112, F113: retry, exhaustion, an unknown name and a broker's error are told once each", async () => {
    const { runtime, transport, ...place } = open();
    let away = false;
    const error = new TransportError("TRANSPORT_UNAVAILABLE", "gone");
    const shaky = wrapped(transport, (inner) => ({
      reserve: (queues, options) => away ? Promise.reject(error) : inner.reserve(queues, options),
    }));
    const relay = place.relay(jobs, { transport: shaky });
    const lines: string[] = [];
    for (const type of ["retrying", "failed", "released"] as const) {
      relay.events.addEventListener(type, ({ detail }) => lines.push(`${type} ${detail.job.name}`));
    }
    relay.events.addEventListener("connection", ({ detail }) => lines.push(`connection ${detail.state}`));
    relay.handle("job", () => {
      throw new Error("always");
    });
    await transport.push(
      [{ queue: "default", id: "1", name: "nobody's", payload: bytes("1"), meta: "" }],
      { deadline: 1_000 },
    );
    await relay.dispatch("job", "x");
    const worker = running(relay, { maxRetry: 2, backoff: fixed(10), poll: 100 });
    await runtime.advance(500);
    away = true;
    await runtime.advance(450);
    away = false;
    await runtime.advance(45);
    await worker.abort();
    expect(lines.toSorted()).toEqual(["connection down", "failed job", "released nobody's", "retrying job"]);
  });

  it("F113: tells exhaustion once, with the last error", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const retrying = heard(relay.events, "retrying");
    const failed = heard(relay.events, "failed");
    let runs = 0;
    relay.handle("job", () => {
      throw new Error(`failure ${++runs}`);
    });
    await relay.dispatch("job", "x", { id: "mine" });
    const worker = running(relay, { maxRetry: 3, backoff: fixed(1) });
    await runtime.advance(1_000);
    await worker.abort();
    expect(retrying).toHaveLength(2);
    expect(failed).toMatchObject([{ job: { id: "mine" }, error: { message: "failure 3" } }]);
  });

  it("F114, W34: an exhausted job is among the dead and nowhere else", async () => {
    const relay = open().relay(jobs);
    relay.handle("job", () => {
      throw new Error("the last word");
    });
    const { id } = await relay.dispatch("job", "x", { maxAttempts: 1 });
    await relay.drain();
    expect(await relay.info()).toEqual({ waiting: 0, delayed: 0, reserved: 0, failed: 1, timeout: 0 });
    expect((await relay.list("default", "failed")).jobs).toMatchObject([
      { id, name: "job", queue: "default", attempts: 1, lastError: { message: "the last word" } },
    ]);
  });

  it("F115: a name without a handler is handed back without counting for an hour, and then dead", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ known: free<string>(), other: free<string>() });
    const released = heard(relay.events, "released");
    const failed = heard(relay.events, "failed");
    relay.handle("known", () => undefined);
    await relay.dispatch("other", "x");
    const worker = running(relay, { poll: 60_000 });
    await runtime.advance(HOUR - 1_000);
    expect(failed).toEqual([]);
    expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 1, failed: 0 });
    await runtime.advance(120_000);
    await worker.abort();
    expect(released.length).toBeGreaterThan(60);
    expect(released.every(({ attempt, reason }) => attempt === 1 && reason === "unknown")).toBe(true);
    expect(failed).toMatchObject([{ reason: "unknown", channel: "failed" }]);
    expect(failed[0]?.error).toBeInstanceOf(UnknownJobError);
    expect((await relay.list("default", "failed")).jobs).toMatchObject([{ attempts: 0 }]);
  });

  it("F115: an unknown name is dead at once, or dropped, where the worker says so", async () => {
    const relay = open().relay({ known: free<string>(), other: free<string>() });
    relay.handle("known", () => undefined);
    const errors = heard(relay.events, "error");
    await relay.dispatch("other", "x");
    expect(await relay.drain({ unknown: "dead" })).toMatchObject({ failed: 1 });
    expect((await relay.list("default", "failed")).jobs).toMatchObject([
      { name: "other", attempts: 0, dead: { reason: "unknown" }, lastError: { code: "UNKNOWN_JOB" } },
    ]);
    await relay.dispatch("other", "x");
    await relay.drain({ unknown: "drop" });
    expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0, failed: 1 });
    expect(errors).toMatchObject([{ error: { code: "UNKNOWN_JOB" } }]);
  });

  it("F115, W103: of two workers the one that knows the name handles it", async () => {
    const { runtime, ...place } = open();
    const old = place.relay({ known: free<string>() });
    const young = place.relay({ known: free<string>(), fresh: free<string>() });
    const seen: string[] = [];
    old.handle("known", () => undefined);
    const older = running(old, { poll: 60_000 });
    await young.dispatch("fresh", "x");
    await runtime.advance(10_300);
    young.handle("fresh", (payload, { attempt }) => seen.push(`${payload} ${attempt}`));
    const younger = running(young, { poll: 60_000 });
    await runtime.advance(HOUR / 2);
    await older.abort();
    await younger.abort();
    expect(seen).toEqual(["x 1"]);
  });

  it("F119: listeners run in order, the first failure stops the run, and a retry runs all again", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const order: string[] = [];
    relay.handle("job", [
      () => order.push("A"),
      () => {
        order.push("B");
        if (order.length === 2) throw new Error("once");
      },
      { handle: () => order.push("C") },
    ]);
    await relay.dispatch("job", "x");
    const worker = running(relay, { backoff: fixed(10) });
    await runtime.advance(1_000);
    await worker.abort();
    expect(order).toEqual(["A", "B", "A", "B", "C"]);
  });

  it("F125: complete() ends the job, and completion is told once", async () => {
    const relay = open().relay(jobs);
    const completed = heard(relay.events, "completed");
    relay.handle("job", () => complete());
    await relay.dispatch("job", "x");
    await relay.drain();
    expect(completed).toHaveLength(1);
    expect(await relay.info()).toEqual({ waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 });
  });

  it("W83: a handler that returns nothing, or whatever it likes, has completed its job after one run", async () => {
    const relay = open().relay(jobs);
    let runs = 0;
    relay.handle("job", (text) => {
      runs++;
      return text === "nothing" ? undefined : { rows: 3 };
    });
    await relay.dispatch("job", "nothing");
    await relay.dispatch("job", "something");
    expect(await relay.drain()).toMatchObject({ completed: 2, retried: 0, rescheduled: 0 });
    expect(runs).toBe(2);
  });

  it("F126: retry() says when the job runs again, and its error and attempt are stored", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const seen: [number, string | undefined, number][] = [];
    const start = runtime.monotonic();
    relay.handle("job", (_, { attempt, job }) => {
      seen.push([attempt, job.lastError?.message, runtime.monotonic() - start]);
      if (attempt === 1) return retry({ delay: 0, error: new Error("first") });
      return attempt === 2 ? retry({ delay: 1_000, error: "second" }) : complete();
    });
    await relay.dispatch("job", "x");
    const worker = running(relay);
    await runtime.advance(999);
    expect(seen).toEqual([[1, undefined, 0], [2, "first", 0]]);
    expect(await relay.info()).toMatchObject({ delayed: 1 });
    await runtime.advance(100);
    await worker.abort();
    expect(seen).toHaveLength(3);
    expect(seen[2]).toEqual([3, "second", expect.any(Number)]);
    expectDue(seen[2]?.[2], 1_000, place.pace);
  });

  it("F127, W81: deadLetter() ends the job with or without an error", async () => {
    const relay = open().relay(jobs);
    relay.handle(
      "job",
      (payload) => payload === "bare" ? deadLetter() : deadLetter({ error: new Error("no good") }),
    );
    await relay.dispatch("job", "bare", { id: "bare" });
    await relay.dispatch("job", "told", { id: "told", requestId: "r1" });
    await relay.drain();
    expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0, reserved: 0, failed: 2 });
    expect(await relay.get("default", "told")).toMatchObject({
      name: "job",
      queue: "default",
      attempts: 1,
      requestId: "r1",
      lastError: { message: "no good" },
      dead: { channel: "failed", reason: "refused", at: expect.any(Number) },
    });
    expect((await relay.get("default", "bare"))?.lastError?.message).toContain("refused");
  });

  it.each<[string, unknown, string]>([
    ["a recurrence", every(1_000), "return reschedule(every(ms)), not every(ms)"],
    [
      "a recurrence of its own",
      { next: () => ({ delay: 5 }) },
      "return reschedule(every(ms)), not every(ms)",
    ],
    ["an Error", new RangeError("no such row"), "an Error (no such row): throw it"],
    ["an Error of another realm", foreignError(), "throw it, or return retry({ error })"],
    ["retry uncalled", retry, "return retry()"],
    ["complete uncalled", complete, "return complete()"],
    ["deadLetter uncalled", deadLetter, "return deadLetter()"],
    ["reschedule uncalled", reschedule, "return reschedule(every(ms))"],
    ["after uncalled", after, "return reschedule(after(ms))"],
    ["at uncalled", at, "return reschedule(at(instant))"],
    ["every uncalled", every, "return reschedule(every(ms))"],
  ])(
    "a handler that returns %s has made a mistake: its job is dead at once, says what to write, and no later listener runs",
    async (_, value, write) => {
      const { runtime, ...place } = open();
      const relay = place.relay(jobs);
      const told = heard(relay.events, "failed");
      const calls: string[] = [];
      relay.handle("job", [
        () => (calls.push("first"), Promise.resolve(value)),
        () => calls.push("second"),
      ]);
      await relay.dispatch("job", "x");
      expect(await relay.drain()).toMatchObject({ failed: 1, completed: 0, retried: 0 });
      await runtime.advance(HOUR);
      expect(calls).toEqual(["first"]);
      expect(told).toMatchObject([{ reason: "outcome", channel: "failed", attempt: 1 }]);
      expect((await relay.list("default", "failed")).jobs).toMatchObject([
        { attempts: 1, dead: { reason: "outcome" }, lastError: { message: expect.stringContaining(write) } },
      ]);
    },
  );

  it.each<[string, unknown]>([
    ["a name and a message", { name: "Error", message: "a row's" }],
    ["a function", () => retry()],
    ["a generator", [1].values()],
    ["an async generator", (async function* () {})()],
    ["a `next` that is no function", { next: "page" }],
    ["a value whose properties cannot be read", unreadable()],
  ])("a handler that returns %s has returned a value of its own: its job is done", async (_, value) => {
    const relay = open().relay(jobs);
    relay.handle("job", () => value);
    await relay.dispatch("job", "x");
    expect(await relay.drain()).toMatchObject({ failed: 0, completed: 1 });
  });

  it("F128: a reschedule is no failure: each run is attempt 1", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const runs: [number, number][] = [];
    const start = runtime.monotonic();
    relay.handle("job", (_, { attempt }) => {
      runs.push([attempt, Math.round(runtime.monotonic() - start)]);
      return runs.length < 3 ? reschedule(after(runs.length === 1 ? 0 : 1_000)) : complete();
    });
    await relay.dispatch("job", "x");
    const worker = running(relay, { maxRetry: 1 });
    await runtime.advance(2_000);
    await worker.abort();
    expect(runs).toEqual([[1, 0], [1, 0], [1, expect.any(Number)]]);
    expectDue(runs[2]?.[1], 1_000, place.pace);
    expect(await relay.info()).toMatchObject({ failed: 0, delayed: 0 });
  });

  it("F187: duplicate, empty and unknown registrations are refused, and one may be taken back", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const seen: string[] = [];
    const first = relay.handle("job", (payload) => seen.push(payload));
    const handle = relay.handle as (name: string, handler: unknown) => Disposable;
    expect(thrown(() => handle("job", () => undefined)).message).toContain("it has a handler");
    expect(thrown(() => handle("", () => undefined))).toBeInstanceOf(UnknownJobError);
    expect(thrown(() => handle("nobody's", () => undefined))).toBeInstanceOf(UnknownJobError);
    const worker = running(relay);
    await relay.dispatch("job", "heard");
    await runtime.settle();
    first[Symbol.dispose]();
    await relay.dispatch("job", "unheard");
    await runtime.advance(10_000);
    expect(seen).toEqual(["heard"]);
    await worker.worker.stop();
    expect(worker.ended).toBe(true);
    expect(await relay.info()).toMatchObject({ failed: 0, reserved: 0 });
  });

  it("F187: with a limit of 4 MiB a payload of 5 MiB is refused, and one of 4 MiB is stored", async () => {
    const relay = open().relay(jobs, { maxPayload: 4 * 1024 * 1024 });
    const error = await rejection(relay.dispatch("job", "x".repeat(5 * 1024 * 1024)));
    expect(error).toBeInstanceOf(TooLargeError);
    expect(error).toMatchObject({ size: 5 * 1024 * 1024 + 2, limit: 4 * 1024 * 1024 });
    await relay.dispatch("job", "x".repeat(4 * 1024 * 1024 - 2));
    expect(await relay.info()).toMatchObject({ waiting: 1 });
  });
}
