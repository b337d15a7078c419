/** Messages of the first hour: each says what was meant, what was given, and how it is written here. */
import * as v from "valibot";
import { expect, test } from "vitest";
import {
  createRelay,
  deadLetter,
  DeadlineExceeded,
  every,
  exponential,
  fromBroker,
  InvalidPayloadError,
  memory,
  type Relay,
  reschedule,
  retry,
  type StandardSchema,
} from "../../../mod.ts";
import { connect } from "../../../src/connect.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";

const jobs = { n: v.object({ userId: v.number(), kind: v.optional(v.picklist(["a", "b"])) }) };

function open(): Relay<typeof jobs> {
  return createRelay({ jobs, runtime: createFakeRuntime(), log: false });
}

/** Calls what the types refuse, as a program without them does. */
function untyped(
  relay: object,
): Readonly<Record<string, (...values: readonly unknown[]) => Promise<unknown>>> {
  return relay as never;
}

async function said(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
  return "nothing";
}

const payload = { userId: 1 };

test.each([
  ["drain", [{ limits: 1 }], ["limit", "budget", "signal", "concurrency"]],
  ["run", [{ sginal: 1 }], ["signal", "concurrency"]],
  ["dispatch", ["n", payload, { siganl: 1 }], ["id", "signal", "transaction"]],
  ["dispatchMany", [[{ name: "n", payload, dely: 1 }]], ["name", "payload", "delay"]],
  ["reload", ["default", "failed", { naem: "n" }], ["ids", "name", "reason", "before"]],
  ["remove", ["default", "failed", { id: "n" }], ["ids", "name", "reason", "before"]],
])("what %s refuses as no option is answered with all that there are", async (verb, values, options) => {
  const message = await said(() => untyped(open())[verb]?.(...values));
  const list = /there are ([^;]+)$/.exec(message)?.[1]?.split(", ") ?? [];
  expect(list, message).toEqual(expect.arrayContaining(options));
});

/** What the language itself makes, which has nothing that could be read as options, headers or jobs. */
const foreign = [new Map([["id", 1]]), Promise.resolve({}), new Date(0), new Error("e"), new URL("x:y")];

test("options of a kind that has no fields are refused with their kind, and not read as none", async () => {
  const relay = open();
  relay.handle("n", () => {});
  for (const given of foreign) {
    const calls: readonly (() => unknown)[] = [
      ...["run", "worker", "drain", "queues", "close"].map((verb) => () => untyped(relay)[verb]?.(given)),
      () => untyped(relay).dispatch?.("n", payload, given),
      () => untyped(relay).dispatchMany?.([{ name: "n", payload }], given),
      () => untyped(relay).dispatch?.("n", payload, { headers: given }),
      () => untyped(relay.schedules).list?.(given),
      () => memory(given as never),
      () => createRelay({ jobs: given as never }),
      () => createRelay(given as never),
      () => connect("memory:", given as never),
    ];
    for (const call of calls) {
      const message = await said(call);
      expect(message).toMatch(/must be an object.*: current value is (a|an|the|Thu) ?/);
      expect(message).not.toContain("[object");
    }
  }
  await relay.close();
});

test("a runtime without a clock is refused wherever one is taken, with what it lacks", async () => {
  for (const runtime of [null, {}, 5, { now: () => 1 }]) {
    for (const make of [memory, (options: object) => createRelay({ jobs, ...options })]) {
      expect(await said(() => make({ runtime } as never))).toMatch(
        /'runtime' must have the functions now, monotonic, sleep, timer, random and id: current value is (null|5|an object)/,
      );
    }
    expect(await said(() => connect("memory:", { runtime } as never))).toContain("'runtime' must have");
  }
});

test("a transport's name that is empty or no text is a TypeError on each that the caller makes", () => {
  const broker = { publish: () => {}, subscribe: () => () => {} };
  for (const name of ["", 5, null]) {
    for (const make of [() => memory({ name } as never), () => fromBroker({ ...broker, name } as never)]) {
      expect(make).toThrow(TypeError);
      expect(make).toThrow("'name' must be a non-empty string");
    }
  }
});

