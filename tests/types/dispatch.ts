/** What dispatch and dispatchMany take. */
import * as v from "valibot";
import {
  createRelay,
  type Dispatch,
  type Dispatched,
  exponential,
  fixed,
  type Jobs,
  type NameOf,
  type PayloadOf,
} from "../../mod.ts";
import { holds, type Same, takes } from "./support.ts";

const jobs = {
  "email.welcome": v.object({ userId: v.number() }),
  "order.paid": {
    schema: v.object({ id: v.string(), amount: v.number() }),
    queue: "billing",
    maxAttempts: 5,
  },
  "report.at": v.object({ day: v.pipe(v.string(), v.transform((text) => new Date(text))) }),
  "cache.clear": v.optional(v.object({ prefix: v.string() })),
  "tick": v.undefined(),
};
const relay = createRelay({ jobs });

// A name that no schema has.
await relay.dispatch("email.welcome", { userId: 1 });
// @ts-expect-error: there is no such job
await relay.dispatch("email.wellcome", { userId: 1 });

// A payload of another shape.
await relay.dispatch("order.paid", { id: "A1", amount: 9.99 });
// @ts-expect-error: the amount is a number
await relay.dispatch("order.paid", { id: "A1", amount: "9.99" });

// A field that is missing.
await relay.dispatch("order.paid", { id: "A2", amount: 1 });
// @ts-expect-error: the amount is missing
await relay.dispatch("order.paid", { id: "A2" });

// Another job's payload.
await relay.dispatch("email.welcome", { userId: 2 });
// @ts-expect-error: that is what order.paid takes
await relay.dispatch("email.welcome", { id: "A1", amount: 1 });

// A payload that is missing.
await relay.dispatch("email.welcome", { userId: 3 });
// @ts-expect-error: the payload is not optional
await relay.dispatch("email.welcome");

// A payload that may be missing.
await relay.dispatch("cache.clear");
await relay.dispatch("cache.clear", undefined, { delay: 1 });
await relay.dispatch("cache.clear", { prefix: "a" });
// @ts-expect-error: what is given must fit all the same
await relay.dispatch("cache.clear", { prefix: 1 });

// A job that takes nothing.
await relay.dispatch("tick");
// @ts-expect-error: it takes nothing
await relay.dispatch("tick", 1);

// A schema that transforms takes its input, not its output.
await relay.dispatch("report.at", { day: "2026-01-01" });
// @ts-expect-error: a Date is the output
await relay.dispatch("report.at", { day: new Date() });

// Only policies travel with a job.
await relay.dispatch("email.welcome", { userId: 4 }, { backoff: exponential(5_000) });
// @ts-expect-error: a function cannot travel
await relay.dispatch("email.welcome", { userId: 4 }, { backoff: () => 5_000 });

// Where the job runs a function will do.
createRelay({ jobs: { a: { schema: v.string(), backoff: ({ attempts }) => attempts * 1_000 } } });
// @ts-expect-error: it must give milliseconds
createRelay({ jobs: { a: { schema: v.string(), backoff: () => "soon" } } });

// Options that there are.
await relay.dispatch("email.welcome", { userId: 5 }, {
  id: "a",
  idWindow: 0,
  onDuplicate: "throw",
  at: new Date(),
});
// @ts-expect-error: a slip of the pen
await relay.dispatch("email.welcome", { userId: 5 }, { dealy: 1_000 });

// Words that there are.
await relay.dispatch("email.welcome", { userId: 6 }, { onDuplicate: "ignore" });
// @ts-expect-error: there is no such word
await relay.dispatch("email.welcome", { userId: 6 }, { onDuplicate: "replace" });

// Headers are texts.
await relay.dispatch("email.welcome", { userId: 7 }, { headers: { tenant: "7" } });
// @ts-expect-error: a number is no text
await relay.dispatch("email.welcome", { userId: 7 }, { headers: { tenant: 7 } });

// What it resolves with.
const dispatched = await relay.dispatch("tick");
takes<Dispatched>(dispatched);
takes<boolean>(dispatched.status === "duplicate");
// @ts-expect-error: nothing else becomes of a dispatch that resolved
takes<boolean>(dispatched.status === "queued");

// Bulk items are checked each by its own name.
await relay.dispatchMany([
  { name: "email.welcome", payload: { userId: 1 }, delay: 5 },
  { name: "cache.clear" },
  { name: "tick" },
]);
await relay.dispatchMany([
  // @ts-expect-error: another job's payload
  { name: "email.welcome", payload: { id: "A1", amount: 1 } },
]);

// A payload is as necessary in a bulk.
await relay.dispatchMany([{ name: "order.paid", payload: { id: "A1", amount: 1 } }]);
// @ts-expect-error: the payload is missing
await relay.dispatchMany([{ name: "order.paid" }]);

// Names are checked in a bulk.
await relay.dispatchMany([{ name: "tick" }]);
// @ts-expect-error: there is no such job
await relay.dispatchMany([{ name: "tock" }]);

// The signal of a bulk is one for all.
await relay.dispatchMany([{ name: "tick" }], { signal: AbortSignal.timeout(1) });
// @ts-expect-error: an item has no signal
await relay.dispatchMany([{ name: "tick", signal: AbortSignal.timeout(1) }]);

// The type of the function, for what a user passes around.
async function welcome(dispatch: Dispatch<typeof jobs>, userId: number): Promise<string> {
  const { id } = await dispatch("email.welcome", { userId });
  // @ts-expect-error: a payload of another shape
  await dispatch("email.welcome", { user: userId });
  return id;
}

await welcome(relay.dispatch, 1);
await welcome(createRelay({ jobs: { ...jobs, more: v.string() } }).dispatch, 1);
// @ts-expect-error: this relay's dispatch knows other jobs
await welcome(createRelay({ jobs: { other: v.string() } }).dispatch, 1);
// @ts-expect-error: this one's payload is another
await welcome(createRelay({ jobs: { ...jobs, "email.welcome": v.string() } }).dispatch, 1);

// Generic code over any jobs.
function forward<J extends Jobs, Name extends NameOf<J>>(
  dispatch: (name: Name, payload: PayloadOf<J, Name>) => Promise<Dispatched>,
  name: Name,
): (payload: PayloadOf<J, Name>) => Promise<Dispatched> {
  return (payload) => dispatch(name, payload);
}

forward<typeof jobs, "email.welcome">(relay.dispatch, "email.welcome")({ userId: 1 });
// @ts-expect-error: a payload of another shape
forward<typeof jobs, "email.welcome">(relay.dispatch, "email.welcome")({ user: 1 });

// A definition means the same as its bare schema.
const schema = v.object({ n: v.number() });
type Bare = PayloadOf<{ a: typeof schema }, "a">;
holds<Same<Bare, PayloadOf<{ a: { schema: typeof schema } }, "a">>>();
takes<Bare>({ n: 1 });
// @ts-expect-error: the payload is no text
takes<Bare>("n");

// A definition's options are checked.
createRelay({
  jobs: { a: { schema, maxAttempts: 1, queue: "q", timeout: 1, backoff: fixed(1), aliases: ["b"] } },
});
// @ts-expect-error: a number is wanted
createRelay({ jobs: { a: { schema, maxAttempts: "1" } } });

// A definition needs a schema.
createRelay({ jobs: { a: { schema } } });
// @ts-expect-error: there is none
createRelay({ jobs: { a: { queue: "q" } } });
