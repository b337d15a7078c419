/** Jobs that run in the caller: F120, F121. */
import { expect, test } from "vitest";
import {
  after,
  createRelay,
  deadLetter,
  every,
  InvalidPayloadError,
  type JobTimeout,
  type Middleware,
  raw,
  reschedule,
  retry,
} from "../../mod.ts";
import { createFakeRuntime } from "../../src/testing/mod.ts";
import { checked, door, free, heard, rejection, thrown } from "./support/kit.ts";

const jobs = {
  job: free<string>(),
  strict: checked<number>((value) => typeof value === "number" ? [] : [{ message: "no number", path: [] }]),
  bytes: { schema: free<Uint8Array>(), codec: raw },
  slow: { schema: free<string>(), timeout: 1_000 },
  paid: { schema: free<string>(), topic: true },
};

function make(...use: Middleware[]) {
  const runtime = createFakeRuntime();
  return { runtime, relay: createRelay({ jobs, runtime, inline: true, use }) };
}

test("F120: a dispatch resolves after its listeners, one after another, and leaves nothing behind", async () => {
  const { relay, runtime } = make();
  const order: string[] = [];
  const gate = door();
  relay.handle("job", [
    async (payload) => {
      await gate.opened;
      order.push(`first ${payload}`);
    },
    (payload, { attempt, job }) => void order.push(`second ${payload} ${attempt} ${job.id}`),
  ]);
  const done = relay.dispatch("job", "x", { id: "1" }).then((answer) => {
    order.push("resolved");
    return answer;
  });
  await runtime.settle();
  expect(order).toEqual([]);
  gate.open();
  expect(await done).toEqual({ id: "1", status: "done" });
  expect(order).toEqual(["first x", "second x 1 1", "resolved"]);
  expect(await relay.queues()).toEqual([]);
  await relay.close();
  await runtime.settle();
  expect(runtime.sleepers).toBe(0);
});

test("F120: the first error is the caller's, the listeners behind it do not run, and there is no retry", async () => {
  const { relay } = make();
  const order: string[] = [];
  const error = new Error("the first");
  relay.handle("job", [() => void order.push("a"), () => {
    throw error;
  }, () => void order.push("c")]);
  const failed = heard(relay.events, "failed");
  expect(await rejection(relay.dispatch("job", "x", { maxAttempts: 5 }))).toBe(error);
  expect(order).toEqual(["a"]);
  expect(failed).toHaveLength(1);
  expect((await relay.info()).failed).toBe(0);
  await relay.close();
});

test("F120: without a handler a dispatch resolves", async () => {
  const { relay } = make();
  expect((await relay.dispatch("job", "x")).status).toBe("done");
  expect((await relay.dispatch("paid", "x")).status).toBe("done");
  await relay.close();
});

test("F121: handlers get decoded data by name, whatever the codec, and a topic's job goes to each group", async () => {
  const { relay } = make();
  const seen: unknown[] = [];
  relay.handle("bytes", (payload) => void seen.push([...payload]));
  relay.handle("strict", (payload) => void seen.push(payload));
  relay.handle("paid", (payload, { job }) => void seen.push(`${payload} ${job.queue}`), { group: "mailer" });
  relay.handle("paid", (payload, { job }) => void seen.push(`${payload} ${job.queue}`), { group: "billing" });
  await relay.dispatch("bytes", new Uint8Array([1, 2]));
  await relay.dispatch("strict", 7);
  await relay.dispatch("paid", "x");
  expect(seen).toEqual([[1, 2], 7, "x paid@mailer", "x paid@billing"]);
  await relay.close();
});

test("validation and both sides of middlewares are as they are in a worker", async () => {
  const order: string[] = [];
  const { relay } = make({
    run: (next) => async (_, { job }) => {
      order.push(`run ${job.headers.by}`);
      return await next();
    },
    dispatch: (next) => (outgoing) => {
      order.push("dispatch");
      return next(outgoing.map((job) => ({ ...job, headers: { ...job.headers, by: "a middleware" } })));
    },
  });
  relay.handle("strict", (payload) => void order.push(`handled ${payload}`));
  await relay.dispatch("strict", 7);
  expect(order).toEqual(["dispatch", "run a middleware", "handled 7"]);
  expect(await rejection(relay.dispatch("strict", "x" as unknown as number))).toBeInstanceOf(
    InvalidPayloadError,
  );
  expect(order).toHaveLength(3);
  await relay.close();
});

