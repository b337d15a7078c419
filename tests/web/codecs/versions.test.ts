import { expect, test } from "vitest";
import {
  after,
  createRelay,
  from,
  json,
  memory,
  PayloadVersionError,
  reschedule,
  type Transport,
  type Upcast,
  UpcastError,
} from "../../../mod.ts";
import { gzip, pipeline } from "../../../src/codecs/mod.ts";
import { createFakeRuntime } from "../../../src/testing/fake_runtime.ts";
import { bytes, checked, free, heard, running, textOf, thrown } from "../support/kit.ts";

interface V1 {
  readonly name: string;
}
interface V3 {
  readonly first: string;
  readonly last: string;
}
const steps: string[] = [];
const upcast = from(1, (old: V1) => {
  steps.push("1 to 2");
  return old.name.split(" ");
}).step(([first = "", last = ""]) => {
  steps.push("2 to 3");
  return { first, last };
});
const schema = checked<V3>((value) =>
  typeof Object(value).last === "string" ? [] : [{ message: "there must be a last name", path: ["last"] }]
);
const call = { deadline: 1_000 };

/** A program of a version, over one store. */
function program(transport: Transport, version: 1 | 2 | 3) {
  const older = { schema: free<unknown>(), upcast: version === 1 ? undefined : from(version) };
  return createRelay({ jobs: { greet: version === 3 ? { schema, upcast } : older }, transport });
}

async function put(transport: Transport, id: string, payload: unknown, meta: string): Promise<void> {
  await transport.push([{ queue: "default", id, name: "greet", payload: bytes(payload), meta }], call);
}

test("a payload climbs from the version that its record names, and none is version 1", async () => {
  const transport = memory();
  const [one, two, three] = [program(transport, 1), program(transport, 2), program(transport, 3)];
  await one.dispatch("greet", { name: "Ada Lovelace" }, { id: "1" });
  await two.dispatch("greet", ["Alan", "Turing"], { id: "2" });
  await three.dispatch("greet", { first: "Grace", last: "Hopper" }, { id: "3" });
  const metas = (await transport.get("default", ["1", "2", "3"], call)).map((entry) =>
    JSON.parse(entry?.meta ?? "").version
  );
  expect(metas).toEqual([undefined, 2, 3]);
  const seen: unknown[] = [];
  three.handle("greet", (payload, { job }) => void seen.push([payload, job.version]));
  steps.length = 0;
  expect(await three.drain({ concurrency: 1 })).toMatchObject({ completed: 3 });
  expect(seen).toEqual([
    [{ first: "Ada", last: "Lovelace" }, 1],
    [{ first: "Alan", last: "Turing" }, 2],
    [{ first: "Grace", last: "Hopper" }, 3],
  ]);
  expect(steps).toEqual(["1 to 2", "2 to 3", "2 to 3"]);
});

test("the steps are walked behind the codec that the record names, and a reschedule writes the newest version", async () => {
  const transport = memory();
  const old = createRelay({
    jobs: { greet: { schema: free<V1>(), codec: pipeline(json, gzip()) } },
    transport,
  });
  await old.dispatch("greet", { name: `Ada ${"x".repeat(5_000)}` }, { id: "1" });
  const relay = createRelay({
    jobs: { hello: { schema, upcast, aliases: ["greet"] } },
    codecs: [pipeline(json, gzip())],
    transport,
  });
  const seen: unknown[] = [];
  relay.handle("hello", ({ first, last }, { job }) => {
    seen.push([first, last.length, job.version, job.codec]);
    return seen.length === 1
      ? reschedule(after(0))
      : seen.length === 2
      ? reschedule(after(0), { payload: { first, last: "y" } })
      : undefined;
  });
  await relay.drain();
  expect(seen).toEqual([
    ["Ada", 5_000, 1, "json+gzip"],
    ["Ada", 5_000, 1, "json+gzip"],
    ["Ada", 1, 3, "json"],
  ]);
});

test("an older version than the first is dead as version, and comes back by a reload once it is read", async () => {
  const transport = memory();
  await program(transport, 1).dispatch("greet", { name: "Ada Lovelace" }, { id: "1" });
  const narrow = createRelay({ jobs: { greet: { schema, upcast: from(3) } }, transport });
  narrow.handle("greet", () => {
    throw new Error("not this one");
  });
  const failed = heard(narrow.events, "failed");
  expect(await narrow.drain()).toMatchObject({ failed: 1 });
  expect(failed).toMatchObject([{ reason: "version" }]);
  expect(failed[0]?.error).toBeInstanceOf(PayloadVersionError);
  expect(failed[0]?.error.message).toBe("The payload of 'greet' has version 1: here version 3 is read");
  expect(await narrow.get("default", "1")).toMatchObject({ attempts: 0, dead: { reason: "version" } });
  const wide = program(transport, 3);
  const seen: unknown[] = [];
  wide.handle("greet", (payload) => void seen.push(payload));
  await wide.reload("default", "failed", { reason: "version" });
  await wide.drain();
  expect(seen).toEqual([{ first: "Ada", last: "Lovelace" }]);
});

