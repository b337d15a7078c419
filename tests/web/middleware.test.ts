/** Middleware around runs: F008, F135 to F142, W101, W102, and what it may not lose. */
import { expect, test } from "vitest";
import {
  after,
  complete,
  createRelay,
  deadLetter,
  fixed,
  type HandlerContext,
  type JobTimeout,
  type Middleware,
  reschedule,
  retry,
} from "../../mod.ts";
import { createFakeRuntime } from "../../src/testing/mod.ts";
import { door, free, heard, running, thrown } from "./support/kit.ts";

const jobs = { job: free<string>() };

function make<const Use extends readonly Middleware[]>(...use: Use) {
  const runtime = createFakeRuntime();
  const relay = createRelay({ jobs, runtime, use });
  return { runtime, relay, failed: heard(relay.events, "failed"), retrying: heard(relay.events, "retrying") };
}

function tracing(name: string, lines: string[]): Middleware {
  return {
    run: (next) => async () => {
      lines.push(`${name}<`);
      const outcome = await next();
      lines.push(`>${name}`);
      return outcome;
    },
  };
}

test("F135: the first listed is outermost, the relay's list outside the handler's", async () => {
  const lines: string[] = [];
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => tracing(name, lines));
  if (a === undefined || b === undefined || c === undefined || d === undefined) {
    throw new Error("four are made");
  }
  const { relay } = make(a, b);
  relay.handle("job", [() => void lines.push("h1"), () => void lines.push("h2")], { use: [c, d] });
  await relay.dispatch("job", "x");
  await relay.drain();
  expect(lines.join(" ")).toBe("a< b< c< d< h1 h2 >d >c >b >a");
  await relay.close();
});

test("F136, F142: a handler inside middlewares behaves as a bare one, and middlewares serve several jobs", async () => {
  const runtime = createFakeRuntime();
  const two = { a: free<string>(), b: free<string>() };
  const seen: string[] = [];
  const relay = createRelay({ jobs: two, runtime, use: [{ run: (next) => () => next() }] });
  relay.handle("a", (payload) => void seen.push(`a ${payload}`));
  relay.handle("b", { handle: (payload: string) => void seen.push(`b ${payload}`) });
  const nested = relay.handle;
  expect(typeof nested).toBe("function");
  await relay.dispatch("a", "1");
  await relay.dispatch("b", "2");
  expect(await relay.drain()).toMatchObject({ completed: 2, failed: 0 });
  expect(seen).toEqual(["a 1", "b 2"]);
  await relay.close();
});

test("next resolves with the handler's outcome, and with complete for a value of its own", async () => {
  const kinds: string[] = [];
  const { relay } = make({
    run: (next) => async () => {
      const outcome = await next();
      kinds.push(outcome.kind);
      return outcome;
    },
  });
  const results = [undefined, "a value", complete(), retry(), deadLetter(), reschedule(after(1_000))];
  relay.handle("job", (payload) => results[Number(payload)]);
  for (const index of results.keys()) await relay.dispatch("job", `${index}`);
  const drained = await relay.drain();
  expect(kinds.toSorted()).toEqual(["complete", "complete", "complete", "deadLetter", "reschedule", "retry"]);
  expect(drained).toMatchObject({ completed: 3, retried: 1, failed: 1, rescheduled: 1 });
  await relay.close();
});

test("what a middleware adds is laid over the context for all inside, and the context's own fields stay lazy", async () => {
  let reads = 0;
  const add: Middleware<{ readonly tenant: string; readonly costly: number }> = {
    run: (next) => () =>
      next({
        tenant: "acme",
        get costly() {
          return ++reads;
        },
      }),
  };
  const seen: unknown[] = [];
  const look: Middleware = {
    run: (next) => (_, context) => {
      seen.push(Reflect.get(context, "tenant"));
      return next();
    },
  };
  const runtime = createFakeRuntime();
  const relay = createRelay({ jobs, runtime, use: [look, add, look] });
  relay.handle("job", (_, context) => {
    const { tenant, attempt, job, signal } = context;
    seen.push(tenant, attempt, job.id, signal.aborted, job === context.job, signal === context.signal);
    expect(reads).toBe(0);
    expect(context.costly).toBe(1);
  });
  await relay.dispatch("job", "x", { id: "1" });
  expect((await relay.drain()).completed).toBe(1);
  expect(seen).toEqual([undefined, "acme", "acme", 1, "1", false, true, true]);
  await relay.close();
});

