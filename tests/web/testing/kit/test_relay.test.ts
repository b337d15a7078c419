import * as v from "valibot";
import { afterEach, expect, test, vi } from "vitest";
import { cron } from "../../../../src/cron/mod.ts";
import {
  after,
  every,
  exponential,
  type HandlerContext,
  JobTimeout,
  LeaseLost,
  type Middleware,
  reschedule,
  retry,
} from "../../../../mod.ts";
import { createFakeRuntime, testRelay } from "../../../../src/testing/mod.ts";

const jobs = {
  "email.welcome": v.object({ userId: v.number(), at: v.optional(v.string()) }),
  "order.paid": { schema: v.object({ id: v.string() }), queue: "billing", maxAttempts: 2 },
};
const day = 86_400_000;

afterEach(() => vi.useRealTimers());

test("a dispatch is kept and nothing runs, until a drain counts how runs ended", async () => {
  await using relay = testRelay(jobs);
  const ran: unknown[] = [];
  relay.handle("email.welcome", ({ userId }) => {
    ran.push(userId);
    if (userId === 2) throw new Error("no such user");
    return userId === 3 ? reschedule(after(1_000)) : undefined;
  });
  for (const userId of [1, 2, 3]) await relay.dispatch("email.welcome", { userId });
  expect(ran).toEqual([]);
  const counts = { completed: 1, retried: 1, rescheduled: 1, failed: 0, released: 0, stale: 0 };
  expect(await relay.drain()).toEqual(counts);
  expect(ran).toEqual([1, 2, 3]);
});

test("on request a dispatch runs its handler in the caller", async () => {
  await using relay = testRelay(jobs, { inline: true });
  const ran: number[] = [];
  relay.handle("email.welcome", ({ userId }) => void ran.push(userId));
  expect((await relay.dispatch("email.welcome", { userId: 7 })).status).toBe("done");
  expect(ran).toEqual([7]);
  expect(relay.dispatched("email.welcome", { userId: 7 })).toHaveLength(1);
  expect((await relay.runJob("email.welcome", { userId: 8 })).ended).toBe("completed");
});

test("'dispatched' answers what fits, by a payload that is equal or by a function", async () => {
  await using relay = testRelay(jobs);
  await relay.dispatchMany([
    { name: "email.welcome", payload: { userId: 42, at: undefined }, delay: 5, headers: { tenant: "a" } },
    { name: "email.welcome", payload: { userId: 43 } },
    { name: "order.paid", payload: { id: "A1" }, id: "paid:A1" },
  ]);
  const [job, ...others] = relay.dispatched("email.welcome", { userId: 42 });
  expect(others).toEqual([]);
  expect(job).toMatchObject({ payload: { userId: 42 }, delay: 5, headers: { tenant: "a" } });
  expect(relay.dispatched("email.welcome")).toHaveLength(2);
  expect(relay.dispatched("email.welcome", ({ userId }) => userId > 42)).toHaveLength(1);
  expect(relay.dispatched("order.paid").map(({ id, queue }) => [id, queue])).toEqual([[
    "paid:A1",
    "billing",
  ]]);
  relay.notDispatched("email.welcome", { userId: 44 });
});

test("a claim that fails shows what was dispatched instead, in an error of no runner's", async () => {
  await using relay = testRelay(jobs);
  expect(() => relay.dispatched("email.welcome")).toThrow(
    "Wanted: a dispatch of 'email.welcome'; nothing was dispatched",
  );
  relay.notDispatched();
  await relay.dispatch("email.welcome", { userId: 41 });
  await relay.dispatch("order.paid", { id: "A1" });
  const claim = (): unknown => relay.dispatched("email.welcome", { userId: 42 });
  expect(claim).toThrow(
    "Wanted: a dispatch of 'email.welcome' with {\"userId\":42}; dispatched were:\n" +
      '  email.welcome {"userId":41}\n  order.paid {"id":"A1"}',
  );
  expect(claim).toThrow(expect.objectContaining({ name: "ClaimError" }));
  expect(() => relay.notDispatched()).toThrow("Wanted: no dispatch; dispatched were:");
  expect(() => relay.notDispatched("order.paid", { id: "A1" })).toThrow(
    'Wanted: no dispatch of \'order.paid\' with {"id":"A1"}; dispatched were:',
  );
  // @ts-expect-error: there is no such job
  expect(() => relay.notDispatched("order.payed")).toThrow("order.payed");
});

test("what was refused, and what was there already, does not count as dispatched", async () => {
  await using relay = testRelay(jobs);
  await relay.dispatch("order.paid", { id: "A1" }, { id: "once" });
  await relay.dispatch("order.paid", { id: "A2" }, { id: "once" });
  // @ts-expect-error: the id is a text
  await expect(relay.dispatch("order.paid", { id: 3 })).rejects.toThrow("order.paid");
  expect(relay.dispatched("order.paid").map(({ payload }) => payload.id)).toEqual(["A1"]);
});