test("outcomes: what fails rejects, what completes resolves, and what needs a store is refused", async () => {
  const { relay } = make();
  const results = {
    value: "mine",
    retry: retry({ error: new Error("again") }),
    dead: deadLetter({ reason: "gone", error: new Error("dead") }),
    later: reschedule(after(1_000)),
  };
  relay.handle("job", (payload) => Reflect.get(results, payload));
  expect((await relay.dispatch("job", "value")).status).toBe("done");
  expect((await rejection(relay.dispatch("job", "retry"))).message).toBe("again");
  expect((await rejection(relay.dispatch("job", "dead"))).message).toBe("dead");
  expect((await rejection(relay.dispatch("job", "later"))).message).toContain("Cannot reschedule 'job'");
  await relay.close();
});

test.each<[string, object]>([
  ["delay", { delay: 1 }],
  ["at", { at: new Date(0) }],
  ["transaction", { transaction: {} }],
])("'%s' is refused", async (option, options) => {
  const { relay } = make();
  expect((await rejection(relay.dispatch("job", "x", options))).message).toContain(
    `Cannot dispatch 'job' with '${option}' as this relay runs jobs inline`,
  );
  await relay.close();
});

test("a bulk runs in order and ends with the first error", async () => {
  const { relay } = make();
  const seen: string[] = [];
  relay.handle("job", (payload) => {
    seen.push(payload);
    if (payload === "b") throw new Error("no");
  });
  const [first] = await relay.dispatchMany([{ name: "job", payload: "x" }, { name: "job", payload: "y" }]);
  expect(first?.status).toBe("done");
  const many = ["a", "b", "c"].map((payload) => ({ name: "job" as const, payload }));
  expect((await rejection(relay.dispatchMany(many))).message).toBe("no");
  expect(seen).toEqual(["x", "y", "a", "b"]);
  await relay.close();
});

test("the job's timeout aborts the signal, and a handler that ignores it is given up", async () => {
  const { relay, runtime } = make();
  relay.handle("slow", (_, { signal }) => {
    expect(signal.aborted).toBe(false);
    return new Promise(() => undefined);
  });
  const refused = rejection(relay.dispatch("slow", "x"));
  await runtime.advance(10_000);
  expect((await refused as JobTimeout).code).toBe("JOB_TIMEOUT");
  await relay.close();
});

test("the caller's signal is the handler's, and its reason the caller's answer", async () => {
  const { relay, runtime } = make();
  relay.handle(
    "job",
    (_, { signal }) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  );
  const controller = new AbortController();
  const refused = rejection(relay.dispatch("job", "x", { signal: controller.signal }));
  await runtime.settle();
  controller.abort(new Error("enough"));
  expect((await refused).message).toBe("enough");
  await relay.close();
});

test("handlers may dispatch, and closing waits for what runs", async () => {
  const { relay, runtime } = make();
  const order: string[] = [];
  const gate = door();
  relay.handle("job", async (payload) => {
    order.push(payload);
    if (payload !== "outer") return;
    await relay.dispatch("job", "inner");
    await gate.opened;
    order.push("end");
  });
  const done = relay.dispatch("job", "outer");
  const closed = relay.close().then(() => order.push("closed"));
  await runtime.settle();
  gate.open();
  await Promise.all([done, closed]);
  expect(order).toEqual(["outer", "inner", "end", "closed"]);
});

test("a handler may end its own relay, which waits for it and closes then", async () => {
  const { relay } = make();
  const order: string[] = [];
  relay.handle("job", async () => {
    await relay.close();
    order.push("handler");
  });
  expect((await relay.dispatch("job", "x")).status).toBe("done");
  await relay.close();
  expect(order).toEqual(["handler"]);
  expect(await rejection(relay.dispatch("job", "x"))).toMatchObject({ code: "RELAY_CLOSED" });
});

test("a recurring job of an inline relay is stored, and its jobs are run by the relay's worker", async () => {
  const { relay, runtime } = make();
  const seen: string[] = [];
  relay.handle("job", (payload) => void seen.push(payload));
  expect(await relay.schedule("job", "tick", { key: "k", when: every(1_000) })).toBe("created");
  const stop = new AbortController();
  const run = relay.run({ signal: stop.signal });
  expect((await relay.dispatch("job", "now")).status).toBe("done");
  await runtime.advance(2_500);
  expect(seen).toEqual(["now", "tick", "tick"]);
  stop.abort();
  await run;
  await relay.close();
});

test("'inline' is true or false", () => {
  expect(thrown(() => createRelay({ jobs, inline: "yes" as unknown as boolean })).message).toContain(
    "'inline' must be true or false",
  );
});
