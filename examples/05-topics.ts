// Run it: npm install, then node examples/05-topics.ts on Node 22.18 or later.
// In your own program: "@relevo/relevo" instead of "../mod.ts".
import * as v from "valibot";
import { createRelay } from "../mod.ts";

const relay = createRelay({
  jobs: {
    // Each group that is bound to the topic gets every job.
    "order.paid": { schema: v.object({ id: v.string() }), topic: true, queue: "orders" },
    // Workers share the jobs of a queue: each runs once, on whichever takes it.
    "invoice.print": { schema: v.object({ id: v.string() }), queue: "printer" },
  },
});

// Dispatched before a group is there: it waits for the first group.
await relay.dispatch("order.paid", { id: "A1" });
await relay.bind("order.paid", "billing");
await relay.bind("order.paid", "mailer");
await relay.dispatch("order.paid", { id: "A2" });
console.log(`groups: ${(await relay.groups("order.paid")).join(", ")}`);

relay.handle("order.paid", async ({ id }, { job }) => {
  console.log(`${job.queue}: invoice for ${id}`);
  await relay.dispatch("invoice.print", { id });
}, { group: "billing" });

relay.handle("order.paid", ({ id }, { job }) => {
  console.log(`${job.queue}: mail for ${id}`);
  if (id === "A2") throw new Error("the mail server is away");
}, { group: "mailer" });

relay.handle("invoice.print", ({ id }, { job }) => {
  console.log(`${job.queue}: ${id}`);
});

await relay.drain({ concurrency: 1, maxRetry: 1 });

// What fails in one group fails there alone.
for (const group of ["billing", "mailer"]) {
  const { failed } = await relay.info(`orders@${group}`);
  console.log(`failed in ${group}: ${failed}`);
}
await relay.close();