test("what is given is shown by its kind, and null is no way to leave an option out", async () => {
  const cases: readonly (readonly [() => unknown, string])[] = [
    [() => every({} as never), "current value is an object"],
    [() => every(Symbol("s") as never), "current value is Symbol(s)"],
    [() => every(true as never), "current value is true"],
    [() => memory({ name: {} } as never), "current value is an object"],
    [() => createRelay({ jobs, recurrences: null } as never), "current value is null"],
    [() => untyped(open().schedules).list?.({ limit: null }), "current value is null"],
    [() => exponential(1_000, { max: null } as never), "current value is null"],
    [() => reschedule(every(5), { keepAttempts: "no" } as never), 'current value is "no"'],
    [() => untyped(open()).handle?.("n", () => {}, { replace: "no" }), 'current value is "no"'],
    [() => untyped(open()).handle?.("n", new Map()), "current value is a Map"],
    [() => untyped(open()).handle?.({ n: () => {} }), "write handle(name, handler)"],
    [() => untyped(open()).dispatchMany?.(new Set()), "current value is a Set"],
    [() => untyped(open()).dispatchMany?.([["n", payload]]), "current value is a list of 2"],
    [() => untyped(open()).dispatchMany?.([{ payload }]), "must be { name, payload }"],
  ];
  for (const [call, part] of cases) expect(await said(call)).toContain(part);
});

test.each([
  ["reload", ["default", "failed", ["a"]], "current value is a list, give { ids }"],
  ["remove", ["default", "failed", ["a"]], "current value is a list, give { ids }"],
  ["run", [new AbortController().signal], "current value is a signal, give { signal }"],
  ["drain", [new AbortController().signal], "current value is a signal, give { signal }"],
  ["dispatch", ["n", payload, new AbortController().signal], "current value is a signal, give { signal }"],
  ["dispatchMany", [[{ name: "n", payload }], [1]], "its options must be an object: current value is a list"],
])("%s says what its options look like when something else is given", async (verb, values, part) => {
  expect(await said(() => untyped(open())[verb]?.(...values))).toContain(part);
});

test.each([
  [
    { name: "n", payload },
    [],
    "Unknown job 'an object': there are n; write dispatch(name, payload, options)",
  ],
  ["n", [payload, { attempts: 3 }], "runs in all are 'maxAttempts'"],
  ["n", [payload, { jobId: "a" }], "a job's own id is 'id'"],
  ["n", [payload, { removeOnComplete: true }], "a job that is done is always removed"],
  ["n", [payload, { repeat: { every: 1 } }], "relay.schedule(name, payload, { when })"],
  ["n", [payload, { backoff: { type: "exponential", delay: 1_000 } }], "write exponential(5_000)"],
  ["n", [payload, { backoff: { type: "fixed" } }], "write fixed(5_000)"],
  ["n", [payload, { backoff: 5_000 }], "as exponential(5_000) or fixed(5_000): current value is 5000"],
])("a dispatch in another library's shape is answered with ours: %j %j", async (first, rest, part) => {
  expect(await said(() => untyped(open()).dispatch?.(first, ...rest))).toContain(part);
});

test("bulk entries, workers and relays in another library's shape are answered with ours", async () => {
  const relay = untyped(open());
  expect(await said(() => relay.dispatchMany?.([{ name: "n", data: payload, opts: {} }])))
    .toContain("what a handler gets is 'payload'");
  expect(await said(() => relay.dispatchMany?.([{ name: "n", payload, opts: {} }])))
    .toContain("stands beside 'name' and 'payload'");
  expect(await said(() => relay.worker?.("n", () => undefined)))
    .toContain('current value is "n"; relay.handle(name, handler) registers a handler');
  expect(await said(() => relay.run?.({ connection: {} }))).toContain("where jobs are kept is 'transport'");
  expect(await said(() => createRelay({ jobs, connection: {} } as never)))
    .toContain("where jobs are kept is 'transport'");
});