test("the answer of next is a promise like any other, whether a middleware looks at it, hands it on, or both", async () => {
  const seen: string[] = [];
  const { relay, failed } = make({
    run: (next) => () => {
      const answer = next();
      seen.push(String(answer instanceof Promise), Object.prototype.toString.call(answer));
      answer.then(({ kind }) => seen.push(kind), () => seen.push("refused"));
      answer.catch(() => seen.push("caught"));
      answer.finally(() => seen.push("over")).catch(() => undefined);
      return answer;
    },
  });
  relay.handle("job", async (payload) => {
    if (payload === "bad") throw new Error("bad");
    await Promise.resolve();
  });
  const run = async (payload: string): Promise<readonly string[]> => {
    await relay.dispatch("job", payload, { maxAttempts: 1 });
    await relay.drain();
    return seen.splice(0);
  };
  // The first run finds a chain of which it is not known that it looks, the others one of which it is.
  for (let times = 0; times < 2; times++) {
    expect(await run("good")).toEqual(["true", "[object Promise]", "complete", "over"]);
    expect(await run("bad")).toEqual(["true", "[object Promise]", "refused", "caught", "over"]);
  }
  expect(failed.map(({ error }) => error.message)).toEqual(["bad", "bad"]);
  await relay.close();
});

/** Middlewares of programs that no compiler has seen. */
const untyped = (
  run: (next: (added?: unknown) => Promise<unknown>, context: HandlerContext) => unknown,
): Middleware => {
  const middleware: object = {
    run: (next: () => Promise<unknown>) => (_: unknown, context: HandlerContext) => run(next, context),
  };
  return middleware as Middleware;
};

test("an addition with a symbol, a hidden name or a getter is the handler's as it was given", async () => {
  const [mark, given] = [Symbol("mark"), { plain: 1 }];
  const added = Object.defineProperty({ [mark]: given, own: given }, "hidden", { value: 2 });
  const { relay } = make(untyped((next) => next(added)), untyped((next) => next({ later: 3 })));
  const seen: unknown[] = [];
  relay.handle("job", (_, context) => {
    for (const name of [mark, "own", "hidden", "later", "attempt"]) seen.push(Reflect.get(context, name));
  });
  await relay.dispatch("job", "x");
  expect((await relay.drain()).completed).toBe(1);
  expect(seen).toEqual([given, given, 2, 3, 1]);
  await relay.close();
});

test.each<[string, Middleware, string | undefined]>([
  ["returns nothing after next", untyped(async (next) => void (await next())), undefined],
  ["returns nothing and does not wait for next", untyped((next) => void next()), undefined],
  [
    "returns nothing without a call of next",
    untyped(() => undefined),
    "A middleware returned nothing and did not call 'next'",
  ],
  [
    "returns what is no outcome",
    untyped(() => "done"),
    "must return an outcome, or what 'next' gave: current value is \"done\"",
  ],
  [
    "throws before",
    untyped(() => {
      throw new Error("before");
    }),
    "before",
  ],
  [
    "throws after",
    untyped(async (next) => {
      await next();
      throw new Error("after");
    }),
    "after",
  ],
  [
    "calls next twice",
    untyped(async (next) => {
      await next();
      return await next();
    }),
    "a middleware called 'next' a second time in one run",
  ],
  [
    "calls next twice and looks away",
    untyped(async (next) => {
      const outcome = await next();
      await next().catch(() => undefined);
      return outcome;
    }),
    "a middleware called 'next' a second time in one run",
  ],
  [
    "adds what is no object",
    untyped((next) => next("x")),
    'must add an object to the context: current value is "x"',
  ],
  ["adds what the context has", untyped((next) => next({ signal: 1 })), "cannot add 'signal' to the context"],
])(
  "a run whose middleware %s ends as it should, and the handler ran once at most",
  async (_, middleware, error) => {
    const { relay, failed } = make(middleware);
    let runs = 0;
    relay.handle("job", () => void runs++);
    await relay.dispatch("job", "x", { maxAttempts: 1 });
    const { completed } = await relay.drain();
    expect(runs).toBeLessThanOrEqual(1);
    if (error === undefined) {
      expect({ completed, runs, failed: failed.length }).toEqual({ completed: 1, runs: 1, failed: 0 });
    } else {
      expect(completed).toBe(0);
      expect(failed[0]?.error.message).toContain(error);
      expect(failed[0]?.reason).toBe("exhausted");
    }
    await relay.close();
  },
);

