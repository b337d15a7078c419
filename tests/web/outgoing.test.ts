/** Middleware around dispatches: what it may add, what it may not change, and that no answer is lost. */
import { expect, test } from "vitest";
import {
  type AroundDispatch,
  BulkRefusedError,
  createRelay,
  every,
  fixed,
  type JobSettings,
  type Middleware,
  type OutgoingAnswer,
  type OutgoingJob,
  type StandardSchema,
} from "../../mod.ts";
import { createFakeRuntime } from "../../src/testing/mod.ts";
import { free, heard, rejection, running } from "./support/kit.ts";

const jobs = {
  job: free<string>(),
  other: { schema: free<string>(), queue: "q" },
  paid: { schema: free<string>(), topic: true },
};

function make(...sides: AroundDispatch[]) {
  const runtime = createFakeRuntime();
  const use: Middleware[] = sides.map((dispatch) => ({ dispatch }));
  const relay = createRelay({ jobs, runtime, use });
  return { runtime, relay, errors: heard(relay.events, "error") };
}

const header = (name: string, value = "x"): AroundDispatch => (next) => (outgoing) =>
  next(outgoing.map((job) => ({ ...job, headers: { ...job.headers, [name]: value } })));

test("headers and a request id are added, by the first listed first, to a dispatch, a bulk and a topic's job", async () => {
  const order: string[] = [];
  const tracing = (name: string): AroundDispatch => (next) => async (outgoing) => {
    order.push(`${name}<`);
    const answers = await next(outgoing.map((job) => ({ ...job, headers: { ...job.headers, [name]: "x" } })));
    order.push(`>${name}`);
    return answers;
  };
  const { relay } = make(
    tracing("a"),
    tracing("b"),
    (next) => (outgoing) => next(outgoing.map((job) => ({ ...job, requestId: "r" }))),
  );
  const { id } = await relay.dispatch("job", "x", { headers: { own: "1" } });
  expect(order).toEqual(["a<", "b<", ">b", ">a"]);
  expect(await relay.get("default", id)).toMatchObject({
    requestId: "r",
    headers: { own: "1", a: "x", b: "x" },
  });
  const [one, two] = await relay.dispatchMany([{ name: "job", payload: "x" }, {
    name: "other",
    payload: "x",
  }]);
  expect(await relay.get("default", one?.id ?? "")).toMatchObject({ requestId: "r", headers: { a: "x" } });
  expect(await relay.get("q", two?.id ?? "")).toMatchObject({ requestId: "r", headers: { a: "x" } });
  const paid = await relay.dispatch("paid", "x");
  expect(await relay.get("paid@", paid.id)).toMatchObject({ requestId: "r", headers: { a: "x" } });
  await relay.close();
});

test("a middleware sees what will be stored, and the caller's request id only where there is one", async () => {
  const seen: OutgoingJob[] = [];
  const { relay } = make((next) => (outgoing) => {
    seen.push(...outgoing);
    return next(outgoing);
  });
  await relay.dispatch("job", "x", { id: "1", delay: 60_000, headers: { a: "b" }, requestId: "r" });
  await relay.dispatch("job", "x", { id: "2" });
  await relay.dispatchMany([{ name: "job", payload: "x", id: "3", at: 5 }]);
  expect(seen).toMatchObject([
    { id: "1", name: "job", queue: "default", delay: 60_000, headers: { a: "b" }, requestId: "r" },
    { id: "2", requestId: undefined, headers: {} },
    { id: "3", requestId: undefined, at: 5 },
  ]);
  expect(new TextDecoder().decode(seen[0]?.payload)).toBe(`"x"`);
  await relay.close();
});