test.each([
  ["an object that is no schema", {}],
  ["a list of fields", { schema: { userId: "number" } }],
  ["undefined", undefined],
  ["a type's name", "number"],
])("%s is no schema, and the message names what is", async (_, given) => {
  const message = await said(() => createRelay({ jobs: { n: given as never } }));
  for (const library of ["valibot", "zod", "arktype", "Schema.standardSchemaV1"]) {
    expect(message).toContain(library);
  }
  expect(message).not.toContain("current value is undefined".repeat(given === undefined ? 2 : 1));
  expect(message).not.toContain("[object");
});

test("a schema of Effect's that is not wrapped is answered with the call that wraps it", async () => {
  const effect = Object.assign(() => undefined, { ast: {} });
  expect(await said(() => createRelay({ jobs: { n: effect as never } })))
    .toContain("wrap Effect's in Schema.standardSchemaV1(...)");
});

test("a payload that its schema refuses is told with what was expected, and without what was given", async () => {
  const secret = "s3cret";
  const error = await open().dispatch("n", { userId: secret, kind: secret } as never).catch((e: unknown) =>
    e
  );
  if (!(error instanceof InvalidPayloadError)) throw error;
  expect(error.message).toBe(
    `The payload of 'n' does not fit its schema at 'userId' (expected number), 'kind' (expected ("a" | "b"))`,
  );
  expect(error.issues.map(({ expected }) => expected)).toEqual(["number", '("a" | "b")']);
  expect(error.message).not.toContain(secret);
});

test("of a key that is missing it is told that a value is expected, not that the key's name is its type", async () => {
  const relay = createRelay({ jobs: { n: v.object({ to: v.object({ name: v.string() }) }) }, log: false });
  const message = await said(() => untyped(relay)["dispatch"]?.("n", { to: {} }));
  expect(message).toContain("at 'to.name' (expected a value)");
  const literal = createRelay({ jobs: { n: v.object({ kind: v.literal("kind") }) }, log: false });
  const wrong = await said(() => untyped(literal)["dispatch"]?.("n", { kind: "other" }));
  expect(wrong).toContain(`at 'kind' (expected "kind")`);
});

test("a schema that does not say what it expects is told with the place alone, and of many places some", async () => {
  const issues = Array.from({ length: 30 }, (_, n) => ({ message: "s3cret", path: [`p${n}`] }));
  const schema: StandardSchema<number, number> = {
    "~standard": { version: 1, vendor: "here", validate: () => ({ issues }) },
  };
  const message = await said(() => createRelay({ jobs: { n: schema } }).dispatch("n", 1));
  expect(message).toContain("at 'p0', 'p1'");
  expect(message).toContain("'p9' and 20 more places");
  expect(message).not.toContain("s3cret");
});

test("an instant more than a century from now is refused, where it is dispatched and where a run asks for it", async () => {
  const runtime = createFakeRuntime();
  const relay = createRelay({ jobs, runtime, log: false });
  const century = 3_155_760_000_000;
  for (const at of [8.64e15, runtime.now() + century + 1, new Date(8.64e15)]) {
    expect(await said(() => relay.dispatch("n", payload, { at }))).toContain("at most a century from now");
  }
  expect(await said(() => relay.dispatch("n", payload, { at: runtime.now() + century }))).toBe("nothing");
  relay.handle("n", () => reschedule({ next: () => ({ at: runtime.now() + century + 1 }) }));
  await relay.dispatch("n", payload, { id: "late" });
  await relay.drain({ limit: 1 });
  const job = await relay.get("default", "late");
  expect(job?.dead?.reason).toBe("reschedule");
  expect(job?.lastError?.message).toContain("an instant at most a century from now");
  await relay.close();
});

test("outcomes that are given a bare value show how it is written", () => {
  expect(() => retry(5_000 as never)).toThrow("current value is 5000, write retry({ delay: 5_000 })");
  expect(() => retry(new Error("x") as never)).toThrow("write retry({ delay: 5_000 })");
  expect(() => deadLetter("gone" as never)).toThrow('write deadLetter({ reason: "gone" })');
});

