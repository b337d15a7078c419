import { expect, test } from "vitest";
import {
  after,
  createRelay,
  DeadlineExceeded,
  type Filter,
  json,
  memory,
  type RelayOptions,
  reschedule,
  TooLargeError,
  type Transport,
  UnencodableError,
} from "../../../mod.ts";
import { aesGcm, gzip, keyRing, pipeline } from "../../../src/codecs/mod.ts";
import { createFakeRuntime } from "../../../src/testing/fake_runtime.ts";
import { bytes, door, free, heard, rejection, running, textOf, thrown, wrapped } from "../support/kit.ts";
import { key, ring, slow } from "./support.ts";

const long = "to be compressed ".repeat(200);

/** A memory that notes the order in which jobs are stored. */
function noting(): { readonly transport: Transport; readonly stored: string[] } {
  const stored: string[] = [];
  const transport = wrapped(memory(), (inner) => ({
    push(jobs, options) {
      stored.push(...jobs.map(({ id }) => id));
      return inner.push(jobs, options);
    },
  }));
  return { transport, stored };
}

test("F012: a pipeline's whole name stands in the record, and its payload comes back", async () => {
  const codec = pipeline(json, gzip(), aesGcm(ring));
  const relay = createRelay({ jobs: { letter: { schema: free<string>(), codec, require: true } } });
  const seen: unknown[] = [];
  relay.handle("letter", (text, { job }) => void seen.push([text, job.codec]));
  await relay.dispatch("letter", long, { id: "1" });
  const stored = await relay.get("default", "1");
  expect(stored).toMatchObject({ codec: "json+gzip+a256gcm:main" });
  expect(stored?.size).toBeLessThan(200);
  expect(await relay.drain()).toMatchObject({ completed: 1 });
  expect(seen).toEqual([[long, "json+gzip+a256gcm:main"]]);
  await relay.close();
});

test("F012: two queues with different pipelines do not disturb each other, and old jobs are read by what they name", async () => {
  const transport = memory();
  const schema = free<string>();
  const relays = [undefined, pipeline(json, gzip()), pipeline(json, aesGcm(ring))].map((codec) =>
    createRelay({
      jobs: { a: { schema, codec }, b: { schema, queue: "b", codec: pipeline(json, slow(async () => {})) } },
      codecs: [pipeline(json, gzip(), aesGcm(ring))],
      transport,
    })
  );
  for (const [index, relay] of relays.entries()) {
    await relay.dispatch("a", `${long}${index}`);
    await relay.dispatch("b", `b${index}`, { id: `b${index}` });
  }
  const [last] = relays.toReversed();
  const other = await last?.get("b", "b1");
  expect(textOf(other?.payload ?? bytes(""))).toBe('"1b"');
  expect(other?.codec).toBe("json+slow");
  const seen: unknown[] = [];
  for (const name of ["a", "b"] as const) last?.handle(name, (text) => void seen.push(text));
  await last?.drain({ concurrency: 1 });
  expect(seen.toSorted()).toEqual(["b0", "b1", "b2", `${long}0`, `${long}1`, `${long}2`]);
  for (const relay of relays) await relay.close();
});

test("the serializer has run when dispatch returns", async () => {
  const relay = createRelay({
    jobs: { job: { schema: free<{ n: number }>(), codec: pipeline(json, gzip()) } },
  });
  const payload = { n: 1 };
  const dispatched = relay.dispatch("job", payload, { id: "1" });
  const bulk = relay.dispatchMany([{ name: "job", payload, id: "2" }]);
  payload.n = 2;
  await Promise.all([dispatched, bulk]);
  for (const id of ["1", "2"]) {
    expect(textOf((await relay.get("default", id))?.payload ?? bytes(""))).toBe('{"n":1}');
  }
  await relay.close();
});

test("jobs of one queue are stored in the order of their dispatch, whatever their filters take", async () => {
  const doors = new Map(["first", "second"].map((text) => [text, door()]));
  const codec = pipeline(
    json,
    slow((given) => doors.get(JSON.parse(textOf(given)))?.opened ?? Promise.resolve()),
  );
  const { transport, stored } = noting();
  const jobs = {
    slow: { schema: free<string>(), codec },
    plain: free<string>(),
    elsewhere: { schema: free<string>(), queue: "q" },
  };
  const relay = createRelay({ jobs, transport });
  const all = [
    relay.dispatch("slow", "first", { id: "1" }),
    relay.dispatch("slow", "second", { id: "2" }),
    relay.dispatch("plain", "third", { id: "3" }),
    relay.dispatchMany([{ name: "slow", payload: "4", id: "4" }, { name: "plain", payload: "5", id: "5" }]),
    relay.dispatch("slow", "sixth", { id: "6" }),
  ];
  await relay.dispatch("elsewhere", "now", { id: "other" });
  expect(stored).toEqual(["other"]);
  doors.get("second")?.open();
  await relay.dispatch("elsewhere", "now", { id: "another" });
  expect(stored).toEqual(["other", "another"]);
  doors.get("first")?.open();
  await Promise.all(all);
  expect(stored).toEqual(["other", "another", "1", "2", "3", "4", "5", "6"]);
  await relay.close();
});

