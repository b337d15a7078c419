/** Wrong payloads, names, ids, headers, schemas and codecs, at dispatch: refused at once, with nothing stored. */
import { expect, it } from "vitest";
import * as v from "valibot";
import {
  after,
  type Codec,
  createRelay,
  InvalidPayloadError,
  json,
  reschedule,
  type StandardSchema,
  TooLargeError,
  UnencodableError,
  UnknownJobError,
} from "../../../mod.ts";
import { bytes, checked, free, rejection, textOf, thrown } from "../support/kit.ts";
import type { OpenPlace } from "../support/place.ts";

type Loose = (...rest: unknown[]) => Promise<unknown>;
const EMPTY = { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };
const MIB = 1024 * 1024;

/** A schema whose one function is given. */
function schemaOf(validate: (value: unknown) => unknown): StandardSchema<unknown> {
  return { "~standard": Object({ version: 1, vendor: "test", validate }) };
}

export function payloads(open: OpenPlace): void {
  it("names that nobody defined are refused, whatever they are", async () => {
    const relay = open().relay({ job: free() });
    for (
      const name of [
        "",
        "nobody's",
        "__proto__",
        "constructor",
        5,
        null,
        undefined,
        Symbol("s"),
        Object.create(null),
      ]
    ) {
      const error = await rejection((relay.dispatch as Loose)(name, 1));
      expect(error).toBeInstanceOf(UnknownJobError);
      expect(error.message).toContain("there are job");
    }
    expect(await relay.info()).toEqual(EMPTY);
  });

  it("an invalid payload rejects with every issue and its path", async () => {
    const issues = [
      { message: "must be a string", path: ["user", "name"] },
      { message: "must be whole", path: ["items", 0, "amount"] },
      { message: "must be there", path: [] },
    ];
    const relay = open().relay({
      job: checked<unknown>(() => issues),
      other: schemaOf(() => ({
        issues: [{ message: "deep", path: [{ key: "a" }, { key: 1 }, Symbol.iterator] }],
      })),
      later: schemaOf(() => Promise.resolve({ issues })),
    });
    for (const name of ["job", "later"] as const) {
      const error = await rejection(relay.dispatch(name, {}));
      expect(error).toBeInstanceOf(InvalidPayloadError);
      expect(error).toMatchObject({ issues });
      expect(error.message).toContain("items.0.amount");
    }
    expect(await rejection(relay.dispatch("other", {}))).toMatchObject({
      issues: [{ path: ["a", 1, "Symbol(Symbol.iterator)"] }],
    });
    expect(await relay.info()).toEqual(EMPTY);
  });

  it("a payload may have exactly its limit of bytes, and not one more", async () => {
    const relay = open().relay({ job: free<string>() }, { maxPayload: 1_000 });
    await relay.dispatch("job", "x".repeat(998));
    const error = await rejection(relay.dispatch("job", "x".repeat(999)));
    expect(error).toBeInstanceOf(TooLargeError);
    expect(error).toMatchObject({ code: "TOO_LARGE", size: 1_001, limit: 1_000 });
    // Bytes count, not characters.
    expect(await rejection(relay.dispatch("job", "ü".repeat(500)))).toMatchObject({ size: 1_002 });
    expect(await relay.info()).toEqual({ ...EMPTY, waiting: 1, oldest: expect.any(Number) });
  });

  it("a mebibyte is over the default limit, and arrives whole where it is allowed", async () => {
    const place = open();
    const payload = "y".repeat(MIB - 2);
    const error = await rejection(place.relay({ job: free<string>() }).dispatch("job", payload));
    expect(error).toMatchObject({ size: MIB, limit: MIB / 2 });
    const relay = place.relay({ job: free<string>() }, { maxPayload: MIB });
    const seen: string[] = [];
    relay.handle("job", (value) => seen.push(value));
    await relay.dispatch("job", payload);
    await relay.drain();
    expect(seen.map((value) => value === payload)).toEqual([true]);
  });

  it.each([
    ["the payload itself", (revoked: object) => revoked, "it is a revoked Proxy"],
    ["deep inside", (revoked: object) => ({ list: [1, { of: revoked }] }), "'list.1.of' is a revoked Proxy"],
  ])("a revoked Proxy is refused with its place: %s", async (_, payloadOf, wanted) => {
    const relay = open().relay({ job: free<object>(), strict: v.object({ list: v.optional(v.any()) }) });
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    for (const name of ["job", "strict"] as const) {
      const refused = await rejection(relay.dispatch(name, payloadOf(proxy)));
      expect(refused).toBeInstanceOf(UnencodableError);
      expect(refused.message).toBe(`Cannot encode the payload of '${name}': ${wanted}`);
    }
    const options = await rejection(relay.dispatch("job", {}, proxy));
    expect(options.message).toBe(
      "Cannot dispatch 'job' as its options must be an object: current value is a revoked Proxy",
    );
  });

  it("what JSON cannot hold is refused, and what it can arrives as it was", async () => {
    const relay = open().relay({ job: free<unknown>() });
    const cycle: unknown[] = [];
    cycle.push(cycle);
    const throwing = {
      toJSON: () => {
        throw new Error("no");
      },
    };
    for (
      const payload of [
        5n,
        cycle,
        () => 5,
        Symbol("s"),
        new Uint8Array(3),
        new ArrayBuffer(3),
        throwing,
      ]
    ) {
      expect(await rejection(relay.dispatch("job", payload))).toBeInstanceOf(UnencodableError);
    }
    const whole: unknown[] = ["a\0b", "\ud800 alone", "\u2028", "", null, { a: [[[{}]]] }, -0.5, 1e300, {
      constructor: 1,
    }];
    const seen: unknown[] = [];
    relay.handle("job", (value) => seen.push(value));
    for (const payload of whole) await relay.dispatch("job", payload);
    await relay.drain({ concurrency: 1 });
    expect(seen).toEqual(whole);
    expect(await relay.info()).toEqual(EMPTY);
  });

  it("what JSON would lose or change is refused with its place, wherever a payload comes in", async () => {
    const place = open();
    const relay = place.relay({ job: free<unknown>() });
    const lossy = { list: [{ when: new Map() }] };
    const wanted =
      "Cannot encode the payload of 'job': JSON does not hold a value of the kind Map at 'list.0.when'";
    const refused = await rejection(relay.dispatch("job", lossy));
    expect(refused).toBeInstanceOf(UnencodableError);
    expect(refused.message).toBe(wanted);
    const bulk = await rejection(
      relay.dispatchMany([{ name: "job", payload: 1 }, { name: "job", payload: lossy }]),
    );
    expect(bulk).toMatchObject({ failures: [{ index: 1, error: { message: wanted } }] });
    expect(await relay.info()).toEqual(EMPTY);
    relay.handle("job", () => reschedule(after(1_000), { payload: lossy }));
    await relay.dispatch("job", 1);
    expect(await relay.drain()).toMatchObject({ failed: 1 });
    const { jobs: [dead] } = await relay.list("default", "failed");
    expect(dead).toMatchObject({
      dead: { reason: "reschedule" },
      lastError: { message: expect.stringContaining(wanted) },
    });
  });

  it("a schema is asked at dispatch of what its 'toJSON' leaves of a payload, too", async () => {
    const place = open();
    const jobs = {
      date: v.object({ when: v.date() }),
      late: v.objectAsync({ when: v.pipeAsync(v.date(), v.checkAsync(() => Promise.resolve(true))) }),
      either: v.object({
        when: v.union([v.date(), v.pipe(v.string(), v.transform((text) => new Date(text)))]),
      }),
    };
    const relay = place.relay(jobs);
    const payload = { when: new Date(5) };
    for (const name of ["date", "late"] as const) {
      const error = await rejection(relay.dispatch(name, payload));
      expect(error).toBeInstanceOf(InvalidPayloadError);
      expect(error).toMatchObject({ issues: [{ path: ["when"] }] });
      expect(error.message).toContain(
        "at 'when' (expected Date) as a worker will read it, since json has no Date",
      );
      expect(error.message).toContain("@relevo/relevo/rich");
      expect(await rejection(relay.dispatchMany([{ name, payload }]))).toMatchObject({
        failures: [{ error: { message: error.message } }],
      });
    }
    expect(await relay.info()).toEqual(EMPTY);
    const seen: unknown[] = [];
    relay.handle("either", (read) => seen.push(read));
    await relay.dispatch("either", payload);
    await relay.drain();
    expect(seen).toEqual([payload]);
  });

  it("ids and request ids that no transport could keep are refused by the option's name; odd ones are kept", async () => {
    const relay = open().relay({ job: free() }, {});
    for (const option of ["id", "requestId"]) {
      for (const value of ["", "a\0b", "\udc00", "x".repeat(1_025), "ü".repeat(513), 5, null, {}]) {
        const error = await rejection((relay.dispatch as Loose)("job", 1, { [option]: value }));
        expect(error.message).toContain(`'${option}' must be`);
      }
    }
    const odd = [" ", "a\nb", "x".repeat(1_024), "../..", "__proto__", "😀", "'; DROP TABLE", "a@b", "%00"];
    for (const id of odd) expect(await relay.dispatch("job", 1, { id, requestId: id })).toMatchObject({ id });
    for (const id of odd) expect(await relay.get("default", id)).toMatchObject({ id, requestId: id });
    expect(await relay.info()).toMatchObject({ waiting: odd.length });
  });

  it("a relay's own 'requestId' that gives no id is refused like one that is given", async () => {
    const place = open();
    for (
      const requestId of [() => "", () => 5, () => Promise.reject(new Error("async")), () => {
        throw new Error("'requestId' must not throw");
      }]
    ) {
      const relay = place.relay({ job: free() }, Object({ requestId }));
      expect((await rejection(relay.dispatch("job", 1))).message).toContain("'requestId' must");
    }
    const silent = place.relay({ job: free() }, { requestId: () => undefined });
    await silent.dispatch("job", 1);
    expect(await silent.info()).toMatchObject({ waiting: 1 });
  });

  it("headers must be strings, and not too many; their names poison nothing", async () => {
    const relay = open().relay({ job: free() });
    for (
      const headers of [
        { a: 5 },
        { a: null },
        { a: undefined },
        { a: {} },
        { a: Symbol("s") },
        "text",
        ["x"],
        5,
        null,
      ]
    ) {
      const error = await rejection((relay.dispatch as Loose)("job", 1, { headers }));
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toContain("must be");
    }
    expect((await rejection(relay.dispatch("job", 1, { headers: { a: "x".repeat(9_000) } }))).message)
      .toContain("'headers' must be at most 8192 bytes");
    expect(await relay.info()).toEqual(EMPTY);
    const headers: Record<string, string> = JSON.parse('{"__proto__":"x","b":"\\u0000\\ud800"}');
    const seen: (Readonly<Record<string, string>>)[] = [];
    relay.handle("job", (_, { job }) => seen.push(job.headers));
    await relay.dispatch("job", 1, { headers });
    await relay.drain();
    expect(seen[0]?.["b"]).toBe("\0\ud800");
    expect(Object.getPrototypeOf(seen[0])).toBe(Object.prototype);
  });

  it("options that exclude each other, and instants that are none, are refused", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: free() });
    const dispatch = relay.dispatch as Loose;
    expect((await rejection(dispatch("job", 1, { delay: 1, at: runtime.now() }))).message).toContain(
      "both 'delay' and 'at'",
    );
    expect((await rejection(dispatch("job", 1, { idWindow: 5 }))).message).toContain("needs an 'id'");
    for (const at of [new Date(Number.NaN), "2026-01-01", {}, 8.64e15 + 1]) {
      expect((await rejection(dispatch("job", 1, { at }))).message).toContain("'at' must be a Date");
    }
    expect((await rejection(dispatch("job", 1, { onDuplicate: "replace" }))).message).toContain(
      "'onDuplicate' must be one of",
    );
    for (const wrong of [5, "options", null]) {
      expect((await rejection(dispatch("job", 1, wrong))).message).toContain("options must be an object");
    }
    expect(await rejection(dispatch("job", 1, { transaction: {} }))).toBeInstanceOf(TypeError);
    expect(await relay.info()).toEqual(EMPTY);
  });

  it("a bulk with anything that is no job names it by its index and stores nothing", async () => {
    const relay = open().relay({ job: free() });
    const many = relay.dispatchMany as Loose;
    const good = { name: "job", payload: 1 };
    for (
      const bad of [null, 5, "job", undefined, {}, { name: "job", payload: 1n }, { ...good, delay: "x" }]
    ) {
      expect(await rejection(many([good, bad]))).toMatchObject({
        code: "BULK_REFUSED",
        stored: 0,
        failures: [{ index: 1 }],
      });
    }
    for (const bad of [null, {}, "jobs", new Set([good])]) {
      expect((await rejection(many(bad))).message).toContain("must be 1 to 10000 of them");
    }
    expect((await rejection(many([good], { atomic: "no" }))).message).toContain(
      "'atomic' must be true or false",
    );
    expect(await rejection(many(Array.from({ length: 10_001 }, () => good)))).toBeInstanceOf(RangeError);
    expect(await relay.info()).toEqual(EMPTY);
  });

  it.each([
    ["throws", () => {
      throw new Error("the schema's own bug");
    }],
    ["rejects", () => Promise.reject(new Error("the schema's own bug"))],
  ])("a schema that %s rejects the dispatch with its error", async (_, validate) => {
    const relay = open().relay({ job: schemaOf(validate) });
    expect((await rejection(relay.dispatch("job", 1))).message).toBe("the schema's own bug");
    // Both are wrong: the codec's answer comes first, and the schema's is heard by nobody.
    expect(await rejection(relay.dispatch("job", 1n))).toBeInstanceOf(Error);
    expect(await relay.info()).toEqual(EMPTY);
  });

  it("a schema that waits is waited for, though its promise be no native one", async () => {
    const answer = (value: unknown) =>
      value === "good" ? { value: "checked" } : { issues: [{ message: "bad" }] };
    const thenable = (value: unknown) => ({
      then: (resolve: (result: unknown) => void) => resolve(answer(value)),
    });
    const relay = open().relay({
      native: schemaOf((value) => Promise.resolve(answer(value))),
      foreign: schemaOf(thenable),
    });
    const seen: unknown[] = [];
    for (const name of ["native", "foreign"] as const) {
      relay.handle(name, (payload) => seen.push(payload));
      await relay.dispatch(name, "good");
      expect(await rejection(relay.dispatch(name, "bad"))).toBeInstanceOf(InvalidPayloadError);
    }
    await relay.drain();
    expect(seen).toEqual(["checked", "checked"]);
  });

  it("a payload that its caller changes afterwards is stored as it was", async () => {
    const relay = open().relay({ job: schemaOf((value) => Promise.resolve({ value })) });
    const payload = { n: 1 };
    const stored = relay.dispatch("job", payload, { id: "a" });
    payload.n = 2;
    await stored;
    expect(textOf((await relay.get("default", "a"))?.payload ?? bytes(""))).toBe('{"n":1}');
  });

  it.each<[string, Partial<Codec>]>([
    ["throws", {
      encode: () => {
        throw new Error("cannot");
      },
    }],
    ["gives a promise", { encode: () => Object(Promise.reject(new Error("async"))) }],
    ["gives a string", { encode: () => Object("text") }],
    ["gives nothing", { encode: () => Object(undefined) }],
  ])("a codec that %s is refused at dispatch", async (_, broken) => {
    const relay = open().relay({ job: { schema: free(), codec: { ...json, id: "broken", ...broken } } });
    expect(await rejection(relay.dispatch("job", 1))).toBeInstanceOf(UnencodableError);
    expect(await relay.info()).toEqual(EMPTY);
  });

  it("definitions that are none, or contradict each other, are refused", () => {
    const define = (jobs: unknown, options: object = {}): Error =>
      thrown(() => createRelay({ jobs: Object(jobs) as Record<string, StandardSchema>, ...options }));
    const schema = free();
    for (
      const wrong of [5, null, undefined, {}, { schema: 5 }, { "~standard": 5 }, { "~standard": {} }, "job"]
    ) {
      expect(define({ job: wrong }).message).toContain("needs a Standard Schema");
    }
    for (const name of ["", "a@b", "a\nb", "x".repeat(256), "\ud800"]) {
      expect(define({ [name]: schema }).message).toContain("name of a job must");
    }
    expect(define({ a: { schema, aliases: ["b"] }, b: schema }).message).toContain("'b' names another job");
    expect(define({ a: { schema, aliases: ["a"] } }).message).toContain("'a' names another job");
    expect(define({ a: { schema, aliases: "old" } }).message).toContain("'aliases' must be a list");
    expect(define({ a: { schema, aliases: [5] } }).message).toContain("name of a job must");
    const codec = { ...json, id: "mine" };
    expect(define({ a: { schema, codec }, b: { schema, codec: { ...codec } } }).message).toContain(
      "two codecs have the id 'mine'",
    );
    expect(define({ a: { schema, codec: { ...json } } }).message).toContain("two codecs have the id 'json'");
    expect(define({}, { codecs: [{ ...json }] }).message).toContain("two codecs have the id 'json'");
    for (const wrong of [5, {}, { ...json, id: "" }, { ...json, decode: undefined }]) {
      expect(define({ a: { schema, codec: wrong } }).message).toContain("a codec must have an 'id'");
      expect(define({}, { codecs: [wrong] }).message).toContain("a codec must have an 'id'");
    }
    expect(thrown(() => createRelay(Object({}))).message).toContain("'jobs' must be an object");
    expect(thrown(() => (createRelay as (options?: unknown) => unknown)()).message).toContain(
      "options must be an object",
    );
  });

  it("handlers that are none are refused, and leave the one before in its place", async () => {
    const relay = open().relay({ job: free<unknown>() });
    const seen: unknown[] = [];
    relay.handle("job", (payload) => seen.push(payload));
    const handle = relay.handle as unknown as (...rest: unknown[]) => void;
    expect(thrown(() => handle(Symbol("s"), () => 1))).toBeInstanceOf(UnknownJobError);
    for (const wrong of [undefined, null, 5, "f", {}, { handle: 5 }, [], [5], [() => 1, {}]]) {
      expect(thrown(() => handle("job", wrong, { replace: true })).message).toMatch(
        /must be a function|empty list/,
      );
    }
    expect(thrown(() => handle("job", () => 1, null)).message).toContain("options must be an object");
    await relay.dispatch("job", 1);
    await relay.drain();
    expect(seen).toEqual([1]);
  });
}