test.each([
  ["5000", 5_000],
  ["an object", { delay: 5_000 }],
  ["a Date", new Date()],
  ["undefined", undefined],
])("a reschedule by %s makes the job dead with how it is written", async (_, by) => {
  const relay = open();
  relay.handle("n", () => reschedule(by as never));
  await relay.dispatch("n", payload, { id: "a" });
  await relay.drain();
  const job = await relay.get("default", "a");
  expect(job?.dead?.reason).toBe("reschedule");
  expect(job?.lastError?.message).toContain("as in reschedule(after(5_000)), reschedule(at(instant))");
  await relay.close();
});

test("what a handler throws that is no error is told by its message, or as an object without one", async () => {
  const relay = open();
  const thrown: unknown[] = [{ code: 7 }, { message: "no funds" }, new Map()];
  relay.handle("n", ({ userId }) => {
    throw thrown[userId];
  });
  for (const [userId] of thrown.entries()) {
    await relay.dispatch("n", { userId }, { id: `${userId}`, maxAttempts: 1 });
  }
  await relay.drain();
  const told = await Promise.all(thrown.map((_, id) => relay.get("default", `${id}`)));
  expect(told.map((job) => job?.lastError?.message)).toEqual([
    "an object without a message was thrown",
    "no funds",
    "an object without a message was thrown",
  ]);
  await relay.close();
});

test("a backoff that fails does not hide what the run failed with", async () => {
  const relay = open();
  const told: string[] = [];
  relay.events.addEventListener("retrying", ({ detail }) => {
    told.push(`${detail.error.name} ${detail.error.message}`);
  });
  relay.handle("n", () => {
    throw new TypeError("the card is declined");
  });
  await relay.dispatch("n", payload);
  await relay.drain({ backoff: () => Number.NaN });
  expect(told).toHaveLength(1);
  expect(told[0]).toMatch(
    /^TypeError the card is declined; its backoff failed too: .*must give milliseconds/,
  );
  await relay.close();
});

test("a queue that neither a definition, a handler nor the store knows is unknown to every call that looks into it", async () => {
  const relay = open();
  const calls = {
    info: () => relay.info("defualt"),
    list: () => relay.list("defualt", "failed"),
    get: () => relay.get("defualt", "a"),
    reload: () => relay.reload("defualt", "failed", "all"),
    remove: () => relay.remove("defualt", "waiting", "all"),
  };
  for (const [verb, call] of Object.entries(calls)) {
    await expect(call(), verb).rejects.toMatchObject({
      code: "UNKNOWN_QUEUE",
      queue: "defualt",
      message: expect.stringContaining("the queue 'defualt': there are default") as string,
    });
  }
  expect((await relay.info("default")).waiting).toBe(0);
  await relay.close();
});

test("a queue that only the store knows, and one of a topic, a group and a handler are known", async () => {
  const transport = open().transport;
  const relay = createRelay({
    jobs: {
      paid: { schema: v.object({}), topic: true, queue: "orders" },
      other: { schema: v.object({}), queue: "other" },
    },
    transport,
    log: false,
  });
  await relay.dispatch("other", {});
  const bare = createRelay({ jobs: {}, transport, log: false });
  expect((await bare.info("other")).waiting).toBe(1);
  expect((await bare.list("other", "failed")).jobs).toEqual([]);
  expect((await relay.info("orders@")).waiting).toBe(0);
  await expect(relay.info("orders@mailer")).rejects.toMatchObject({ code: "UNKNOWN_QUEUE" });
  await relay.bind("paid", "mailer");
  expect((await relay.info("orders@mailer")).waiting).toBe(0);
  relay.handle("paid", () => undefined, { group: "stock" });
  expect((await relay.info("orders@stock")).waiting).toBe(0);
});

test("a call that ran out of time says whole milliseconds, however little of them was left to it", () => {
  expect(new DeadlineExceeded("reserve jobs", 2_999.984415999).message).toBe(
    "Cannot reserve jobs within 3000 ms",
  );
});