test.each<[string, Middleware]>([
  ["returns nothing after next", untyped((next) => void next())],
  [
    "waits for it and returns nothing",
    untyped(async (next) => {
      try {
        await next();
      } catch {
        // As a program may write that means to log and forgets the rest.
      }
    }),
  ],
])("a handler's throw is passed on where a middleware %s", async (_, middleware) => {
  const { relay, failed } = make(middleware);
  relay.handle("job", () => {
    throw new Error("the handler's");
  });
  await relay.dispatch("job", "x", { maxAttempts: 1 });
  await relay.drain();
  expect(failed[0]?.error.message).toBe("the handler's");
  await relay.close();
});

test.each<[string, Middleware, string]>([
  [
    "makes no outcome of it",
    untyped((next) => next().catch(() => "caught")),
    "must return an outcome, or what 'next' gave: current value is \"caught\"",
  ],
  [
    "runs it again by itself",
    untyped((next) => next().catch(() => next())),
    "a middleware called 'next' a second time in one run",
  ],
  [
    "runs it again by itself and looks away",
    untyped(async (next) => {
      await next().catch(() => next()).catch(() => undefined);
      return complete();
    }),
    "a middleware called 'next' a second time in one run",
  ],
])("a handler's throw is told before the fault of a middleware that %s", async (_, middleware, fault) => {
  const { relay, failed } = make(middleware);
  relay.handle("job", () => {
    throw new RangeError("the handler's");
  });
  await relay.dispatch("job", "x", { maxAttempts: 1 });
  await relay.drain();
  const [{ error } = { error: undefined }] = failed;
  expect(error?.name).toBe("RangeError");
  expect(error?.message).toMatch(/^the handler's; a middleware around it failed too: /);
  expect(error?.message).toContain(fault);
  await relay.close();
});

test("a middleware may give another outcome, and swallow a throw by saying so", async () => {
  const { relay } = make({
    run: (next) => async () => {
      try {
        return await next();
      } catch {
        return complete();
      }
    },
  });
  relay.handle("job", () => {
    throw new Error("no");
  });
  await relay.dispatch("job", "x");
  expect((await relay.drain()).completed).toBe(1);
  await relay.close();
});

test("a mistaken return of the handler is dead as it is without a middleware", async () => {
  const { relay, failed } = make({ run: (next) => () => next() });
  const mistaken: unknown = retry;
  relay.handle("job", () => mistaken);
  await relay.dispatch("job", "x");
  await relay.drain();
  expect(failed).toMatchObject([{ reason: "outcome" }]);
  await relay.close();
});

test("a run whose middleware returned is not settled while its handler still runs", async () => {
  const gate = door();
  const { relay, runtime } = make(untyped((next) => {
    void next();
    return complete();
  }));
  const completed = heard(relay.events, "completed");
  relay.handle("job", () => gate.opened);
  await relay.dispatch("job", "x");
  const worker = running(relay);
  await runtime.advance(60_000);
  expect(completed).toEqual([]);
  gate.open();
  await runtime.advance(1_000);
  expect(completed).toHaveLength(1);
  await worker.abort();
  await relay.close();
});

test("a call of next after the middleware has ended runs nothing", async () => {
  const late: Promise<unknown>[] = [];
  const { relay, runtime } = make(untyped((next) => {
    late.push(runtime.sleep(5_000).then(() => next()).catch((error) => error.message));
    return complete();
  }));
  let runs = 0;
  relay.handle("job", () => void runs++);
  await relay.dispatch("job", "x");
  expect((await relay.drain()).completed).toBe(1);
  await runtime.advance(10_000);
  expect(runs).toBe(0);
  expect(await late[0]).toContain("the middleware had ended");
  await relay.close();
});

test("a middleware that never answers is bounded by the job's timeout", async () => {
  const runtime = createFakeRuntime();
  const relay = createRelay({
    jobs: { job: { schema: free<string>(), timeout: 1_000, maxAttempts: 1 } },
    runtime,
    use: [{ run: () => () => new Promise<never>(() => undefined) }],
  });
  const failed = heard(relay.events, "failed");
  relay.handle("job", () => undefined);
  await relay.dispatch("job", "x");
  const worker = running(relay, { abortGrace: 500 });
  await runtime.advance(2_000);
  expect(failed).toMatchObject([{ reason: "timeout", channel: "timeout" }]);
  await worker.abort();
  await relay.close();
});

test("a middleware that never answers is given up when the worker stops, and its job goes back", async () => {
  const { relay, runtime } = make({ run: () => () => new Promise<never>(() => undefined) });
  const stuck = heard(relay.events, "stuck");
  relay.handle("job", () => undefined);
  await relay.dispatch("job", "x");
  const worker = running(relay, { grace: 1_000 });
  await runtime.settle();
  const stopped = worker.abort();
  await runtime.advance(2_000);
  await stopped;
  expect(stuck).toMatchObject([{ reason: "stop" }]);
  expect((await relay.info()).waiting).toBe(1);
  await relay.close();
});

test("a handler that ignored its timeout rejects in next with it, as it fails without a middleware", async () => {
  const runtime = createFakeRuntime();
  const seen: unknown[] = [];
  const relay = createRelay({
    jobs: { job: { schema: free<string>(), timeout: 1_000, maxAttempts: 1 } },
    runtime,
    use: [{
      run: (next) => () =>
        next().catch((error: JobTimeout) => {
          seen.push(error.code);
          throw error;
        }),
    }],
  });
  const failed = heard(relay.events, "failed");
  relay.handle("job", () => runtime.sleep(2_000));
  await relay.dispatch("job", "x");
  const worker = running(relay, { abortGrace: 5_000 });
  await runtime.advance(3_000);
  expect(seen).toEqual(["JOB_TIMEOUT"]);
  expect(failed).toMatchObject([{ reason: "timeout" }]);
  await worker.abort();
  await relay.close();
});

test("middlewares see each attempt, and what they throw is retried as a handler's throw is", async () => {
  const attempts: number[] = [];
  const { relay, runtime, retrying } = make({
    run: (next) => (_, { attempt }) => {
      attempts.push(attempt);
      if (attempt === 1) throw new Error("the database is away");
      return next();
    },
  });
  relay.handle("job", () => undefined);
  await relay.dispatch("job", "x");
  const worker = running(relay, { backoff: fixed(100) });
  await runtime.advance(1_000);
  await worker.abort();
  expect(attempts).toEqual([1, 2]);
  expect(retrying).toMatchObject([{ error: { message: "the database is away" } }]);
  await relay.close();
});

test("a payload that its schema refuses reaches no middleware", async () => {
  const { relay, failed } = make({
    run: () => () => {
      throw new Error("reached");
    },
  });
  relay.handle("job", () => undefined);
  const text = new TextEncoder().encode("no json");
  await relay.transport.push([{ queue: "default", id: "1", name: "job", payload: text, meta: "" }], {
    deadline: 1_000,
  });
  await relay.drain();
  expect(failed).toMatchObject([{ reason: "undecodable" }]);
  await relay.close();
});

test.each<[string, unknown, string]>([
  ["a function", () => undefined, "'use' must be a list of middlewares"],
  ["a list with a function", [() => undefined], "'use[0]' must be a middleware"],
  ["an object without a side", [{}], "'use[0]' must have a side 'run' or 'dispatch'"],
  ["a side that is no function", [{ run: "x" }], "'use[0]' must have a function 'run'"],
])("%s is refused as a list of middlewares, of a relay and of a handler", (_, use, text) => {
  expect(thrown(() => createRelay({ jobs, use: use as readonly Middleware[] })).message).toContain(text);
  const relay = createRelay({ jobs });
  expect(
    thrown(() => relay.handle("job", () => undefined, { use: use as readonly Middleware[] })).message,
  ).toContain(text);
});

test("a middleware with a dispatch side alone is refused in a handler's list, which never calls it", async () => {
  const use = [{ dispatch: (next) => next } satisfies Middleware];
  const relay = createRelay({ jobs, use });
  expect(thrown(() => relay.handle("job", () => undefined, { use })).message).toBe(
    "Cannot handle 'job' as 'use[0]' must have a side 'run': its side 'dispatch' is called in a relay's list alone",
  );
  await relay.close();
});

test("a side that gives no function is a failed run", async () => {
  const side: unknown = { run: () => undefined };
  const { relay, failed } = make(side as Middleware);
  relay.handle("job", () => undefined);
  await relay.dispatch("job", "x", { maxAttempts: 1 });
  await relay.drain();
  expect(failed[0]?.error.message).toContain("the side 'run' of a middleware must return a function");
  await relay.close();
});