test("a day goes by with each job at its due time and each tick at its own, and few looks at the store", async () => {
  await using relay = testRelay({ ...jobs, report: v.object({}) }, { recurrences: [cron] });
  const reserve = vi.spyOn(relay.transport, "reserve");
  const ran: [string, number][] = [];
  const begun = relay.runtime.now();
  const note = (name: string) => () => void ran.push([name, relay.runtime.now() - begun]);
  relay.handle("email.welcome", note("welcome"));
  relay.handle("report", note("report"));
  await relay.schedule("report", {}, { key: "daily", when: cron("0 6 * * *", { timeZone: "UTC" }) });
  await relay.dispatch("email.welcome", { userId: 1 }, { delay: 60_000 });
  const counts = await relay.advance(day);
  expect(ran).toEqual([["welcome", 60_000], ["report", 6 * 3_600_000]]);
  expect(counts).toMatchObject({ completed: 2, failed: 0 });
  expect(relay.runtime.now() - begun).toBe(day);
  expect(relay.dispatched("report")).toHaveLength(1);
  expect(reserve.mock.calls.length).toBeLessThan(20);
});

test("a failed run comes back by its backoff while the clock moves, and is dead after the last", async () => {
  await using relay = testRelay(jobs);
  const runs: number[] = [];
  relay.handle("order.paid", (_, { attempt }) => {
    runs.push(attempt);
    throw new Error("the bank is away");
  });
  await relay.dispatch("order.paid", { id: "A1" }, { backoff: exponential(5_000, { jitter: 0 }) });
  expect(await relay.advance(4_999)).toMatchObject({ retried: 1, failed: 0 });
  expect(await relay.advance(1)).toMatchObject({ retried: 0, failed: 1 });
  expect(runs).toEqual([1, 2]);
});

test("a schedule of each minute ticks 1,440 times in a day", async () => {
  await using relay = testRelay({ beat: v.object({}) });
  let beats = 0;
  relay.handle("beat", () => void beats++);
  await relay.schedule("beat", {}, { key: "beats", when: every(60_000) });
  await relay.advance(day);
  expect([beats, relay.dispatched("beat").length]).toEqual([1_440, 1_440]);
});

test("'advance' waits for handlers whose work is real, before the clock goes on", async () => {
  await using relay = testRelay({ work: { schema: v.object({}), timeout: 1_000 } });
  const ended: number[] = [];
  relay.handle("work", async () => {
    await crypto.subtle.digest("SHA-256", new Uint8Array(1_000));
    ended.push(relay.runtime.now());
  });
  const begun = relay.runtime.now();
  await relay.dispatch("work", {}, { delay: 10 });
  expect((await relay.advance(day)).completed).toBe(1);
  expect(ended).toEqual([begun + 10]);
});

test("a handler that waits for the clock goes on when it has got there, and its timeout aborts it at its time", async () => {
  await using relay = testRelay({
    nap: { schema: v.object({ ms: v.number() }), timeout: 5_000, maxAttempts: 1 },
  });
  const seen: unknown[] = [];
  relay.handle("nap", async ({ ms }, { signal }) => {
    await relay.runtime.sleep(ms, signal).catch((reason) => seen.push(reason));
    seen.push(relay.runtime.now() - begun);
  });
  const begun = relay.runtime.now();
  await relay.dispatch("nap", { ms: 2_000 });
  expect((await relay.advance(1_999)).completed).toBe(0);
  expect((await relay.advance(1)).completed).toBe(1);
  await relay.dispatch("nap", { ms: 60_000 });
  expect((await relay.advance(10_000)).failed).toBe(1);
  expect(seen).toEqual([2_000, expect.any(JobTimeout), 7_000]);
});

test("'runJob' runs the handler once as the run that is asked for, with context, and says how it ended", async () => {
  await using relay = testRelay(jobs);
  const seen: HandlerContext[] = [];
  relay.handle("order.paid", ({ id }, context) => {
    seen.push(context);
    if (id === "bad") throw new Error("refused");
    return id === "later" ? retry({ delay: 7_000 }) : undefined;
  });
  expect(await relay.runJob("order.paid", { id: "A1" }, { id: "paid:A1", headers: { tenant: "a" } })).toEqual(
    {
      ended: "completed",
    },
  );
  expect(await relay.runJob("order.paid", { id: "bad" })).toMatchObject({
    ended: "retrying",
    error: new Error("refused"),
  });
  const last = await relay.runJob("order.paid", { id: "bad" }, { attempt: 2 });
  expect(last).toMatchObject({ ended: "failed", reason: "exhausted", channel: "failed" });
  expect(await relay.runJob("order.paid", { id: "later" })).toMatchObject({
    ended: "retrying",
    delay: 7_000,
  });
  expect(seen.map(({ attempt }) => attempt)).toEqual([1, 1, 2, 1]);
  expect(seen[0]?.job).toMatchObject({ id: "paid:A1", headers: { tenant: "a" }, queue: "billing" });
  relay.notDispatched();
  expect((await relay.info("billing")).failed).toBe(0);
});

