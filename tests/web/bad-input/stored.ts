/** What others stored, and what handlers give: a dead letter with its reason or another run, and nothing is lost. */
import { expect, it } from "vitest";
import {
  after,
  at,
  deadLetter,
  type EventMap,
  json,
  type Outcome,
  type Relay,
  type Reloaded,
  reschedule,
  retry,
  type StandardSchema,
  type StoredJob,
} from "../../../mod.ts";
import { bytes, free, heard, running, textOf } from "../support/kit.ts";
import type { OpenPlace, Place } from "../support/place.ts";

const call = { deadline: 10_000 };
const EMPTY = { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };
const jobs = { job: free<unknown>() };

/** Stores a job as another program would. */
function store({ transport }: Place, payload: Uint8Array, meta = "", id = "theirs"): Promise<unknown> {
  return transport.push([{ queue: "default", id, name: "job", payload, meta }], call);
}

/** The only dead job, after an operator has seen it and brought it back. */
async function onlyDead(relay: Relay<typeof jobs>): Promise<StoredJob | undefined> {
  expect(await relay.info()).toEqual({ ...EMPTY, failed: 1 });
  return (await relay.list("default", "failed")).jobs[0];
}

const NOT_JSON: [string, Uint8Array][] = [
  ["a word", bytes("hello")],
  ["half an object", bytes('{"a":')],
  ["bytes that are no UTF-8", new Uint8Array([0xff, 0xfe, 0x80])],
  ["half a surrogate pair in UTF-8", new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22])],
  ["a byte order mark", new Uint8Array([0xef, 0xbb, 0xbf, 0x31])],
  ["NUL", new Uint8Array([0])],
];

/** Metadata that is no record of any version. */
const NO_RECORD = ["not json", "null", "5", "[]", "{}", '{"v":"1"}', '{"v":1.5}', '"text"', '{"v":null}'];
/** Records with a field that would decide the job's fate and is nonsense. */
const NONSENSE = [
  { attempts: "x" },
  { attempts: -1 },
  { attempts: 0.5 },
  { attempts: 1e300 },
  { maxAttempts: 0 },
  { maxAttempts: 2.5 },
  { lost: 0.5 },
  { createdAt: 1e300 },
  { attempts: null },
  { lost: {} },
  { maxAttempts: "3" },
  { timeout: -1 },
  { timeout: "soon" },
  { createdAt: "yesterday" },
  { codec: 5 },
  { unknownSince: "x" },
  { lastDelay: "x" },
];
/** Records with a field that is wrong and decides nothing. */
const HARMLESS = [
  { headers: 5 },
  { headers: null },
  { headers: ["x"] },
  { requestId: 5 },
  { lastError: "text" },
  { lastError: null },
  { dead: null },
  { dead: "text" },
  { dead: { channel: "failed" } },
  { somethingNew: { deep: [1] } },
  { timeout: 1e300 },
];

