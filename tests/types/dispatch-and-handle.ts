/** F001, F002: a wrong name, a wrong payload, and a handler that reads a missing field do not compile. */
import { createRelay, type HandledOf, type PayloadOf, type Relay, type StandardSchema } from "../../mod.ts";

declare const email: StandardSchema<{ to: string }>;
declare const stamped: StandardSchema<{ at: string }, { at: Date }>;
declare const nothing: StandardSchema<undefined>;

type Defined = {
  readonly email: typeof email;
  readonly stamped: { readonly schema: typeof stamped; readonly maxAttempts: 5 };
  readonly nothing: typeof nothing;
};

declare const relay: Relay<Defined>;

relay.dispatch("email", { to: "a" });
// @ts-expect-error A payload of the wrong type.
relay.dispatch("email", { to: 1 });

relay.dispatch("email", { to: "a" }, { delay: 1 });
// @ts-expect-error A name that nobody defined.
relay.dispatch("letter", { to: "a" });

relay.dispatch("nothing");
relay.dispatch("email", { to: "a" });
// @ts-expect-error A payload that is missing.
relay.dispatch("email");

relay.handle("email", (p) => p.to);
// @ts-expect-error A handler that reads a missing field.
relay.handle("email", (p) => p.nope);

relay.handle("email", ({ to }) => to);
// @ts-expect-error A handler of a name that nobody defined.
relay.handle("letter", () => undefined);

relay.dispatch("stamped", { at: "2026-01-01" });
// @ts-expect-error Dispatch takes the schema's input, not its output.
relay.dispatch("stamped", { at: new Date() });

relay.handle("stamped", (p) => p.at.getTime());
// @ts-expect-error A handler gets the schema's output, not its input.
relay.handle("stamped", (p) => p.at.slice());

relay.dispatchMany([{ name: "email", payload: { to: "a" } }, { name: "nothing" }]);
// @ts-expect-error One wrong payload among many.
relay.dispatchMany([{ name: "email", payload: { to: 1 } }, { name: "nothing" }]);

relay.dispatch("nothing", undefined, { maxAttempts: 2 });
// @ts-expect-error An option that does not exist.
relay.dispatch("nothing", undefined, { retries: 2 });

createRelay({ jobs: { email } }).dispatch("email", { to: "a" });
// @ts-expect-error Names are inferred from what is given.
createRelay({ jobs: { email } }).dispatch("stamped", { at: "" });

export const input: PayloadOf<Defined, "stamped"> = { at: "2026-01-01" };
export const output: HandledOf<Defined, "stamped"> = { at: new Date(0) };