test.each<[string, JobSettings]>([
  ["nothing", {}],
  ["settings", { maxAttempts: 3, timeout: 5_000, backoff: fixed(7_000) }],
  ["a request id", { id: "1", requestId: 'of "}' }],
  ["a header", { headers: { own: "}" } }],
  ["an instant", { at: 60_000 }],
])("a header that a middleware adds leaves a record of %s as it was", async (_, settings) => {
  const value = 'a "quoted" }\u2028\\ \u0001 text';
  const [plain, added] = [make(), make(header("more", value))];
  const recordOf = async ({ relay }: ReturnType<typeof make>): Promise<object> => {
    const { id } = await relay.dispatch("job", "x", settings);
    const { headers, ...record } = await relay.get("default", id) ?? {};
    await relay.close();
    return { headers, record: { ...record, ...settings.id === undefined ? { id: "", requestId: "" } : {} } };
  };
  const [before, after] = [await recordOf(plain), await recordOf(added)];
  expect(after).toEqual({ ...before, headers: { ...settings.headers, more: value } });
});

const change = (make: (job: OutgoingJob) => object): AroundDispatch => (next) => (outgoing) =>
  next(outgoing.map((job) => ({ ...job, ...make(job) })));

const CHANGES: readonly [string, AroundDispatch, string][] = [
  ["the name", change(() => ({ name: "other" })), "changed 'name'"],
  ["the queue", change(() => ({ queue: "q" })), "changed 'queue'"],
  ["the id", change(() => ({ id: "mine" })), "changed 'id'"],
  ["the delay", change(() => ({ delay: 1 })), "changed 'delay'"],
  ["the instant", change(() => ({ at: 1 })), "changed 'at'"],
  ["the payload", change(() => ({ payload: new Uint8Array(3) })), "changed 'payload'"],
  ["the payload's bytes in place", (next) => (outgoing) => {
    for (const { payload } of outgoing) payload.fill(0);
    return next(outgoing);
  }, "changed 'payload'"],
  ["a header", change(() => ({ headers: { own: "2" } })), "changed 'headers.own'"],
  ["the headers by leaving one out", change(() => ({ headers: {} })), "changed 'headers.own'"],
  ["the caller's request id", change(() => ({ requestId: "other" })), "changed 'requestId'"],
  [
    "the caller's request id by leaving it out",
    change(() => ({ requestId: undefined })),
    "changed 'requestId'",
  ],
  [
    "a header to what is no text",
    change(() => ({ headers: { own: "1", more: 2 } })),
    "header 'more' must be a string",
  ],
  ["the number of jobs", (next) => (outgoing) => next([...outgoing, ...outgoing]), "must hand on"],
  ["the jobs to nothing", (next) => () => next([]), "must hand on"],
  ["the jobs to what is no list", (next) => () => next("x" as unknown as OutgoingJob[]), "must hand on"],
];

test.each(CHANGES)(
  "a middleware that changes %s is refused before anything is stored",
  async (_, side, text) => {
    const { relay } = make(side);
    const settings = { headers: { own: "1" }, requestId: "r" };
    expect((await rejection(relay.dispatch("job", "x", settings))).message).toContain(text);
    const many = [
      { name: "job" as const, payload: "x", ...settings },
      { name: "job" as const, payload: "y", ...settings },
    ];
    expect((await rejection(relay.dispatchMany(many))).message).toContain(text);
    expect((await relay.info()).waiting).toBe(0);
    expect(await relay.queues()).toEqual([]);
    await relay.close();
  },
);

test("a middleware that changes the order of a bulk is refused before anything is stored", async () => {
  const { relay } = make((next) => (outgoing) => next(outgoing.toReversed()));
  const many = [{ name: "job" as const, payload: "x" }, { name: "job" as const, payload: "y" }];
  expect((await rejection(relay.dispatchMany(many))).message).toContain("changed 'id'");
  expect((await relay.info()).waiting).toBe(0);
  await relay.close();
});

test("a refusal that a middleware swallows is told to the caller all the same", async () => {
  const { relay } = make((next) => async (outgoing) => {
    try {
      return await next([]);
    } catch {
      return outgoing.map(({ id }) => ({ id, status: "stored" as const }));
    }
  });
  expect((await rejection(relay.dispatch("job", "x"))).message).toContain("must hand on 1 jobs");
  await relay.close();
});

