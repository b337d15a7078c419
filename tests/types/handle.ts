/** What handlers get and may return. */
import * as v from "valibot";
import {
  after,
  complete,
  createRelay,
  deadLetter,
  type Handle,
  type HandledOf,
  type HandlerContext,
  type HandlerFunction,
  reschedule,
  retry,
} from "../../mod.ts";
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
