/** What topics and groups take. */
import * as v from "valibot";
import { createRelay, type Dispatch, type Dispatched, type Groups, type Handle } from "../../mod.ts";
import { holds, type Same } from "./support.ts";

const jobs = {
  "order.paid": { schema: v.object({ id: v.string() }), topic: true, queue: "orders" },
  "mail.sent": { schema: v.number(), topic: true },
  "work": v.number(),
};
const relay = createRelay({ jobs });
const { bind, unbind, groups, handle } = relay;

// A topic is true or false.
createRelay({ jobs: { job: { schema: v.number(), topic: false } } });
// @ts-expect-error: a topic's name is its queue or the job's
createRelay({ jobs: { job: { schema: v.number(), topic: "orders" } } });

// A job of a topic is dispatched like any other.
holds<Same<ReturnType<Dispatch<typeof jobs>>, Promise<Dispatched>>>();
await relay.dispatch("order.paid", { id: "A1" }, { delay: 5 });
// @ts-expect-error: the id is a text
await relay.dispatch("order.paid", { id: 1 });

// A handler of a group gets what the schema gives.
handle("order.paid", ({ id }) => id.trim(), { group: "mailer" });
// @ts-expect-error: there is no such field
handle("order.paid", ({ name }) => name, { group: "mailer" });

// A group is a text.
handle("mail.sent", (n) => n.toFixed(), { group: "stats", replace: true });
// @ts-expect-error: it is no number
handle("mail.sent", (n) => n.toFixed(), { group: 1 });

// Groups are bound by the name of a job.
const bound: Promise<void> = bind("order.paid", "mailer", { signal: AbortSignal.timeout(1_000) });
// @ts-expect-error: there is no such job
await bind("order.payed", "mailer");
await bound;

// A group must be said.
const ended: boolean = await unbind("order.paid", "mailer");
// @ts-expect-error: which one?
await unbind("order.paid");

// Groups are listed, not changed through the list.
const list: readonly string[] = await groups("mail.sent");
// @ts-expect-error: it is read-only
(await groups("mail.sent")).push("mine");

// What a user passes around.
function deploy(to: Groups<typeof jobs>, on: Handle<typeof jobs>): Disposable {
  void to.bind("mail.sent", list[0] ?? String(ended));
  // @ts-expect-error: there is no such job
  void to.bind("mail.snt", "a");
  return on("mail.sent", (n) => n, { group: "a" });
}

deploy(relay, relay.handle);
// @ts-expect-error: a dispatch has no groups
deploy(relay.dispatch, relay.handle);