test("a newer version is handed back like an unknown name, until a worker reads it or 'unknownFor' is over", async () => {
  const runtime = createFakeRuntime();
  const transport = memory({ runtime });
  const make = (upcast: Upcast<string> | undefined) =>
    createRelay({ jobs: { greet: { schema: free<string>(), upcast } }, transport, runtime });
  const [old, newer] = [make(undefined), make(from(2))];
  old.handle("greet", () => {
    throw new Error("not this one");
  });
  await newer.dispatch("greet", "x", { id: "1" });
  const released = heard(old.events, "released");
  const failed = heard(old.events, "failed");
  const worker = running(old, { unknownFor: 10_000 });
  await runtime.advance(3_000);
  expect(released.length).toBeGreaterThan(0);
  expect(released[0]).toMatchObject({ reason: "version", job: { version: 2, attempts: 0 } });
  const seen: string[] = [];
  newer.handle("greet", (text) => void seen.push(text));
  const knowing = running(newer);
  await runtime.advance(10_000);
  expect(seen).toEqual(["x"]);
  await knowing.abort();
  await newer.dispatch("greet", "y", { id: "2" });
  await runtime.advance(60_000);
  expect(failed).toMatchObject([{ reason: "version", job: { id: "2" } }]);
  await worker.abort();
  await newer.dispatch("greet", "z", { id: "3" });
  expect(await old.drain({ unknown: "drop" })).toMatchObject({ released: 1, completed: 0 });
  await runtime.advance(5_000);
  expect(await old.drain({ unknown: "dead" })).toMatchObject({ failed: 1 });
});

test("a step that throws or gives what the schema refuses is dead as invalid, with the step's number", async () => {
  const transport = memory();
  const wrong = createRelay({
    jobs: {
      greet: {
        schema,
        upcast: from(1, (old: V1) => {
          if (old.name === "late") return Promise.resolve() as unknown as string[];
          return old.name.split(" ");
        }).step((parts) => ({ first: parts[0] ?? "", last: parts[1] as string })),
      },
    },
    transport,
  });
  wrong.handle("greet", () => {
    throw new Error("not this one");
  });
  await put(transport, "throws", {}, "");
  await put(transport, "refused", { name: "Ada" }, "");
  await put(transport, "late", { name: "late" }, "");
  await put(transport, "second", null, '{"v":1,"version":2}');
  const failed = heard(wrong.events, "failed");
  expect(await wrong.drain({ concurrency: 1 })).toMatchObject({ failed: 4 });
  expect(failed.map(({ job, reason }) => [job.id, reason])).toEqual([
    ["throws", "invalid"],
    ["refused", "invalid"],
    ["late", "invalid"],
    ["second", "invalid"],
  ]);
  const [throws, refused, late, second] = failed.map(({ error }) => error);
  expect(throws).toBeInstanceOf(UpcastError);
  expect(throws).toMatchObject({ step: 1, code: "UPCAST_FAILED" });
  expect(throws?.message).toContain("Step 1 of 'greet', from version 1 to 2, failed: ");
  expect(refused?.message).toContain("'last'");
  expect(late?.message).toContain("must give its value at once");
  expect(second).toMatchObject({ step: 2 });
  expect(second?.message).toContain("Step 2 of 'greet', from version 2 to 3");
  expect(textOf((await wrong.get("default", "refused"))?.payload ?? bytes(""))).toBe('{"name":"Ada"}');
});

test.each([0, -1, 1.5, "2", null, {}])(
  "a record whose version is %j is dead as undecodable",
  async (version) => {
    const transport = memory();
    const relay = program(transport, 3);
    relay.handle("greet", () => {});
    await put(transport, "1", { name: "Ada" }, JSON.stringify({ v: 1, version }));
    const failed = heard(relay.events, "failed");
    await relay.drain();
    expect(failed).toMatchObject([{ reason: "undecodable" }]);
  },
);

test("versions and steps that are none are refused with what is wanted", () => {
  for (const first of [0, -1, 1.5, NaN, Infinity, Object("1")]) {
    expect(thrown(() => from(first)).message).toContain("'first' must be a whole number from 1");
  }
  expect(thrown(() => from(1, Object(5))).message).toContain("each step must be a function");
  expect(thrown(() => from(1, String).step(Object(null))).message).toContain("each step must be a function");
  const wrong = Object({ first: 1, steps: [] });
  expect(thrown(() => createRelay({ jobs: { greet: { schema, upcast: wrong } } })).message).toContain(
    "Cannot define job 'greet' as 'upcast' must be made by 'from'",
  );
  const two = from(1, (old: V1) => old);
  expect(two.step((old) => old).last).toBe(3);
  expect(two.last).toBe(2);
});