test("a job whose filter fails or is given up is not stored, and holds nobody up for long", async () => {
  const runtime = createFakeRuntime();
  const never = pipeline(
    json,
    slow((given) => textOf(given) === '"never"' ? new Promise(() => {}) : Promise.resolve()),
  );
  const broken: Filter = {
    id: "broken",
    apply: () => Promise.reject(new Error("out of order")),
    undo: (given) => given,
  };
  const nothing: Filter = { id: "nothing", apply: () => Object(5), undo: (given) => given };
  const { transport, stored } = noting();
  const schema = free<string>();
  const relay = createRelay({
    jobs: {
      never: { schema, codec: never },
      broken: { schema, codec: pipeline(json, broken) },
      nothing: { schema, codec: pipeline(json, nothing) },
      plain: schema,
    },
    transport,
    runtime,
    callTimeout: 1_000,
  });
  const aborting = new AbortController();
  const given = rejection(relay.dispatch("never", "never", { signal: aborting.signal }));
  const late = rejection(relay.dispatch("never", "never"));
  const failing = rejection(relay.dispatch("broken", "x"));
  const wrong = rejection(relay.dispatch("nothing", "x"));
  const bulk = rejection(
    relay.dispatchMany([{ name: "plain", payload: "y" }, { name: "broken", payload: "x" }]),
  );
  const behind = relay.dispatch("plain", "z", { id: "behind" });
  aborting.abort(new Error("given up"));
  expect((await given).message).toBe("given up");
  expect(stored).toEqual([]);
  await runtime.advance(1_001);
  expect(await late).toBeInstanceOf(DeadlineExceeded);
  expect((await late).message).toBe("Cannot run the filter 'slow' within 1000 ms");
  expect(await failing).toBeInstanceOf(UnencodableError);
  expect((await wrong).message).toContain("the filter 'nothing' must give a Uint8Array");
  expect(await bulk).toMatchObject({ failures: [{ index: 1 }], stored: 0 });
  await runtime.advance(1);
  await behind;
  expect(stored).toEqual(["behind"]);
  await relay.close();
});

test("a payload is measured behind the filters, and before compression by gzip's own limit", async () => {
  const most = (options: Partial<RelayOptions<never>>, maxInflated?: number) =>
    createRelay({
      jobs: { job: { schema: free<string>(), codec: pipeline(json, gzip({ maxInflated })) } },
      ...options,
    });
  const small = most({ maxPayload: 1_000 });
  await small.dispatch("job", "x".repeat(100_000));
  const error = await rejection(
    small.dispatch("job", Array.from(crypto.getRandomValues(new Uint8Array(900))).join()),
  );
  expect(error).toBeInstanceOf(TooLargeError);
  expect(error).toMatchObject({ limit: 1_000 });
  const tight = most({}, 2_000);
  await tight.dispatch("job", "x".repeat(1_998));
  expect(await rejection(tight.dispatch("job", "x".repeat(1_999)))).toMatchObject({
    size: 2_001,
    limit: 2_000,
  });
  expect(await rejection(most({}).dispatch("job", "x".repeat(9 * 2 ** 20)))).toMatchObject({
    limit: 2 ** 23,
  });
  for (const relay of [small, tight]) await relay.close();
});

test("what a reschedule gives to the next run passes the filters, too", async () => {
  const codec = pipeline(json, gzip(), aesGcm(ring));
  const relay = createRelay({ jobs: { job: { schema: free<number>(), codec, require: true } } });
  const seen: unknown[] = [];
  relay.handle("job", (n, { job }) => {
    seen.push([n, job.codec]);
    return n === 1 ? reschedule(after(0), { payload: 2 }) : undefined;
  });
  await relay.dispatch("job", 1);
  expect(await relay.drain()).toMatchObject({ completed: 1, rescheduled: 1 });
  expect(seen).toEqual([[1, "json+gzip+a256gcm:main"], [2, "json+gzip+a256gcm:main"]]);
  await relay.close();
});