export function stored(open: OpenPlace): void {
  it.each(NOT_JSON)(
    "a payload that is %s is dead as undecodable, whole, and no handler saw it",
    async (_, payload) => {
      const place = open();
      const relay = place.relay(jobs);
      const seen: unknown[] = [];
      relay.handle("job", (value) => seen.push(value));
      await store(place, payload);
      await relay.dispatch("job", "next");
      await relay.drain();
      expect(seen).toEqual(["next"]);
      const dead = await onlyDead(relay);
      expect(dead).toMatchObject({ id: "theirs", attempts: 0, dead: { reason: "undecodable" } });
      expect([...dead?.payload ?? []]).toEqual([...payload]);
    },
  );

  it.each(NO_RECORD)(
    "metadata that is %j is dead as undecodable; operators can look and bring it back",
    async (meta) => {
      const place = open();
      const relay = place.relay(jobs);
      const failed = heard(relay.events, "failed");
      await store(place, bytes("1"), meta);
      expect((await relay.list("default", "waiting")).jobs).toMatchObject([{ id: "theirs", attempts: 0 }]);
      relay.handle("job", () => undefined);
      await relay.drain();
      expect(await onlyDead(relay)).toMatchObject({ id: "theirs", dead: { reason: "undecodable" } });
      expect(failed).toMatchObject([{ reason: "undecodable", error: { code: "UNDECODABLE" } }]);
      expect(await relay.reload("default", "failed", "all")).toEqual<Reloaded>({ reloaded: 1, taken: 0 });
    },
  );

  it.each(NONSENSE)(
    "a record with %j is dead with its reason, and not run as if it said nothing",
    async (fields) => {
      const place = open();
      const relay = place.relay(jobs);
      const seen: unknown[] = [];
      relay.handle("job", (value) => seen.push(value));
      await store(place, bytes("1"), JSON.stringify({ v: 1, ...fields }));
      await relay.drain();
      expect(seen).toEqual([]);
      expect(await onlyDead(relay)).toMatchObject({ dead: { reason: "undecodable" } });
    },
  );

  it.each(HARMLESS)("a record with %j is run, and can be looked at", async (fields) => {
    const place = open();
    const relay = place.relay(jobs);
    const seen: unknown[] = [];
    relay.handle("job", (value, { job }) => {
      seen.push(value, typeof job.requestId, Object.keys(job.headers));
      if (job.lost === 0) throw new Error("look at me");
    });
    await store(place, bytes("1"), JSON.stringify({ v: 1, maxAttempts: 1, ...fields }));
    for (const type of ["started", "failed"] as const) heard(relay.events, type);
    expect((await relay.list("default", "waiting")).jobs).toHaveLength(1);
    const worker = running(relay);
    await place.runtime.settle();
    await worker.abort();
    expect(seen).toEqual([1, "string", []]);
    expect(await onlyDead(relay)).toMatchObject({
      dead: { reason: "exhausted" },
      lastError: { message: "look at me" },
    });
  });

  it.each([1e300, 8.64e15 + 1, -1, "5"])(
    "the tick %j, which is no instant, is shown to neither handlers nor operators",
    async (tick) => {
      const place = open();
      const relay = place.relay(jobs);
      const seen: unknown[] = [];
      relay.handle("job", (_, { job }) => seen.push("tick" in job, job.schedule));
      await store(place, bytes("1"), JSON.stringify({ v: 1, schedule: "daily", tick }));
      const [shown] = (await relay.list("default", "waiting")).jobs;
      expect(shown).toMatchObject({ schedule: "daily" });
      expect(shown).not.toHaveProperty("tick");
      await relay.drain();
      expect(seen).toEqual([false, "daily"]);
    },
  );

  it("a record with the largest counts can be read again after each run, and shows its death", async () => {
    const place = open();
    const relay = place.relay(jobs);
    const most = 2 ** 52;
    const seen: number[] = [];
    relay.handle("job", (_, { attempt }) => {
      seen.push(attempt);
      return seen.length < 3 ? reschedule(after(0), { keepAttempts: true }) : deadLetter({ reason: "seen" });
    });
    await store(place, bytes("1"), JSON.stringify({ v: 1, attempts: most, lost: most }));
    for (let run = 0; run < 3; run++) await relay.drain({ maxLost: Number.MAX_SAFE_INTEGER });
    expect(seen).toEqual([most, most, most]);
    expect(await onlyDead(relay)).toMatchObject({ attempts: most - 1, dead: { reason: "seen" } });
  });

  it.each([{ type: "nope" }, null, 5, "exponential", { type: "fixed", base: -1, max: 0, jitter: 9 }])(
    "a record with the backoff %j costs no run: the job is retried later",
    async (backoff) => {
      const place = open();
      const relay = place.relay(jobs);
      const attempts: number[] = [];
      const retrying = heard(relay.events, "retrying");
      relay.handle("job", (_, { attempt }) => {
        attempts.push(attempt);
        if (attempt === 1) throw new Error("once");
      });
      await store(place, bytes("1"), JSON.stringify({ v: 1, backoff }));
      expect((await relay.list("default", "waiting")).jobs).toHaveLength(1);
      const worker = running(relay);
      await place.runtime.advance(60_000);
      await worker.abort();
      expect(attempts).toEqual([1, 2]);
      expect(retrying[0]?.delay).toBeGreaterThan(0);
      expect(await relay.info()).toEqual(EMPTY);
    },
  );

  it("a record of a higher version is left as it is for whoever can read it", async () => {
    const place = open();
    const relay = place.relay(jobs);
    const released = heard(relay.events, "released");
    const seen: unknown[] = [];
    relay.handle("job", (value) => seen.push(value));
    const meta = JSON.stringify({ v: 2, attempts: { runs: 3 }, codec: ["new"] });
    await store(place, bytes("not json at all"), meta);
    await relay.drain();
    const worker = running(relay, { unknownFor: 1_000, maxLost: 0 });
    await place.runtime.advance(30_000);
    await worker.abort();
    expect(seen).toEqual([]);
    expect(released.length).toBeGreaterThan(1);
    expect(released.every(({ reason }) => reason === "version")).toBe(true);
    const [entry] = await place.transport.get("default", ["theirs"], call);
    expect([entry?.meta, textOf(entry?.payload ?? bytes(""))]).toEqual([meta, "not json at all"]);
  });

  it("an entry without any metadata runs with defaults", async () => {
    const place = open();
    const relay = place.relay(jobs);
    const seen: unknown[] = [];
    relay.handle("job", (value, { attempt, job }) => seen.push([value, attempt, job.id, job.requestId]));
    await store(place, bytes({ n: 1 }));
    await relay.drain();
    expect(seen).toEqual([[{ n: 1 }, 1, "theirs", "theirs"]]);
  });

  it.each<[string, (value: unknown) => unknown]>([
    ["throws", () => {
      throw new Error("a bug");
    }],
    ["rejects", () => Promise.reject(new Error("a bug"))],
    ["gives nothing", () => undefined],
    ["gives issues that are none", () => ({ issues: 5 })],
  ])(
    "a schema that %s where the job runs fails the run, and the worker goes on",
    async (_, validate) => {
      const place = open();
      let broken = false;
      const schema: StandardSchema<unknown> = {
        "~standard": {
          version: 1,
          vendor: "test",
          validate: (value) => broken && value === "bad" ? Object(validate(value) ?? {}) : { value },
        },
      };
      const relay = place.relay({ job: schema });
      const seen: unknown[] = [];
      relay.handle("job", (value) => seen.push(value));
      await relay.dispatch("job", "bad");
      await relay.dispatch("job", "good");
      broken = true;
      expect(await relay.drain()).toMatchObject({ completed: 1, retried: 1, failed: 0 });
      expect(seen).toEqual(["good"]);
      expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 1, reserved: 0 });
    },
  );

  it.each<[string, () => unknown]>([
    ["throws", () => {
      throw new Error("a bug");
    }],
    ["gives NaN", () => Number.NaN],
    ["gives a negative number", () => -1],
    ["gives a string", () => "5"],
    ["gives nothing", () => undefined],
    ["gives a promise that rejects", () => Promise.reject(new Error("a bug"))],
  ])("a backoff function that %s costs no run: the job is retried later", async (_, backoff) => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: { schema: free<unknown>(), backoff: Object(backoff) } });
    const retrying = heard(relay.events, "retrying");
    const attempts: number[] = [];
    relay.handle("job", (_, { attempt }) => {
      attempts.push(attempt);
      throw new Error("the handler's own");
    });
    await relay.dispatch("job", 1);
    const worker = running(relay, { maxRetry: 3 });
    await runtime.advance(120_000);
    await worker.abort();
    expect(attempts).toEqual([1, 2, 3]);
    expect(retrying.every(({ delay }) => delay >= 5_000)).toBe(true);
    expect((await relay.list("default", "failed")).jobs).toMatchObject([
      { lastError: { message: "the handler's own" } },
    ]);
  });

  it.each<[string, unknown]>([
    ["throws", {
      next: () => {
        throw new Error("no next");
      },
    }],
    ["gives NaN", after(Number.NaN)],
    ["gives a negative delay", after(-1)],
    ["gives a string", after(Object("5"))],
    ["gives an invalid date", { next: () => ({ at: new Date(Number.NaN) }) }],
    ["gives nothing", { next: () => undefined }],
    ["gives a promise that rejects", { next: () => Promise.reject(new Error("no next")) }],
    ["gives a promise of the program's own", {
      next: () => ({ then: (resolve: (value: unknown) => void) => resolve({ delay: 5 }) }),
    }],
    ["is at null", at(null as never)],
    ["is at a text", at("5" as never)],
    ["is at an empty text", at("" as never)],
    ["is at a list", at([] as never)],
    ["is at true", at(true as never)],
    ["is at a bigint", at(5n as never)],
    ["is none", undefined],
    ["is a number", 5],
  ])("a recurrence that %s makes the job dead as 'reschedule'", async (_, by) => {
    const relay = open().relay(jobs);
    let runs = 0;
    relay.handle("job", () => {
      runs++;
      return reschedule(Object(by));
    });
    await relay.dispatch("job", 1);
    await relay.drain();
    expect(runs).toBe(1);
    const dead = await onlyDead(relay);
    expect(dead).toMatchObject({ dead: { reason: "reschedule" } });
    expect(dead?.lastError?.message).toMatch(
      /^failed to reschedule: (a recurrence must|no next|reschedule needs)/,
    );
  });

  it("a reschedule with a payload that cannot be stored makes the job dead with its old one", async () => {
    const relay = open().relay(jobs);
    relay.handle("job", () => reschedule(after(1), { payload: 1n }));
    await relay.dispatch("job", "old");
    await relay.drain();
    const dead = await onlyDead(relay);
    expect(dead).toMatchObject({ dead: { reason: "reschedule" } });
    expect(textOf(dead?.payload ?? bytes(""))).toBe('"old"');
  });

  it.each<[string, () => Outcome]>([
    ["a retry's delay that is none", () => retry({ delay: Number.NaN })],
    ["a retry's delay that is a string", () => retry({ delay: Object("5") })],
    ["a reason that is no text", () => deadLetter({ reason: Object(5) })],
    ["an empty reason", () => deadLetter({ reason: "" })],
    ["a reason of a kilobyte", () => deadLetter({ reason: "x".repeat(1_024) })],
  ])("%s is a failed run that says so, and the job runs again", async (_, outcome) => {
    const relay = open().relay(jobs);
    const retrying: EventMap["retrying"][] = heard(relay.events, "retrying");
    relay.handle("job", outcome);
    await relay.dispatch("job", 1);
    await relay.drain();
    expect(retrying).toHaveLength(1);
    expect(retrying[0]?.error.message).toContain("must be");
    expect(await relay.info()).toEqual({ ...EMPTY, delayed: 1 });
  });

  it("a codec that waits where the job runs makes it dead as undecodable, and its promise ends nothing", async () => {
    const codec = { ...json, id: "late", decode: () => Promise.reject(new Error("async")) };
    const relay = open().relay({ job: { schema: free<unknown>(), codec } });
    relay.handle("job", () => undefined);
    await relay.dispatch("job", 1);
    await relay.drain();
    expect((await relay.list("default", "failed")).jobs).toMatchObject([{ dead: { reason: "undecodable" } }]);
  });

  it("an error that throws when it is read is a failed run like any other", async () => {
    const relay = open().relay(jobs);
    const evil = Object.defineProperty(new Error(), "message", {
      get: () => {
        throw new RangeError("not to be read");
      },
    });
    relay.handle("job", () => {
      throw evil;
    });
    await relay.dispatch("job", 1, { maxAttempts: 1 });
    await relay.drain();
    expect(await onlyDead(relay)).toMatchObject({
      dead: { reason: "exhausted" },
      lastError: { name: "Error" },
    });
  });

  it("values that are no outcomes complete the job, whatever they are", async () => {
    const relay = open().relay(jobs);
    const values = [null, 0, "retry", { kind: "retry" }, [], Symbol("s"), () => 5, Object.create(null)];
    relay.handle("job", (index) => values[Number(index)]);
    await relay.dispatchMany(values.map((_, index) => ({ name: "job", payload: index })));
    expect(await relay.drain()).toMatchObject({ completed: values.length, retried: 0, failed: 0 });
  });
}
