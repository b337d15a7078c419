/** What handlers get and may return. */
import * as v from "valibot";
import {
  after,
  at,
  complete,
  createRelay,
  deadLetter,
  every,
  type Handle,
  type HandledOf,
  type HandlerContext,
  type HandlerFunction,
  LeaseLost,
  reschedule,
  retry,
} from "../../mod.ts";
import { cron } from "../../src/cron/mod.ts";
import { holds, type Same } from "./support.ts";

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

const { handle } = relay;

// A field that the payload has.
handle("email.welcome", ({ userId }) => userId.toFixed());
// @ts-expect-error: there is no such field
handle("email.welcome", ({ userName }) => userName);

// A field as another type.
handle("order.paid", ({ amount }) => Math.round(amount));
// @ts-expect-error: the amount is a number
handle("order.paid", ({ amount }) => amount.trim());

// A name that no schema has.
handle("tick", () => undefined);
// @ts-expect-error: there is no such job
handle("tock", () => undefined);

// A schema that transforms gives its output, not its input.
handle("report.at", ({ day }) => day.getTime());
// @ts-expect-error: the text is the input
handle("report.at", ({ day }) => day.toUpperCase());

// A payload that may be missing must be looked at.
handle("cache.clear", (payload) => payload?.prefix.length);
// @ts-expect-error: it may be undefined
handle("cache.clear", (payload) => payload.prefix.length);

// Outcomes, values and promises of both are fine.
handle("tick", () => retry({ delay: 5, error: new Error("later") }));
handle("tick", () => Promise.resolve(deadLetter({ reason: "no" })));
handle("tick", () => reschedule(after(5), { keepAttempts: true }));
handle("tick", (_, { attempt }) => attempt > 1 ? complete() : "any value");
// @ts-expect-error: retry has no such option
handle("tick", () => retry({ dealy: 5 }));

// Objects with a method, and lists of listeners.
handle("email.welcome", { handle: ({ userId }) => userId.toFixed() });
handle("email.welcome", [({ userId }) => userId, { handle: ({ userId }) => userId }], { replace: true });
// @ts-expect-error: there is no such field
handle("email.welcome", [{ handle: ({ userName }) => userName }]);

// The context can be read and not written.
handle("tick", (_, { signal, job }) => signal.aborted || job.headers["a"]);
// @ts-expect-error: the job is read-only
handle("tick", (_, context) => void (context.job.id = "x"));

// The type of the function, for what a user passes around.
function register(on: Handle<typeof jobs>): void {
  on("order.paid", ({ id }) => id.trim());
  // @ts-expect-error: there is no such field
  on("order.paid", ({ name }) => name);
}

register(relay.handle);
// @ts-expect-error: a dispatch is no handle
register(relay.dispatch);

// A handler of its own function.
const paid: HandlerFunction<HandledOf<typeof jobs, "order.paid">> = ({ id }, { attempt }: HandlerContext) =>
  id + attempt;
handle("order.paid", paid);
// @ts-expect-error: it is for another job
handle("email.welcome", paid);

// What a handler gets, by name.
holds<Same<HandledOf<typeof jobs, "report.at">, { day: Date }>>();
// @ts-expect-error: that is the input
holds<Same<HandledOf<typeof jobs, "report.at">, { day: string }>>();

// What was meant as an outcome and is none: a recurrence alone.
handle("tick", () => reschedule(every(5)));
// @ts-expect-error: a recurrence must be given to reschedule
handle("tick", () => every(5));
// @ts-expect-error: a recurrence must be given to reschedule
handle("tick", () => at(5));
// @ts-expect-error: a recurrence must be given to reschedule
handle("tick", () => after(5));
// @ts-expect-error: a recurrence of the user's own is one too
handle("tick", () => ({ next: () => ({ delay: 5 }) }));
// What can be iterated is none, nor what has another `next`.
handle("tick", () => [1].values());
handle("tick", function* () {
  yield 1;
});
handle("tick", async function* () {
  yield await Promise.resolve(1);
});
handle("tick", () => ({ next: 5, items: [] }));
handle("tick", (): { next?: () => void } => ({}));

// In one branch only, in a promise, in an object or a list.
handle("tick", (_, { attempt }) => attempt > 1 ? reschedule(every(5)) : undefined);
// @ts-expect-error: one branch returns a recurrence
handle("tick", (_, { attempt }) => attempt > 1 ? every(5) : undefined);
// @ts-expect-error: one branch returns a recurrence
handle("email.welcome", async ({ userId }) => {
  await Promise.resolve();
  if (userId > 1) return every(5);
  return userId;
});
// @ts-expect-error: the promise's value is a recurrence
handle("tick", () => Promise.resolve(every(5)));
handle("email.welcome", { handle: ({ userId }) => retry({ delay: userId }) });
// @ts-expect-error: the method returns a recurrence
handle("email.welcome", { handle: ({ userId }) => every(userId) });
handle("email.welcome", [({ userId }) => userId, ({ userId }) => after(userId).next({ now: 1, due: 1 })]);
// @ts-expect-error: one of the list returns a recurrence
handle("email.welcome", [({ userId }) => userId, ({ userId }) => after(userId)]);
// @ts-expect-error: one of the list returns a recurrence
handle("email.welcome", [{ handle: () => 5 }, { handle: async ({ userId }) => await after(userId) }]);

// A maker that is not called.
handle("tick", () => complete());
// @ts-expect-error: retry must be called
handle("tick", () => retry);
// @ts-expect-error: complete must be called
handle("tick", () => complete);
// @ts-expect-error: deadLetter must be called
handle("tick", () => deadLetter);
// @ts-expect-error: reschedule must be called
handle("tick", () => reschedule);
// @ts-expect-error: every must be called
handle("tick", () => every);
// @ts-expect-error: after must be called
handle("tick", () => after);
// @ts-expect-error: at must be called
handle("tick", () => at);
// @ts-expect-error: cron must be called, and a recurrence alone runs no job again
handle("tick", () => cron);
// @ts-expect-error: a recurrence alone runs no job again
handle("tick", () => cron("@daily"));
handle("tick", () => reschedule(cron("@daily")));
// @ts-expect-error: one branch returns it uncalled
handle("tick", (_, { attempt }) => attempt > 1 ? retry : retry());
// Functions of the user's own are values like any other.
handle("tick", () => () => 5);
handle("tick", () => () => retry({ delay: 5 }));
handle("tick", () => (): never => {
  throw new Error("not yet");
});

// An Error that is not thrown.
handle("tick", (): never => {
  throw new Error("thrown");
});
// @ts-expect-error: an Error must be thrown
handle("tick", () => new Error("returned"));
// @ts-expect-error: an Error must be thrown
handle("tick", (_, { attempt }) => attempt > 1 ? new RangeError("returned") : undefined);
// @ts-expect-error: an Error of one's own too
handle("tick", () => new LeaseLost("1"));
handle("tick", () => ({ name: "a name", message: "and a message" }));
handle("tick", (_, { job }) => job.lastError);

// What says nothing of itself still compiles: it is looked at when it is there.
const secret: unknown = every(5);
handle("tick", () => secret);
handle("tick", () => Promise.resolve(secret));
handle("tick", () => JSON.parse("5"));
handle("tick", () => ({ next: JSON.parse("5") }));
handle("tick", (): object => ({}));
const blank: HandlerFunction<undefined> = () => secret;
handle("tick", blank);

// A recurrence is no outcome within a transaction either.
handle("tick", (_, { settle }) => settle({}, reschedule(every(5))));
// @ts-expect-error: a recurrence must be given to reschedule
handle("tick", (_, { settle }) => settle({}, every(5)));