test.each<[string, AroundDispatch, string]>([
  ["throws before it goes on", () => () => {
    throw new Error("before");
  }, "before"],
  [
    "does not go on",
    () => (outgoing) => Promise.resolve(outgoing.map(({ id }) => ({ id, status: "stored" }))),
    "did not call 'next'",
  ],
  ["gives no function", (() => undefined) as unknown as AroundDispatch, "must return a function"],
])("a dispatch whose middleware %s rejects, and stores nothing", async (_, side, text) => {
  const { relay } = make(side);
  expect((await rejection(relay.dispatch("job", "x"))).message).toContain(text);
  expect((await relay.info()).waiting).toBe(0);
  await relay.close();
});

test("a middleware that never goes on ends with the relay's callTimeout, and stores nothing when it wakes up", async () => {
  const { relay, runtime } = make((next) => async (outgoing) => {
    await runtime.sleep(60_000);
    return await next(outgoing);
  });
  const refused = rejection(relay.dispatch("job", "x"));
  await runtime.advance(10_000);
  expect(await refused).toMatchObject({ code: "DEADLINE_EXCEEDED" });
  await runtime.advance(60_000);
  expect((await relay.info()).waiting).toBe(0);
  await relay.close();
});

test("the caller's signal ends the wait for a middleware, and nothing is stored", async () => {
  const { relay, runtime } = make((next) => async (outgoing) => {
    await runtime.sleep(5_000);
    return await next(outgoing);
  });
  const controller = new AbortController();
  const refused = rejection(relay.dispatch("job", "x", { signal: controller.signal }));
  await runtime.settle();
  controller.abort(new Error("enough"));
  expect((await refused).message).toBe("enough");
  await runtime.advance(10_000);
  expect((await relay.info()).waiting).toBe(0);
  await relay.close();
});

test.each<[string, (answers: readonly OutgoingAnswer[]) => unknown, string | undefined]>([
  ["throws", () => {
    throw new Error("after");
  }, "after"],
  ["answers otherwise", () => [{ id: "made up", status: "duplicate" }], undefined],
  ["answers nothing", () => undefined, undefined],
])("once stored a job is told as stored, though a middleware %s", async (_, answer, error) => {
  const { relay, errors } = make(
    ((next) => async (outgoing) => answer(await next(outgoing))) as AroundDispatch,
  );
  expect(await relay.dispatch("job", "x", { id: "1" })).toEqual({ id: "1", status: "stored" });
  expect(errors.map(({ error, during }) => `${during}: ${error.message}`)).toEqual(
    error === undefined ? [] : [`dispatching: ${error}`],
  );
  expect((await relay.info()).waiting).toBe(1);
  await relay.close();
});

test("a middleware that never ends after the store has answered holds the answer up for callTimeout at most", async () => {
  const { relay, runtime, errors } = make((next) => async (outgoing) => {
    const answers = await next(outgoing);
    await runtime.sleep(1_000_000);
    return answers;
  });
  const stored = relay.dispatch("job", "x", { id: "1" });
  await runtime.advance(10_000);
  expect(await stored).toEqual({ id: "1", status: "stored" });
  expect(errors).toMatchObject([{ during: "dispatching", error: { code: "DEADLINE_EXCEEDED" } }]);
  await relay.close();
  await runtime.advance(1_000_000);
});

test("a second call of next rejects, and the job is stored once", async () => {
  const { relay, errors } = make((next) => async (outgoing) => {
    await next(outgoing);
    return await next(outgoing);
  });
  expect((await relay.dispatch("job", "x", { id: "1" })).status).toBe("stored");
  expect((await relay.info()).waiting).toBe(1);
  expect(errors[0]?.error.message).toContain("called 'next' a second time");
  await relay.close();
});

