/** What events and listings say: F017, F113, F122 to F124, F146, F170. */
import { expect, it } from "vitest";
import { after, deadLetter, type EventName, fixed, reschedule } from "../../../mod.ts";
import { bytes, free, heard, running, textOf } from "../support/kit.ts";
import type { OpenPlace } from "../support/place.ts";

const jobs = { job: free<string>() };

export function events(open: OpenPlace): void {
  it("F146: of three runs, one done, one retried, one dead, each is told as started and then as its end", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const told: Record<string, string[]> = { done: [], retried: [], dead: [] };
    for (const type of ["started", "completed", "retrying", "rescheduled", "failed"] as const) {
      relay.events.addEventListener(type, ({ detail }) => void told[detail.job.id]?.push(type));
    }
    const idle = heard(relay.events, "idle");
    const errors = heard(relay.events, "error");
    relay.handle("job", (payload) => {
      if (payload === "dead") return deadLetter();
      if (payload === "retried") throw new Error("no");
      return undefined;
    });
    for (const id of ["done", "retried", "dead"]) {
      await relay.dispatch("job", id, { id, backoff: fixed(3_600_000, { jitter: 0 }) });
    }
    const worker = running(relay, { concurrency: 1, poll: 100 });
    await runtime.advance(1_000);
    await worker.abort();
    expect(told).toEqual({
      done: ["started", "completed"],
      retried: ["started", "retrying"],
      dead: ["started", "failed"],
    });
    expect(idle.length).toBeGreaterThan(0);
    expect(errors).toEqual([]);
  });

  it("a listener's options may be null or a boolean, as those of every EventTarget", async () => {
    const relay = open().relay(jobs);
    const told: string[] = [];
    const listener = (): void => void told.push("told");
    // Event targets of workerd take none that captures.
    const captures = globalThis.navigator?.userAgent === "Cloudflare-Workers" ? [] : [true];
    for (const options of [null, ...captures, false, undefined] as never[]) {
      relay.events.addEventListener("dispatched", listener, options);
    }
    await relay.dispatch("job", "x");
    // Those that do not capture are one.
    expect(told).toHaveLength(1 + captures.length);
    for (const options of [null, ...captures] as never[]) {
      relay.events.removeEventListener("dispatched", listener, options);
    }
    await relay.dispatch("job", "y");
    expect(told).toHaveLength(1 + captures.length);
  });

  it("started says how long the job had been due, and every end of a run how long it took", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: { schema: free<string>(), timeout: 9_000 } });
    const waits = heard(relay.events, "started");
    const ends: [string, EventName, number][] = [];
    for (const type of ["completed", "retrying", "rescheduled", "failed"] as const) {
      relay.events.addEventListener(type, ({ detail }) => {
        ends.push([detail.job.id, type, Math.round(detail.duration)]);
      });
    }
    relay.handle("job", async (payload, { attempt, job }) => {
      await runtime.sleep(250);
      if (payload === "retried" && attempt === 1) throw new Error("no");
      if (payload === "rescheduled" && job.due === job.createdAt) return reschedule(after(60_000));
      if (payload === "dead") return deadLetter();
      if (payload === "slow") await runtime.sleep(100_000);
      return undefined;
    });
    for (const id of ["completed", "retried", "rescheduled", "dead"]) await relay.dispatch("job", id, { id });
    await relay.dispatch("job", "slow", { id: "slow", maxAttempts: 1 });
    await runtime.advance(4_000);
    const worker = running(relay, { backoff: fixed(600_000), abortGrace: 1_000 });
    await runtime.advance(20_000);
    await worker.abort();
    for (const { wait } of waits) expect(wait).toBeGreaterThanOrEqual(4_000);
    expect(waits).toHaveLength(5);
    expect(ends.toSorted()).toEqual([
      ["completed", "completed", 250],
      ["dead", "failed", 250],
      ["rescheduled", "rescheduled", 250],
      ["retried", "retrying", 250],
      ["slow", "failed", 10_000],
    ]);
    await runtime.advance(100_000);
  });

  it("a job whose handler was never called died after 0 ms", async () => {
    const { transport, ...place } = open();
    const relay = place.relay(jobs);
    const failed = heard(relay.events, "failed");
    relay.handle("job", () => undefined);
    const broken = { queue: "default", id: "1", name: "job", payload: bytes("no json"), meta: "" };
    await transport.push([broken], { deadline: 1_000 });
    await relay.drain();
    expect(failed).toMatchObject([{ reason: "undecodable", duration: 0 }]);
  });

  it("F170: what is rescheduled with another payload is told with its bytes, in a copy", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const told: (string | undefined)[] = [];
    const seen: string[] = [];
    relay.events.addEventListener("rescheduled", ({ detail: { payload } }) => {
      told.push(payload === undefined ? undefined : textOf(payload));
      payload?.fill(0);
    });
    relay.handle("job", (payload) => {
      seen.push(payload);
      if (payload === "first") return reschedule(after(1_000), { payload: "second" });
      if (payload === "same" && seen.filter((each) => each === "same").length === 1) {
        return reschedule(after(1_000));
      }
      return undefined;
    });
    await relay.dispatch("job", "first");
    await relay.dispatch("job", "same");
    await relay.drain();
    await runtime.advance(2_000);
    await relay.drain();
    expect(told.toSorted()).toEqual([`"second"`, undefined]);
    expect(seen.toSorted()).toEqual(["first", "same", "same", "second"]);
  });

  it("F017: get and list show all of a stored job; a retry moves updatedAt, and so does a death", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: { schema: free<string>(), queue: "q" } });
    let dead = false;
    relay.handle("job", () => {
      if (dead) return deadLetter();
      throw new Error("no");
    });
    const { id } = await relay.dispatch("job", "x", { requestId: "r" });
    const stored = await relay.get("q", id);
    expect(stored).toMatchObject({ id, queue: "q", name: "job", attempts: 0, requestId: "r" });
    expect(stored?.updatedAt).toBe(stored?.createdAt);
    await runtime.advance(1_000);
    await relay.drain({ backoff: fixed(1_000, { jitter: 0 }) });
    const retried = await relay.get("q", id);
    expect(retried).toMatchObject({ channel: "delayed", attempts: 1, lastError: { message: "no" } });
    expect(retried?.createdAt).toBe(stored?.createdAt);
    expect(retried?.updatedAt).toBe((stored?.createdAt ?? 0) + 1_000);
    dead = true;
    await runtime.advance(2_000);
    await relay.drain();
    const [buried] = (await relay.list("q", "failed")).jobs;
    expect(buried?.updatedAt).toBe((stored?.createdAt ?? 0) + 3_000);
    expect(buried?.updatedAt).toBe(buried?.dead?.at);
  });

  it("F122 to F124: the last failure is told as an abort, each before it as a retry, with error and job", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const retrying = heard(relay.events, "retrying");
    const failed = heard(relay.events, "failed");
    relay.events.addEventListener("retrying", () => {
      throw new Error("a listener's own");
    });
    let broken = true;
    relay.handle("job", () => {
      if (broken) throw new Error("no");
    });
    const { id } = await relay.dispatch("job", "x", { maxAttempts: 2 });
    const worker = running(relay, { backoff: fixed(100, { jitter: 0 }) });
    await runtime.advance(5_000);
    expect(retrying).toMatchObject([{ job: { id, attempts: 0 }, attempt: 1, error: { message: "no" } }]);
    expect(failed).toMatchObject([{ job: { id, attempts: 1 }, attempt: 2, error: { message: "no" } }]);
    broken = false;
    await relay.dispatch("job", "y");
    await runtime.advance(5_000);
    await worker.abort();
    expect([retrying.length, failed.length]).toEqual([1, 1]);
  });

  it("F113: a job that fails three times is told as dead once, with its id and its last error", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const failed = heard(relay.events, "failed");
    relay.handle("job", (_, { attempt }) => {
      throw new Error(`failure ${attempt}`);
    });
    const { id } = await relay.dispatch("job", "x");
    const worker = running(relay, { maxRetry: 3, backoff: fixed(100, { jitter: 0 }) });
    await runtime.advance(5_000);
    await worker.abort();
    expect(failed).toMatchObject([{ job: { id }, error: { message: "failure 3" }, reason: "exhausted" }]);
  });
}