test("a filter that never answers a worker costs a run that counts, and its late answer settles nothing", async () => {
  const runtime = createFakeRuntime();
  const opened = door();
  let undone = 0;
  const codec = pipeline(
    json,
    slow(async (_, way) => {
      if (way === "undo" && undone++ === 0) await opened.opened;
    }),
  );
  const relay = createRelay({
    jobs: { job: { schema: free<string>(), codec } },
    runtime,
    callTimeout: 1_000,
  });
  const seen: unknown[] = [];
  relay.handle("job", (text, { attempt }) => void seen.push([text, attempt]));
  const retrying = heard(relay.events, "retrying");
  await relay.dispatch("job", "x");
  const worker = running(relay);
  await runtime.advance(1_100);
  expect(retrying.map(({ error }) => error.message)).toEqual(["Cannot run the filter 'slow' within 1000 ms"]);
  opened.open();
  await runtime.advance(10_000);
  expect(seen).toEqual([["x", 2]]);
  await worker.abort();
  await relay.close();
});

test("a worker that is told to stop waits for no filter: its job goes back uncounted, and no timer is left", async () => {
  const runtime = createFakeRuntime();
  const transport = memory({ runtime });
  const asked = door();
  let stuck = true;
  const codec = pipeline(
    json,
    slow((_, way) => {
      if (way === "apply" || !stuck) return Promise.resolve();
      asked.open();
      return new Promise(() => {});
    }),
  );
  const relay = createRelay({ jobs: { job: { schema: free<string>(), codec } }, transport, runtime });
  const seen: unknown[] = [];
  relay.handle("job", (text, { attempt }) => void seen.push([text, attempt]));
  const released = heard(relay.events, "released");
  await relay.dispatch("job", "x");
  const worker = running(relay);
  await asked.opened;
  await worker.abort();
  expect(released).toMatchObject([{ reason: "stop", job: { attempts: 0 } }]);
  expect(runtime.sleepers).toBe(0);
  stuck = false;
  await relay.drain();
  expect(seen).toEqual([["x", 1]]);
  await relay.close();
});

test("codecs of one id must be alike, and wrong parts are told with their place", () => {
  const schema = free<string>();
  const relay = (...codecs: ReturnType<typeof pipeline>[]) => () =>
    void createRelay({ jobs: Object.fromEntries(codecs.map((codec, n) => [`job${n}`, { schema, codec }])) });
  relay(pipeline(json, gzip()), pipeline(json, gzip()))();
  relay(pipeline(json, aesGcm(ring)), pipeline(json, aesGcm(ring)))();
  expect(thrown(relay(pipeline(json, gzip()), pipeline(json, gzip({ maxInflated: 5 })))).message).toContain(
    "two filters that differ have the id 'gzip'",
  );
  expect(
    thrown(relay(pipeline(json, aesGcm(ring)), pipeline(json, aesGcm(keyRing("main", [key("k1")])))))
      .message,
  ).toContain("'a256gcm:main'");
  expect(thrown(() => pipeline(json, Object(json))).message).toBe(
    "Cannot make a pipeline as part 2 must be a filter, with an 'id' and the functions 'apply' and 'undo': " +
      "current value is the serializer 'json', which may only be first",
  );
  expect(thrown(() => pipeline(json, gzip(), Object(5))).message).toContain("part 3 must be a filter");
  expect(thrown(() => pipeline(Object(gzip()))).message).toContain("a codec must have");
  expect(thrown(() => pipeline(pipeline(json, gzip()), gzip())).message).toContain("pipeline 'json+gzip'");
  expect(thrown(() => pipeline(json, { ...gzip(), id: "a+b" })).message).toContain("must not hold '+'");
  expect(
    thrown(() =>
      void createRelay({ jobs: { job: { schema, codec: pipeline(json, gzip()), require: true } } })
    )
      .message,
  ).toBe("Cannot define job 'job' with 'require' as its codec 'json+gzip' does not encrypt");
  expect(thrown(() => gzip({ maxInflated: 0 })).message).toContain("'maxInflated' must be");
  expect(thrown(() => aesGcm(Object(5))).message).toContain("needs a key ring");
  for (
    const [name, keys, wanted] of [
      ["", [key("k")], "its name"],
      ["a+b", [key("k")], "its name"],
      ["a", [], "a list of at least one key"],
      ["a", [key("k"), key("k")], "two keys have the id 'k'"],
      ["a", [key("a b")], "a key's id"],
      ["a", [{ id: "k", key: new Uint8Array(16) }], "16 bytes"],
      ["a", [{ id: "k", key: "secret" }], "a string"],
      ["a", [{ id: "k", key: { secret: 1 } }], "current value is an object"],
      ["a", [{ id: "k", ky: new Uint8Array(32) }], "there is no option 'ky': there are id, key"],
      ["a", [{ id: "k" }], "current value is undefined"],
      ["a", [new Uint8Array(32)], "each of 'keys' must be an object { id, key }"],
    ] as const
  ) {
    const error = thrown(() => keyRing(name, keys as never));
    expect(error.message).toContain(wanted);
    expect(error.message).not.toContain("secret");
  }
});
