/** Names, payloads and records: F001 to F019. */
import { expect, it } from "vitest";
import {
  type Codec,
  complete,
  deadLetter,
  fixed,
  from,
  type HandledJob,
  json,
  raw,
  UndecodableError,
  UnencodableError,
} from "../../../mod.ts";
import { aesGcm, gzip, keyRing, pipeline } from "../../../src/codecs/mod.ts";
import { rich } from "../../../src/codecs/rich.ts";
import { readMeta } from "../../../src/jobs/record.ts";
import { systemRuntime } from "../../../src/runtime.ts";
import { bytes, free, heard, rejection, running, textOf } from "../support/kit.ts";
import type { OpenPlace } from "../support/place.ts";
import { orderBehindSlowFilters } from "../support/slow_filters.ts";

const call = { deadline: 1_000 };
const LONG = "compressed ".repeat(300);
const RING = keyRing("main", [{ id: "k1", key: new Uint8Array(32).fill(7) }]);

const backwards: Codec = {
  id: "backwards",
  encode: (value) => json.encode(value).toReversed(),
  decode: (given) => json.decode(given.toReversed()),
};

export function payloads(open: OpenPlace): void {
  it("F001: a handler gets a deep-equal value, already decoded", async () => {
    const relay = open().relay({ email: free<{ to: string; cc?: string[] }>() });
    const seen: unknown[] = [];
    relay.handle("email", (payload) => seen.push(payload));
    await relay.dispatch("email", { to: "a", cc: ["b", "ü\u2028"] });
    await relay.drain();
    expect(seen).toEqual([{ to: "a", cc: ["b", "ü\u2028"] }]);
  });

  it("F002: what is dispatched under a name arrives under that name", async () => {
    const relay = open().relay({ email: free<{ to: string }>(), sum: free<number[]>() });
    const seen: unknown[] = [];
    relay.handle("email", (payload) => seen.push(["email", payload]));
    relay.handle("sum", (payload) => seen.push(["sum", payload]));
    await relay.dispatch("sum", [1, 2]);
    await relay.dispatch("email", { to: "a" });
    await relay.drain();
    expect(seen).toEqual([["sum", [1, 2]], ["email", { to: "a" }]]);
  });

  it("F003: a job runs the handler of its name once, and no other's", async () => {
    const relay = open().relay({ SendWelcomeEmail: free<{ userId: number }>(), Other: free<number>() });
    const seen: unknown[] = [];
    relay.handle("SendWelcomeEmail", ({ userId }) => seen.push(userId));
    relay.handle("Other", () => seen.push("other"));
    await relay.dispatch("SendWelcomeEmail", { userId: 42 });
    await relay.drain();
    expect(seen).toEqual([42]);
  });

  it("F003, W35: what waits under an old name is handled under the new one", async () => {
    const place = open();
    const before = place.relay({ "queue.SendWelcomeEmail": free<number>() });
    await before.dispatch("queue.SendWelcomeEmail", 1);
    const after = place.relay({
      "email.welcome": { schema: free<number>(), aliases: ["queue.SendWelcomeEmail"] },
    });
    const seen: unknown[] = [];
    after.handle("email.welcome", (payload, { job }) => seen.push([payload, job.name]));
    await after.dispatch("email.welcome", 2);
    await after.drain();
    expect(seen).toEqual([[1, "queue.SendWelcomeEmail"], [2, "email.welcome"]]);
  });

  it("F008: a function is a handler, and so is an object with 'handle'", async () => {
    const relay = open().relay({ plain: free<number>(), object: free<number>() });
    const seen: unknown[] = [];
    const handler = {
      factor: 10,
      handle(payload: number) {
        seen.push(payload * this.factor);
        return complete();
      },
    };
    relay.handle("plain", (payload) => seen.push(payload));
    relay.handle("object", handler);
    await relay.dispatch("plain", 1);
    await relay.dispatch("object", 2);
    await relay.drain();
    expect(seen).toEqual([1, 20]);
  });

  it("F009, W72: the stored bytes are exactly the payload's JSON", async () => {
    const place = open();
    const relay = place.relay({ job: free<unknown>() });
    const payload = { z: 1, a: [null, true, "ü"], nested: { "": 0 } };
    await relay.dispatch("job", payload);
    const [delivery] = await place.transport.reserve(["default"], {
      ...call,
      limit: 1,
      slots: 1,
      lease: 1_000,
      wait: 0,
    });
    expect(textOf(delivery?.payload ?? bytes(""))).toBe(JSON.stringify(payload));
  });

  it("F010: what cannot be encoded rejects with its cause, and nothing is stored", async () => {
    const relay = open().relay({ job: free<unknown>() });
    const cycle: Record<string, unknown> = {};
    cycle["self"] = cycle;
    for (const payload of [{ big: 1n }, cycle]) {
      const error = await rejection(relay.dispatch("job", payload));
      expect(error).toBeInstanceOf(UnencodableError);
      expect(error.message).toContain("Cannot encode the payload of 'job'");
      expect(error.cause).toBeInstanceOf(TypeError);
    }
    expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0 });
  });

  it("F011, W09, W43, W51: undecodable bytes are dead at once, and the next job is handled", async () => {
    const place = open();
    const relay = place.relay({ job: free<number>() });
    const seen: number[] = [];
    relay.handle("job", (payload) => seen.push(payload));
    const failed = heard(relay.events, "failed");
    await place.transport.push(
      [{ queue: "default", id: "bad", name: "job", payload: bytes("not json"), meta: "" }],
      call,
    );
    await relay.dispatch("job", 7);
    const drained = await relay.drain({ maxRetry: 5 });
    expect(seen).toEqual([7]);
    expect(drained).toMatchObject({ completed: 1, failed: 1, retried: 0 });
    expect(failed[0]?.error).toBeInstanceOf(UndecodableError);
    const { jobs: [dead] } = await relay.list("default", "failed");
    expect(dead).toMatchObject({
      id: "bad",
      attempts: 0,
      dead: { reason: "undecodable" },
      lastError: { code: "UNDECODABLE" },
    });
    expect(textOf(dead?.payload ?? bytes(""))).toBe("not json");
  });

  it("F012: a queue holds jobs of several codecs, and each is read by what its record names", async () => {
    const place = open();
    const schema = free<string>();
    const relay = (codec: Codec) =>
      place.relay({ job: { schema, codec }, other: { schema, queue: "q", codec: backwards } });
    const all = [json, backwards, pipeline(json, gzip()), pipeline(json, gzip(), aesGcm(RING)), rich];
    const relays = all.map(relay);
    for (const [index, one] of relays.entries()) {
      await one.dispatch("job", `${LONG}${index}`, { id: `${index}` });
    }
    await relays[0]?.dispatch("other", "abc", { id: "other" });
    const codecs = await Promise.all(all.map((_, index) => relays[0]?.get("default", `${index}`)));
    expect(codecs.map((job) => job?.codec)).toEqual([
      "json",
      "backwards",
      "json+gzip",
      "json+gzip+a256gcm:main",
      "rich",
    ]);
    expect(textOf((await relays[0]?.get("q", "other"))?.payload ?? bytes(""))).toBe('"cba"');
    const reader = place.relay({ job: { schema, codec: backwards }, other: { schema, queue: "q" } }, {
      codecs: all,
    });
    const seen: string[] = [];
    for (const name of ["job", "other"] as const) reader.handle(name, (text) => void seen.push(text));
    expect(await reader.drain()).toMatchObject({ completed: 6, failed: 0 });
    expect(seen.toSorted()).toEqual(["abc", ...all.map((_, index) => `${LONG}${index}`)]);
  });

  it("F012: of an encrypted job neither payload nor error is stored in clear, and both come back", async () => {
    const place = open();
    const codec = pipeline(json, gzip(), aesGcm(RING));
    const relay = place.relay({ job: { schema: free<string>(), codec, require: true, maxAttempts: 1 } });
    relay.handle("job", (text) => {
      throw new Error(`no room for ${text}`);
    });
    await relay.dispatch("job", "secret", { id: "1" });
    expect(await relay.drain()).toMatchObject({ failed: 1 });
    const [entry] = await place.transport.get("default", ["1"], call);
    expect(`${entry?.meta} ${textOf(entry?.payload ?? bytes("secret"))}`).not.toContain("secret");
    const { jobs: [dead] } = await relay.list("default", "failed");
    expect(dead).toMatchObject({
      dead: { reason: "exhausted" },
      lastError: { message: "no room for secret" },
    });
    const other = place.relay({ job: free<string>() });
    expect((await other.get("default", "1"))?.lastError).toEqual({
      name: "Error",
      message: "[encrypted, key k1]",
    });
  });

  it("jobs that pass filters are stored in the order of their dispatch", async () => {
    const place = open();
    const seen = await orderBehindSlowFilters((codec) =>
      place.relay({ job: { schema: free<number>(), codec } })
    );
    expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it("an older program's payload climbs to what the schema takes now, and a newer one's is left to a newer worker", async () => {
    const place = open();
    const old = place.relay({ job: free<string>() });
    const upcast = from(1, (text: string) => [text]).step((texts) => ({ texts }));
    const today = place.relay({ job: { schema: free<{ texts: string[] }>(), upcast } });
    await old.dispatch("job", "x", { id: "old" });
    await today.dispatch("job", { texts: ["y"] }, { id: "new" });
    old.handle("job", () => deadLetter());
    const released = heard(old.events, "released");
    expect(await old.drain({ limit: 2, queues: ["default"], maxRetry: 1 })).toMatchObject({
      failed: 1,
      released: 1,
    });
    expect(released).toMatchObject([{ reason: "version", job: { id: "new", version: 3 } }]);
    await old.reload("default", "failed", "all");
    await place.runtime.advance(5_000);
    const seen: unknown[] = [];
    today.handle("job", (payload, { job }) => void seen.push([payload, job.version]));
    expect(await today.drain({ concurrency: 1 })).toMatchObject({ completed: 2 });
    expect(seen).toHaveLength(2);
    expect(seen).toEqual(expect.arrayContaining([[{ texts: ["x"] }, 1], [{ texts: ["y"] }, 3]]));
  });

  it("F013: bytes arrive as they were, and no payload arrives as none", async () => {
    const relay = open().relay({
      bytes: { schema: free<Uint8Array>(), codec: raw },
      nothing: free<undefined>(),
    });
    const seen: unknown[] = [];
    relay.handle("bytes", (payload) => seen.push([...payload]));
    relay.handle("nothing", (payload) => seen.push(payload));
    await relay.dispatch("bytes", new Uint8Array([0, 255, 10]));
    await relay.dispatch("bytes", new Uint8Array(0));
    await relay.dispatch("nothing");
    await relay.drain();
    expect(seen).toEqual([[0, 255, 10], [], undefined]);
    expect([raw.id, json.id]).toEqual(["raw", "json"]);
  });

  it("F014, W06: a handler sees its job's record, with 0 attempts and then 1", async () => {
    const place = open();
    const relay = place.relay({ job: { schema: free<{ n: number }>(), queue: "q" } });
    const seen: HandledJob[] = [];
    relay.handle("job", (_, { job }) => {
      seen.push(job);
      if (job.attempts === 0) throw new Error("once");
    });
    const at = place.runtime.now();
    await relay.dispatch("job", { n: 1 });
    await relay.dispatch("job", { n: 2 });
    const worker = running(relay, { concurrency: 1 });
    await place.runtime.advance(10_000);
    await worker.abort();
    const [first, second, ...later] = seen;
    const retried = later.find(({ id }) => id === first?.id);
    expect(first).toMatchObject({ queue: "q", name: "job", attempts: 0, createdAt: at });
    expect(textOf(first?.payload ?? bytes(""))).toBe('{"n":1}');
    expect(first?.id).not.toBe("");
    expect(second?.id).not.toBe(first?.id);
    expect(retried).toMatchObject({ attempts: 1, createdAt: at });
    expect(seen).toHaveLength(4);
  });

  it("F015: a reserved job has id, name, payload, no attempts, and was due by now", async () => {
    const place = open();
    const relay = place.relay({ job: free<string>() });
    await relay.dispatch("job", "x", { id: "a" });
    const asks = { ...call, limit: 1, slots: 1, lease: 1_000, wait: 0 };
    const [delivery] = await place.transport.reserve(["default"], asks);
    expect(delivery).toMatchObject({ id: "a", name: "job", payload: bytes('"x"'), lost: 0 });
    expect(readMeta(delivery?.meta ?? "").attempts ?? 0).toBe(0);
    expect(delivery?.due).toBeLessThanOrEqual(place.runtime.now());
    const { jobs: [shown] } = await relay.list("default", "reserved");
    expect(shown).toMatchObject({ id: "a", attempts: 0, leasedUntil: place.runtime.now() + 1_000 });
  });

  it("F016: a stored record has a long id, and what its dispatch said of runs, time and backoff, and no more", async () => {
    const relay = open().relay({ job: free<string>() });
    await relay.dispatch("job", "plain");
    await relay.dispatch("job", "said", {
      maxAttempts: 1,
      timeout: 3_600_000,
      backoff: fixed(1_000),
      delay: 9,
    });
    const [plain] = (await relay.list("default", "waiting")).jobs;
    expect(plain?.id).toMatch(/^[0-9A-Z]{26}$/);
    expect(plain).toMatchObject({ name: "job", attempts: 0, payload: bytes('"plain"') });
    expect([plain?.maxAttempts, plain?.timeout, plain?.backoff]).toEqual([undefined, undefined, undefined]);
    const [said] = (await relay.list("default", "delayed")).jobs;
    expect(said).toMatchObject({ maxAttempts: 1, timeout: 3_600_000, backoff: fixed(1_000) });
  });

  it("F018: ten thousand generated ids are distinct", async () => {
    const relay = open().relay({ job: free<undefined>() });
    const stored = await relay.dispatchMany(Array.from({ length: 10_000 }, () => ({ name: "job" })));
    expect(new Set(stored.map(({ id }) => id)).size).toBe(10_000);
    const runtime = systemRuntime();
    expect(new Set(Array.from({ length: 10_000 }, () => runtime.id())).size).toBe(10_000);
  });

  it("F018: an id of the caller's is the one that handler, events and dead letter show", async () => {
    const relay = open().relay({ job: { schema: free<undefined>(), maxAttempts: 1 } });
    const ids: unknown[] = [];
    relay.handle("job", (_, { job }) => {
      ids.push(job.id);
      throw new Error("always");
    });
    for (const type of ["started", "failed"] as const) {
      relay.events.addEventListener(type, ({ detail }) => ids.push(detail.job.id));
    }
    relay.events.addEventListener("dispatched", ({ detail }) => ids.push(detail.id));
    expect(await relay.dispatch("job", undefined, { id: "mine" })).toEqual({ id: "mine", status: "stored" });
    await relay.drain();
    ids.push((await relay.list("default", "failed")).jobs[0]?.id);
    expect(ids).toEqual(["mine", "mine", "mine", "mine", "mine"]);
  });

  it("F019: the first run is attempt 1, and two failures make 1, 2, 3", async () => {
    const place = open();
    const relay = place.relay({ job: { schema: free<undefined>(), maxAttempts: 3 } });
    const attempts: number[] = [];
    relay.handle("job", (_, { attempt }) => {
      attempts.push(attempt);
      if (attempt < 3) throw new Error("not yet");
    });
    await relay.dispatch("job");
    const worker = running(relay);
    await place.runtime.advance(60_000);
    await worker.abort();
    expect(attempts).toEqual([1, 2, 3]);
  });
}
