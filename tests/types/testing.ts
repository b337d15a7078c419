/** What a test's relay takes and answers. */
import * as v from "valibot";
import { createRelay, type Middleware } from "../../mod.ts";
import { type DispatchedJob, expectUpcasts, type JobRun, testRelay } from "../../src/testing/mod.ts";
import { holds, type Same, takes } from "./support.ts";

const jobs = {
  "email.welcome": v.object({ userId: v.number() }),
  "order.paid": { schema: v.object({ id: v.string(), amount: v.number() }), maxAttempts: 5 },
};
const tenant: Middleware<{ tenant: string }> = { run: (next) => () => next({ tenant: "a" }) };

// It is a relay, typed by its jobs and its middlewares.
const relay = testRelay(jobs, { use: [tenant], now: 0 });
relay.handle("email.welcome", ({ userId }, context) => {
  takes<number>(userId);
  takes<string>(context.tenant);
});
// @ts-expect-error: there is no such job
relay.handle("email.wellcome", () => {});
await relay.dispatch("order.paid", { id: "A1", amount: 1 });
// @ts-expect-error: the amount is missing
await relay.dispatch("order.paid", { id: "A1" });

// Claims know the names and the payloads.
const found = relay.dispatched("order.paid", { id: "A1", amount: 1 });
holds<Same<typeof found, readonly DispatchedJob<{ id: string; amount: number }>[]>>();
relay.dispatched("order.paid", ({ amount }) => amount > 1);
// @ts-expect-error: there is no such job
relay.dispatched("order.payed");
// @ts-expect-error: the amount is a number
relay.dispatched("order.paid", { id: "A1", amount: "1" });
// @ts-expect-error: the amount is missing
relay.notDispatched("order.paid", { id: "A1" });
relay.notDispatched();

// A run takes the payload, and answers how it ended.
const run = await relay.runJob("email.welcome", { userId: 1 }, { attempt: 3 });
holds<Same<typeof run, JobRun>>();
// @ts-expect-error: the payload is missing
await relay.runJob("email.welcome");
// @ts-expect-error: a run has no such option
await relay.runJob("email.welcome", { userId: 1 }, { attempts: 3 });

// Jobs that no relay would take, no relay of a test takes.
testRelay({ greet: { schema: v.string(), maxAttempts: 3 } });
// @ts-expect-error: a misspelt option
testRelay({ greet: { schema: v.string(), maxAttemps: 3 } });

// The transport is the kit's.
testRelay(jobs, { inline: true });
// @ts-expect-error: the transport is the kit's
testRelay(jobs, { transport: createRelay({ jobs }).transport });

// Samples are of jobs that there are.
await expectUpcasts(jobs, { "order.paid": { 1: [{ id: "A1" }] } });
// @ts-expect-error: there is no such job
await expectUpcasts(jobs, { "order.payed": { 1: [{ id: "A1" }] } });
