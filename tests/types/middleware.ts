/** What middlewares add, and what they must pass: each beside its neighbour that does not compile. */
import * as v from "valibot";
import {
  after,
  type AnyMiddleware,
  complete,
  createRelay,
  every,
  type Middleware,
  type Relay,
  reschedule,
} from "../../mod.ts";
import { takes } from "./support.ts";

const jobs = { "order.paid": v.object({ id: v.string() }), tick: v.undefined() };

const tenant: Middleware<{ tenant: string }> = {
  run: (next) => (_, { job }) => next({ tenant: job.headers.tenant ?? "none" }),
};
const trace: Middleware<{ span: { id: number } }> = { run: (next) => () => next({ span: { id: 1 } }) };
const quiet: Middleware = { run: (next) => () => next() };
const stamped: Middleware = {
  dispatch: (next) => (outgoing) =>
    next(outgoing.map((job) => ({ ...job, headers: { ...job.headers, a: "b" } }))),
};

// A middleware that promises an addition has a run.
export const promised: Middleware<{ tenant: string }> = { run: (next) => () => next({ tenant: "a" }) };
// @ts-expect-error: it has none
export const unkept: Middleware<{ tenant: string }> = {};
// @ts-expect-error: a dispatch side adds nothing to a context
export const elsewhere: Middleware<{ tenant: string }> = { dispatch: (next) => (outgoing) => next(outgoing) };

// It passes the addition.
export const passes: Middleware<{ tenant: string }> = { run: (next) => () => next({ tenant: "a" }) };
export const forgets: Middleware<{ tenant: string }> = {
  // @ts-expect-error: nothing is passed
  run: (next) => () => next(),
};
export const wrong: Middleware<{ tenant: string }> = {
  // @ts-expect-error: the tenant is a text
  run: (next) => () => next({ tenant: 1 }),
};

// What promises nothing passes nothing.
export const plain: Middleware = { run: (next) => () => next() };
export const more: Middleware = {
  // @ts-expect-error: no addition was promised
  run: (next) => () => next({ tenant: "a" }),
};

// The context's own names are taken.
export const named: Middleware<{ tenant: string }> = tenant;
// @ts-expect-error: the context has a signal
export const taken: Middleware<{ signal: string }> = { run: (next) => () => next({ signal: "a" }) };

// A run returns what `next` gave, or an outcome.
export const returned: Middleware = { run: (next) => async () => await next() };
export const instead: Middleware = { run: () => () => complete() };
export const later: Middleware = { run: () => () => Promise.resolve(reschedule(after(1_000))) };
export const forgotten: Middleware = {
  // @ts-expect-error: the return is forgotten
  run: (next) => async () => {
    await next();
  },
};
export const value: Middleware = {
  // @ts-expect-error: a value of the user's is no outcome
  run: () => () => "done",
};

// Handlers see what the relay's list adds.
const relay = createRelay({ jobs, use: [tenant, trace, quiet, stamped] });
relay.handle("order.paid", ({ id }, { tenant, span, attempt }) => {
  takes<string>(id + tenant);
  takes<number>(span.id + attempt);
});
// @ts-expect-error: nothing adds a user
relay.handle("order.paid", (_, { user }) => void user, { replace: true });
// @ts-expect-error: the tenant is no number
relay.handle("order.paid", (_, { tenant }) => void tenant.toFixed(), { replace: true });

// And what their own list adds.
const other = createRelay({ jobs, use: [tenant] });
other.handle("order.paid", ({ id }, { tenant, span }) => void (id + tenant + span.id), {
  use: [trace, quiet],
});
// @ts-expect-error: only the other handler's list has it
other.handle("tick", (_, { span }) => void span.id, { use: [quiet] });

// In lists, objects and named listeners alike.
other.handle("tick", [(_, { span }) => void span.id, { handle: (_, { tenant }) => void tenant }], {
  use: [trace],
});
// @ts-expect-error: nothing adds a user
other.handle("tick", [(_, { span }) => void span.user, { handle: (_, { tenant }) => void tenant }], {
  use: [trace],
});
other.handle("tick", { mail: (_, { span }) => void span.id, audit: (_, { tenant }) => void tenant }, {
  use: [trace],
  remember: true,
});
other.handle("tick", {
  // @ts-expect-error: nothing adds a user
  mail: (_, { user }) => void user,
  audit: (_, { tenant }) => void tenant,
}, { remember: true });

// A named listener that returns a recurrence is refused as any other.
other.handle("tick", { mail: () => reschedule(every(1_000)) });
// @ts-expect-error: a recurrence alone runs no job again
other.handle("tick", { mail: () => every(1_000) });

// Without a list there are no additions.
const bare = createRelay({ jobs });
bare.handle("order.paid", (_, { attempt }) => void attempt);
// @ts-expect-error: no list adds a tenant
bare.handle("order.paid", (_, { tenant }) => void tenant);

// A relay with additions can be passed where none are asked for, and not the other way round.
function start(given: Relay<typeof jobs>): void {
  given.handle("tick", (_, { attempt }) => void attempt);
}
start(relay);
takes<Relay<typeof jobs, { tenant: string }>>(other);
// @ts-expect-error: a relay without the middleware has no tenant
takes<Relay<typeof jobs, { tenant: string }>>(bare);

// A list that is made elsewhere.
const list: readonly AnyMiddleware[] = [tenant, quiet];
createRelay({ jobs, use: list }).handle("tick", (_, { attempt }) => void attempt);
// @ts-expect-error: its type does not say what it adds
createRelay({ jobs, use: list }).handle("tick", (_, { tenant }) => void tenant);

// A list holds middlewares.
createRelay({ jobs, use: [quiet] });
// @ts-expect-error: a function is none
createRelay({ jobs, use: [() => undefined] });

// Literals in a list are typed by their place; what they add is not.
createRelay({ jobs, use: [{ run: (next) => (_, { job }) => next({ tenant: job.id }) }] })
  .handle("tick", (_, { attempt }) => void attempt);
const literal = createRelay({ jobs, use: [{ run: (next) => () => next({ tenant: "a" }) }] });
// @ts-expect-error: a literal says nothing of what it adds
literal.handle("tick", (_, { tenant }) => void tenant);
bare.handle("tick", (_, { attempt }) => void attempt, { use: [{ run: (next) => () => next() }] });
// @ts-expect-error: a side is a function
bare.handle("tick", (_, { attempt }) => void attempt, { use: [{ run: 1 }] });
