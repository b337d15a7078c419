/** Schemas that answer with nothing that the standard knows, or never: they hold up no call, no job and no close. */
import { expect, test } from "vitest";
import {
  after,
  createRelay,
  every,
  type Filter,
  json,
  memory,
  reschedule,
  type StandardSchema,
} from "../../../mod.ts";
import { pipeline } from "../../../src/codecs/mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { free, heard, rejection } from "../support/kit.ts";
import { withoutAsyncStore } from "../support/async_store.ts";

function schemaOf(validate: (value: unknown) => unknown): StandardSchema<unknown> {
  return { "~standard": Object({ version: 1, vendor: "test", validate }) };
}

const silent = schemaOf(() => new Promise(() => undefined));
const late = { code: "DEADLINE_EXCEEDED", message: "Cannot check the payload of 'job' within 300 ms" };

test("a schema that never answers ends each call that stores a payload at its deadline, and no close waits longer", async () => {
  const runtime = createFakeRuntime();
  const transport = memory({ runtime });
  const relay = createRelay({ jobs: { job: silent }, runtime, transport, callTimeout: 300 });
  const when = every(1_000);
  const refused = [
    rejection(relay.dispatch("job", 1)),
    rejection(relay.schedule("job", 1, { when })),
    rejection(relay.schedules.sync([{ name: "job", payload: 1, when }], { owner: "test" })),
  ];
  const bulk = rejection(relay.dispatchMany([{ name: "job", payload: 1 }]));
  const closed = relay.close();
  await runtime.advance(300);
  for (const error of await Promise.all(refused)) expect(error).toMatchObject(late);
  expect(await bulk).toMatchObject({ stored: 0, failures: [{ index: 0, error: late }] });
  await closed;
  expect(runtime.sleepers).toBe(0);
});

test("a schema that never answers to a stored payload is a failed run, and holds up no look at what is stored", async () => {
  const runtime = createFakeRuntime();
  const transport = memory({ runtime });
  const producer = createRelay({ jobs: { job: free<number>() }, runtime, transport });
  const worker = createRelay({ jobs: { job: silent }, runtime, transport, callTimeout: 300 });
  await producer.dispatch("job", 1, { maxAttempts: 1 });
  const tried = rejection(worker.validate("default", "waiting"));
  await runtime.advance(300);
  expect(await tried).toMatchObject(late);
  const failed = heard(worker.events, "failed");
  worker.handle("job", () => undefined);
  const drained = worker.drain();
  await runtime.advance(300);
  expect(await drained).toMatchObject({ failed: 1 });
  expect(failed).toMatchObject([{ reason: "exhausted", error: late }]);
  await producer.close();
  await worker.close();
});

test("a schema that never answers to the payload of a reschedule makes the job dead, and says so", async () => {
  const runtime = createFakeRuntime();
  const slow = schemaOf((value) => value === 2 ? new Promise(() => undefined) : { value });
  const relay = createRelay({ jobs: { job: slow }, runtime, callTimeout: 300 });
  const failed = heard(relay.events, "failed");
  relay.handle("job", () => reschedule(after(1_000), { payload: 2 }));
  await relay.dispatch("job", 1);
  const drained = relay.drain();
  await runtime.settle();
  await runtime.advance(300);
  expect(await drained).toMatchObject({ failed: 1 });
  expect(failed).toMatchObject([{ reason: "reschedule" }]);
  expect(failed[0]?.error.message).toContain(late.message);
  await relay.close();
});

test("where nothing tells what follows from what, a schema that closes its relay waits no longer than a call may take", async () => {
  withoutAsyncStore();
  const runtime = createFakeRuntime();
  const closing = schemaOf(async (value) => {
    await relay.close();
    return { value };
  });
  const relay = createRelay({ jobs: { job: closing }, runtime, callTimeout: 300 });
  const refused = rejection(relay.dispatch("job", 1));
  await runtime.advance(300);
  expect(await refused).toMatchObject(late);
  await relay.close();
});

test.each<[string, unknown]>([
  ["null", null],
  ["a number", 5],
  ["an empty object", {}],
  ["issues that are null", { issues: null }],
  ["no issue at all", { issues: [] }],
  ["issues that are no list", { issues: "wrong" }],
])("an answer that is %s is no answer of a schema, and is told as that", async (_, answer) => {
  const relay = createRelay({ jobs: { job: schemaOf(() => answer) }, runtime: createFakeRuntime() });
  expect((await rejection(relay.dispatch("job", 1))).message).toBe(
    "The schema of 'job' gave neither a value nor issues",
  );
  await relay.close();
});

test("issues that lack their parts are issues all the same", async () => {
  const issues = [null, { message: 5, path: [null, { key: Symbol("s") }, 1] }, { path: "a" }];
  const relay = createRelay({ jobs: { job: schemaOf(() => ({ issues })) }, runtime: createFakeRuntime() });
  expect(await rejection(relay.dispatch("job", 1))).toMatchObject({
    code: "INVALID_PAYLOAD",
    issues: [
      { message: "it does not fit", path: [] },
      { message: "it does not fit", path: ["null", "Symbol(s)", 1] },
      { message: "it does not fit", path: [] },
    ],
  });
  await relay.close();
});

test("a schema and a filter that never answer keep no timer alive when their callers have gone and the relay is closed", async () => {
  const runtime = createFakeRuntime();
  const hung: Filter = { id: "hung", apply: () => new Promise(() => undefined), undo: (bytes) => bytes };
  const jobs = { job: silent, filtered: { schema: free<number>(), codec: pipeline(json, hung) } };
  const relay = createRelay({ jobs, runtime });
  const controller = new AbortController();
  const { signal } = controller;
  const refused = [
    rejection(relay.dispatch("job", 1, { signal })),
    rejection(relay.dispatch("filtered", 1, { signal })),
    rejection(
      relay.dispatchMany([{ name: "job", payload: 1 }, { name: "filtered", payload: 2 }], { signal }),
    ),
  ];
  await runtime.settle();
  const reason = new Error("enough");
  controller.abort(reason);
  expect(await Promise.all(refused)).toEqual([reason, reason, reason]);
  await relay.close();
  expect(runtime.sleepers).toBe(0);
});