test("'runJob' hands over a signal that aborts, refuses a payload as a dispatch does, and asks which group is meant", async () => {
  await using relay = testRelay({ ...jobs, placed: { schema: v.object({}), topic: true } });
  const stop = new AbortController();
  relay.handle("email.welcome", (_, { signal }) => {
    stop.abort(new Error("closing time"));
    throw signal.reason;
  });
  expect(await relay.runJob("email.welcome", { userId: 1 }, { signal: stop.signal })).toEqual({
    ended: "released",
    reason: "stop",
  });
  // @ts-expect-error: the id of a user is a number
  await expect(relay.runJob("email.welcome", { userId: "1" })).rejects.toThrow("email.welcome");
  await expect(relay.runJob("order.paid", { id: "A1" })).rejects.toThrow("it has no handler");
  const ran: string[] = [];
  const mail = relay.handle("placed", () => void ran.push("mail"), { group: "mail" });
  relay.handle("placed", () => void ran.push("audit"), { group: "audit" });
  await expect(relay.runJob("placed", {})).rejects.toThrow("2 groups have a handler for it: give 'group'");
  expect((await relay.runJob("placed", {}, { group: "mail" })).ended).toBe("completed");
  mail[Symbol.dispose]();
  await relay.runJob("placed", {});
  expect(ran).toEqual(["mail", "audit"]);
});

test("'failNext' fails so many runs in the place of their handlers, inside the middlewares", async () => {
  const told: unknown[] = [];
  const watching: Middleware = {
    run: (next) => async () => {
      try {
        return await next();
      } catch (error) {
        told.push(error);
        throw error;
      }
    },
  };
  await using relay = testRelay(jobs, { use: [watching] });
  let runs = 0;
  relay.handle("email.welcome", () => void runs++);
  const away = new Error("the mail server is away");
  relay.failNext(2, away);
  await relay.dispatch("email.welcome", { userId: 1 });
  expect(await relay.advance(60_000)).toMatchObject({ retried: 2, completed: 1 });
  expect([runs, told]).toEqual([1, [away, away]]);
});

test("a job whose lease is taken away runs again, and what the first run did is stale", async () => {
  await using relay = testRelay(jobs);
  const lost: unknown[] = [];
  relay.handle("order.paid", async (_, { job }) => {
    lost.push(job.lost);
    if (job.lost === 0) await relay.loseLease(job.id);
  });
  await relay.dispatch("order.paid", { id: "A1" });
  expect(await relay.drain()).toMatchObject({ stale: 1, completed: 1 });
  expect(lost).toEqual([0, 1]);
  await expect(relay.loseLease("A1")).rejects.toThrow("as no worker holds one");
});

test("a handler whose lease was taken away hears of it at the next heartbeat", async () => {
  await using relay = testRelay(jobs);
  const reasons: unknown[] = [];
  relay.handle("order.paid", async (_, { signal, job }) => {
    if (job.lost > 0) return;
    await relay.loseLease(job.id);
    await relay.runtime.sleep(60_000, signal).catch((reason) => reasons.push(reason));
  });
  await relay.dispatch("order.paid", { id: "A1" });
  expect(await relay.advance(9_999)).toMatchObject({ completed: 1, stale: 0 });
  expect(reasons).toEqual([]);
  expect(await relay.advance(1)).toMatchObject({ completed: 0, stale: 1 });
  expect(reasons).toEqual([expect.any(LeaseLost)]);
});

test("a close does not wait for a handler that hangs", async () => {
  const relay = testRelay(jobs);
  const started = Promise.withResolvers<void>();
  relay.handle("email.welcome", () => {
    started.resolve();
    return new Promise(() => undefined);
  });
  await relay.dispatch("email.welcome", { userId: 1 });
  const run = relay.run();
  await started.promise;
  await relay.close();
  await run;
  expect(relay.runtime.sleepers).toBe(0);
});

test("turns of the event loop are real ones also where fake timers were there before the kit", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "setImmediate"] });
  const loadedNow = "../../../../src/testing/turns.ts?faked";
  const { turn, pause }: typeof import("../../../../src/testing/turns.ts") = await import(loadedNow);
  await turn();
  await pause();
  expect(vi.getTimerCount()).toBe(0);
});

test("fake timers of the runner stand still beside it", async () => {
  // In workerd the runner's own reports take microtasks by the global.
  const micro = globalThis.navigator?.userAgent === "Cloudflare-Workers" ? [] : ["queueMicrotask" as const];
  vi.useFakeTimers({
    toFake: ["setTimeout", "setInterval", "setImmediate", "Date", "performance", ...micro],
  });
  await using relay = testRelay(jobs);
  let runs = 0;
  relay.handle("email.welcome", () => void runs++);
  await relay.dispatch("email.welcome", { userId: 1 }, { delay: day });
  await relay.advance(day);
  await relay.dispatch("email.welcome", { userId: 2 });
  await relay.drain();
  expect([runs, vi.getTimerCount()]).toEqual([2, 0]);
});

test("'advance' refuses a time that is none, and a second one beside the first", async () => {
  await using relay = testRelay(jobs);
  await expect(relay.advance(-1)).rejects.toThrow(RangeError);
  const first = relay.advance(1_000);
  await expect(relay.advance(1_000)).rejects.toThrow("another 'advance' is under way");
  await first;
  expect(relay.runtime.now()).toBe(createFakeRuntime().now() + 1_000);
});
