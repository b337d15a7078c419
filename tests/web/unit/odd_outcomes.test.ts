/** What handlers and middlewares return beside what the types allow: no value loses a job, and none hides an error. */
import { expect, test } from "vitest";
import {
  after,
  createRelay,
  deadLetter,
  every,
  fixed,
  memory,
  type Middleware,
  type Outcome,
  reschedule,
  retry,
  type RetryOptions,
} from "../../../mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { free, heard } from "../support/kit.ts";

function make(...use: Middleware[]) {
  const runtime = createFakeRuntime();
  const relay = createRelay({ jobs: { job: free<number>() }, runtime, transport: memory({ runtime }), use });
  return { relay, failed: heard(relay.events, "failed"), retrying: heard(relay.events, "retrying") };
}

/** An outcome with a field changed, as a spread of one allows. */
function changed(outcome: Outcome, fields: object): object {
  return { ...outcome, ...fields };
}

test.each<[string, object, string, string]>([
  ["of a kind that is none", changed(retry(), { kind: "later" }), "outcome", 'current value is "later"'],
  ["of no kind", changed(retry(), { kind: undefined }), "outcome", "current value is undefined"],
  [
    "without a reason",
    changed(deadLetter(), { reason: "" }),
    "outcome",
    "the reason of a dead letter must be a non-empty string",
  ],
  [
    "with a reason that is no text",
    changed(deadLetter(), { reason: 5 }),
    "outcome",
    "the reason of a dead letter must be a non-empty string",
  ],
  ["without a recurrence", changed(reschedule(after(1)), { by: null }), "reschedule", "needs a recurrence"],
  ["with a payload that is none", changed(reschedule(after(1)), { next: null }), "reschedule", "payload"],
])("an outcome %s makes the job dead at once, and says why", async (_, outcome, reason, part) => {
  const { relay, failed, retrying } = make();
  relay.handle("job", () => outcome);
  await relay.dispatch("job", 1);
  await relay.drain();
  expect(failed).toMatchObject([{ reason, channel: "failed" }]);
  expect(failed[0]?.error.message).toContain(part);
  expect(retrying).toEqual([]);
  await relay.close();
});

test("a value that lets nothing look at it completes its job", async () => {
  const { relay } = make();
  const shut = new Proxy({}, {
    has() {
      throw new Error("nothing to see");
    },
  });
  relay.handle("job", () => shut);
  await relay.dispatch("job", 1);
  expect(await relay.drain()).toMatchObject({ completed: 1, retried: 0 });
  await relay.close();
});

test.each([Infinity, -1, Number.NaN, "5", 3_155_760_000_001])(
  "a retry after %s, which is no delay, keeps its error and the backoff of its definition",
  async (delay) => {
    const runtime = createFakeRuntime();
    const jobs = { job: { schema: free<number>(), backoff: fixed(70_000, { jitter: 0 }) } };
    const relay = createRelay({ jobs, runtime });
    const retrying = heard(relay.events, "retrying");
    const options: RetryOptions = { delay: delay as number, error: new Error("card declined") };
    relay.handle("job", () => retry(options));
    const { id } = await relay.dispatch("job", 1);
    await relay.drain();
    expect(retrying).toMatchObject([{ delay: 70_000 }]);
    expect(retrying[0]?.error.message).toContain("card declined");
    expect(retrying[0]?.error.message).toContain("'delay' must be milliseconds from 0 to a century");
    expect((await relay.get("default", id))?.lastError).toMatchObject({ message: "card declined" });
    await relay.close();
  },
);

test.each([["grows without a bound", 2 ** 1_000], ["is infinite", Infinity]])(
  "a backoff that %s does not put the next run off for a century: it is told, and the default takes its place",
  async (_, delay) => {
    const runtime = createFakeRuntime();
    const relay = createRelay({ jobs: { job: { schema: free<number>(), backoff: () => delay } }, runtime });
    const retrying = heard(relay.events, "retrying");
    relay.handle("job", () => {
      throw new Error("card declined");
    });
    await relay.dispatch("job", 1);
    await relay.drain();
    expect(retrying[0]?.delay).toBeLessThan(10_000);
    expect(retrying[0]?.error.message).toMatch(/^card declined; .*a backoff must give milliseconds/);
    await relay.close();
  },
);

test.each<[string, unknown, string]>([
  ["a recurrence", every(1_000), "A middleware returned a recurrence"],
  ["a maker that was not called", retry, "A middleware returned a function of Relevo's uncalled"],
  ["an Error", new Error("quiet"), "A middleware returned an Error (quiet)"],
])("a middleware that returns %s makes the job dead at once, as a handler does", async (_, value, part) => {
  let runs = 0;
  const { relay, failed } = make({
    run: (next) => async () => {
      await next();
      return value as Outcome;
    },
  });
  relay.handle("job", () => void runs++);
  await relay.dispatch("job", 1);
  expect(await relay.drain()).toMatchObject({ failed: 1, retried: 0 });
  expect(failed).toMatchObject([{ reason: "outcome" }]);
  expect(failed[0]?.error.message).toContain(part);
  expect(runs).toBe(1);
  await relay.close();
});

test.each([undefined, 5, { a: 1 }, null])(
  "an error whose message is %s, and no text, fails its run, is stored and is logged",
  async (message) => {
    const runtime = createFakeRuntime();
    const logged: string[] = [];
    const note = (text: string): void => void logged.push(text);
    const log = { debug: () => {}, info: () => {}, warn: note, error: note };
    const relay = createRelay({ jobs: { job: free<number>() }, runtime, log });
    relay.handle("job", () => {
      throw Object.assign(new Error("x"), { message });
    });
    const { id } = await relay.dispatch("job", 1, { maxAttempts: 1 });
    expect(await relay.drain()).toMatchObject({ failed: 1 });
    expect((await relay.get("default", id))?.lastError?.message).toBe(String(message));
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain(`aborted (exhausted): ${String(message)}`);
    await relay.close();
  },
);
