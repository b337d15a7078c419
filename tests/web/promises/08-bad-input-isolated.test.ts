import { expect } from "vitest";
import type { WorkerOptions } from "../../../mod.ts";
import { promise } from "../support/promises.ts";
import { any, encode, listen, number, type Stage, TASK } from "../support/stage.ts";

const SECOND = 1_000;
const HOUR = 3_600_000;

/** A worker for the job `task` with numbers as payloads; what it handled. */
function consume(stage: Stage, options: WorkerOptions = {}) {
  const relay = stage.relay({ task: number });
  const handled: unknown[] = [];
  relay.handle("task", (payload) => void handled.push(payload));
  return { relay, handled, told: listen(relay), running: stage.run(relay, options) };
}

promise(8, "bad input is isolated late", (claim) => {
  const undecodable: readonly [string, { readonly payload?: Uint8Array; readonly meta?: string }][] = [
    ["a payload that is no JSON", { payload: new TextEncoder().encode("{oops") }],
    ["a payload that is no UTF-8", { payload: new Uint8Array([0x22, 0xc3, 0x22]) }],
    ["metadata that is no JSON", { meta: "{" }],
    ["metadata that is no object", { meta: `"v1"` }],
    ["metadata without a version", { meta: `{"attempts":1}` }],
    ["metadata with attempts that are no number", { meta: `{"v":1,"attempts":"1"}` }],
    ["metadata with a negative time", { meta: `{"v":1,"lastDelay":-1}` }],
  ];
  for (const [what, entry] of undecodable) {
    claim(`${what} never reaches the handler, is dead at once, and the worker goes on`, async (stage) => {
      const { relay, handled, told } = consume(stage);
      await stage.put({ id: "bad", payload: encode(1), ...entry });
      await stage.put({ id: "good", payload: encode(2) });
      await stage.runtime.settle();
      expect(handled).toEqual([2]);
      expect(told.of("failed")).toMatchObject([{
        reason: "undecodable",
        channel: "failed",
        job: { id: "bad" },
      }]);
      expect(await relay.get("default", "bad")).toMatchObject({ channel: "failed", attempts: 0 });
    });
  }

  claim("what is decodable and invalid is dead at once", async (stage) => {
    const { relay, handled, told } = consume(stage);
    await stage.put({ id: "bad", payload: encode("text") });
    await stage.put({ id: "good", payload: encode(2) });
    await stage.runtime.settle();
    expect(handled).toEqual([2]);
    expect(told.of("failed")).toMatchObject([{ reason: "invalid", error: { code: "INVALID_PAYLOAD" } }]);
    expect(await relay.get("default", "bad")).toMatchObject({
      channel: "failed",
      dead: { reason: "invalid" },
    });
  });

  claim(
    "a schema that throws or rejects fails the run, and the job lives while attempts are left",
    async (stage) => {
      const schema = any<unknown>();
      const validate = (value: unknown) =>
        value === "throw" ? fail() : value === "reject" ? Promise.reject(new Error("mine")) : { value };
      const fail = (): never => {
        throw new Error("mine");
      };
      const relay = stage.relay({ task: { "~standard": { ...schema["~standard"], validate } } });
      relay.handle("task", () => undefined);
      for (const payload of ["throw", "reject", "fine"]) {
        await stage.put({ id: payload, payload: encode(payload) });
      }
      expect(await relay.drain()).toMatchObject({ retried: 2, completed: 1, failed: 0 });
      expect(await relay.get("default", "reject")).toMatchObject({
        attempts: 1,
        lastError: { message: "mine" },
      });
      await stage.runtime.advance(6 * SECOND);
      expect(await relay.drain({ maxRetry: 2 })).toMatchObject({ failed: 2 });
      expect(await relay.get("default", "throw")).toMatchObject({ dead: { reason: "exhausted" } });
    },
  );

  claim(
    "invalid: 'retry' gives an invalid job back without counting, until a newer schema takes it",
    async (stage) => {
      const { relay, handled, told, running } = consume(stage, { invalid: "retry" });
      await stage.put({ id: "new", payload: encode("2"), meta: `{"v":1,"attempts":1}` });
      await stage.runtime.advance(10 * SECOND);
      expect(told.of("released").length).toBeGreaterThan(2);
      expect(told.of("released").every(({ reason }) => reason === "invalid")).toBe(true);
      running.abort();
      await running.done;
      const newer = stage.relay(TASK, { transport: await stage.client() });
      const attempts: number[] = [];
      newer.handle("task", (_, { attempt }) => void attempts.push(attempt));
      stage.run(newer);
      await stage.runtime.advance(60 * SECOND);
      expect(attempts).toEqual([2]);
      expect(handled).toEqual([]);
      expect(await relay.info()).toMatchObject({ delayed: 0, failed: 0 });
    },
  );

  claim("invalid: 'retry' ends in 'failed' after unknownFor", async (stage) => {
    const { relay } = consume(stage, { invalid: "retry", unknownFor: 10 * SECOND });
    await stage.put({ id: "bad", payload: encode("2") });
    await stage.runtime.advance(30 * SECOND);
    expect(await relay.get("default", "bad")).toMatchObject({
      channel: "failed",
      dead: { reason: "invalid" },
    });
  });

  claim(
    "a name without a handler here is given back, 1 s to 1 min apart, without counting",
    async (stage) => {
      const { relay, told } = consume(stage);
      const times: number[] = [];
      relay.events.addEventListener("released", () => times.push(stage.runtime.now()));
      await stage.put({ id: "new", name: "newer", meta: `{"v":1,"attempts":1,"lost":0}` });
      await stage.runtime.advance(HOUR / 2);
      const gaps = times.slice(1).map((time, i) => Math.round(time - (times[i] ?? 0)));
      expect(gaps[0]).toBe(SECOND);
      expect(Math.max(...gaps)).toBeGreaterThan(30 * SECOND);
      expect(Math.max(...gaps)).toBeLessThanOrEqual(60 * SECOND);
      expect(Math.min(...gaps)).toBe(SECOND);
      expect(told.of("released").every(({ reason, attempt }) => reason === "unknown" && attempt === 2)).toBe(
        true,
      );
      expect(await relay.get("default", "new")).toMatchObject({ channel: "delayed", attempts: 1 });
    },
  );

  claim(
    "it is handled by a newer worker with all its attempts, within a minute of the last older one's end",
    async (stage) => {
      const { running } = consume(stage);
      await stage.put({ id: "new", name: "newer", payload: encode(5) });
      await stage.runtime.advance(HOUR / 4);
      const newer = stage.relay({ newer: number }, { transport: await stage.client() });
      const handled: unknown[] = [];
      newer.handle("newer", (payload, { attempt }) => void handled.push([payload, attempt]));
      stage.run(newer);
      running.abort();
      await stage.runtime.advance(60 * SECOND);
      expect(handled).toEqual([[5, 1]]);
    },
  );

  claim("after unknownFor, an hour by default, it is in 'failed', and not before", async (stage) => {
    const { relay, told } = consume(stage);
    await stage.put({ id: "new", name: "newer" });
    await stage.runtime.advance(HOUR - 1);
    expect(await relay.get("default", "new")).toMatchObject({ channel: "delayed" });
    await stage.runtime.advance(60 * SECOND);
    expect(await relay.get("default", "new")).toMatchObject({
      channel: "failed",
      attempts: 0,
      dead: { reason: "unknown" },
    });
    expect(told.of("failed")).toMatchObject([{ reason: "unknown", error: { code: "UNKNOWN_JOB" } }]);
  });

  claim("a job known by definition but without a handler here is such a name too", async (stage) => {
    const relay = stage.relay({ ...TASK, other: number });
    const told = listen(relay);
    relay.handle("task", () => undefined);
    stage.run(relay);
    await relay.dispatch("other", 1);
    await stage.runtime.settle();
    expect(told.of("released")).toMatchObject([{ reason: "unknown", job: { name: "other" } }]);
  });

  claim(
    "a codec that is not known here is treated like an unknown name, as a newer worker may know it",
    async (stage) => {
      const { relay, told } = consume(stage);
      await stage.put({ id: "packed", payload: encode(1), meta: `{"v":1,"codec":"msgpack"}` });
      await stage.runtime.settle();
      expect(told.of("released")).toMatchObject([{ reason: "unknown" }]);
      expect(await relay.get("default", "packed")).toMatchObject({ channel: "delayed", codec: "msgpack" });
    },
  );

  claim("unknown: 'dead' puts it into 'failed' at once", async (stage) => {
    const { relay } = consume(stage, { unknown: "dead" });
    await stage.put({ id: "new", name: "newer" });
    await stage.runtime.settle();
    expect(await relay.get("default", "new")).toMatchObject({
      channel: "failed",
      dead: { reason: "unknown" },
    });
  });

  claim("unknown: 'drop' removes it, and says so", async (stage) => {
    const { relay, told } = consume(stage, { unknown: "drop" });
    await stage.put({ id: "new", name: "newer" });
    await stage.runtime.settle();
    expect(await relay.get("default", "new")).toBe(undefined);
    expect(told.of("error")).toMatchObject([{
      error: { code: "UNKNOWN_JOB" },
      during: "dropping job 'new'",
    }]);
  });

  for (
    const [what, meta] of [
      ["with the fields that we know", { v: 2, attempts: 1, shape: "new" }],
      ["whose fields are others", { v: 2, attempts: ["1"], lost: "many", maxAttempts: {}, codec: 7 }],
    ] as const
  ) {
    claim(`a record of a newer version, ${what}, is given back as it is, and never killed`, async (stage) => {
      const { relay, handled, told } = consume(stage, { unknown: "dead", unknownFor: 0, maxLost: 0 });
      const text = JSON.stringify(meta);
      await stage.put({ id: "new", payload: encode(1), meta: text });
      await stage.runtime.advance(60 * SECOND);
      expect(handled).toEqual([]);
      expect(told.of("released").length).toBeGreaterThan(10);
      expect(told.of("released").every(({ reason }) => reason === "version")).toBe(true);
      const [entry] = await stage.line.get("default", ["new"], { deadline: 1_000 });
      expect(entry?.meta).toBe(text);
      expect(await relay.info()).toMatchObject({ failed: 0, timeout: 0 });
    });
  }

  claim(
    "an entry of any other program is a job: its queue's metadata, its id, and defaults",
    async (stage) => {
      const { relay, handled } = consume(stage);
      const jobs: unknown[] = [];
      relay.events.addEventListener("started", ({ detail }) => jobs.push(detail.job));
      await stage.put({ id: "raw", payload: encode(3), meta: "" });
      await stage.runtime.settle();
      expect(handled).toEqual([3]);
      expect(jobs).toMatchObject([{
        id: "raw",
        attempts: 0,
        lost: 0,
        requestId: "raw",
        headers: {},
        codec: "json",
      }]);
    },
  );
});