test("next answers for each job, a duplicate and a refusal too", async () => {
  const seen: OutgoingAnswer[] = [];
  const { relay } = make(header("a"), (next) => async (outgoing) => {
    const answers = await next(outgoing);
    seen.push(...answers);
    return answers;
  });
  await relay.dispatch("job", "x", { id: "1" });
  await relay.dispatch("job", "x", { id: "1" });
  const refused = await rejection(relay.dispatchMany([
    { name: "job", payload: "x", id: "1", onDuplicate: "throw" },
    { name: "job", payload: "x", id: "2" },
  ]));
  expect(refused).toBeInstanceOf(BulkRefusedError);
  expect(refused).toMatchObject({ stored: 1, failures: [{ index: 0 }] });
  expect(seen).toMatchObject([
    { id: "1", status: "stored" },
    { id: "1", status: "duplicate" },
    { code: "DUPLICATE_JOB" },
    { id: "2", status: "stored" },
  ]);
  await relay.close();
});

test("what is wrong with a job rejects before any middleware is asked", async () => {
  let asked = 0;
  const { relay } = make((next) => (outgoing) => {
    asked++;
    return next(outgoing);
  });
  await rejection(relay.dispatch("job", "x", { delay: Number.NaN }));
  await rejection(relay.dispatchMany([{ name: "job", payload: "x", delay: Number.NaN }]));
  expect(asked).toBe(0);
  await relay.close();
});

test("a relay that closes waits for a middleware under way", async () => {
  const { relay, runtime } = make((next) => async (outgoing) => {
    await runtime.sleep(5_000);
    return await next(outgoing);
  });
  const stored = relay.dispatch("job", "x");
  let closed = false;
  const closing = relay.close().then(() => closed = true);
  await runtime.advance(4_000);
  expect(closed).toBe(false);
  await runtime.advance(2_000);
  expect((await stored).status).toBe("stored");
  await closing;
});

test("the tick of a schedule passes the middlewares as a dispatch does, and carries what they add", async () => {
  const seen: string[] = [];
  const { relay, runtime } = make((next) => (outgoing) => {
    seen.push(...outgoing.map(({ name, queue }) => `${name} ${queue}`));
    return next(
      outgoing.map((job) => ({ ...job, headers: { ...job.headers, traced: "yes" }, requestId: "r" })),
    );
  });
  const handled: unknown[] = [];
  relay.handle("other", (_, { job }) => void handled.push([job.headers, job.requestId]));
  await relay.schedule("other", "x", { key: "hourly", when: every(3_600_000) });
  const worker = running(relay);
  await runtime.advance(2 * 3_600_000);
  await worker.abort();
  expect(seen).toEqual(["other q", "other q"]);
  expect(handled).toEqual(Array(2).fill([{ traced: "yes" }, "r"]));
  await relay.close();
});

test("a tick that a middleware changes is not stored", async () => {
  const { relay, runtime } = make((next) => (outgoing) =>
    next(outgoing.map((job) => ({ ...job, queue: "default" })))
  );
  let runs = 0;
  relay.handle("other", () => void runs++);
  await relay.schedule("other", "x", { key: "hourly", when: every(3_600_000) });
  const worker = running(relay);
  await runtime.advance(3_700_000);
  await worker.abort();
  expect(runs).toBe(0);
  await relay.close();
});

test("a job whose schema answers later passes the middlewares, too, alone and in a bulk", async () => {
  const later: StandardSchema<string> = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) => Promise.resolve({ value: String(value) }),
    },
  };
  const relay = createRelay({
    jobs: { later },
    runtime: createFakeRuntime(),
    use: [{ dispatch: header("trace") }],
  });
  const { id } = await relay.dispatch("later", "x");
  const [other] = await relay.dispatchMany([{ name: "later", payload: "x" }]);
  for (const each of [id, other?.id ?? ""]) {
    expect(await relay.get("default", each)).toMatchObject({ headers: { trace: "x" } });
  }
  await relay.close();
});
