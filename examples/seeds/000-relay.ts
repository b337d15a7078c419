// Run it: npm install, then node examples/seeds/000-relay.ts on Node 22.18 or later, or npx tsx examples/seeds/000-relay.ts on an older one.
// Seed 000's relay: orders and emails, a handler that hears when the program ends, and one that is registered late.
import * as v from "valibot";
import { createRelay } from "../../mod.ts";

const relay = createRelay({
  jobs: {
    emails: v.object({ to: v.string() }),
    orders: v.object({ id: v.string(), amount: v.number() }),
    late: v.string(),
  },
});
const done = Promise.withResolvers<void>();

relay.handle("emails", ({ to }) => console.log(`mail to ${to}`));
relay.handle("orders", async ({ id, amount }, { signal }) => {
  console.log(`order ${id}: ${amount}`);
  done.resolve();
  // A handler's signal aborts when `run`'s does.
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  console.log(`the handler of order ${id} heard that the relay stops`);
});

// What is dispatched before anything runs is kept.
await relay.dispatch("emails", { to: "ada@example.org" });
const stop = new AbortController();
const running = relay.run({ signal: stop.signal, concurrency: 1 });

// A handler may come while workers run.
relay.handle("late", (text) => console.log(text));
await relay.dispatch("late", "registered while running");
await relay.dispatch("orders", { id: "abc", amount: 9.99 });
await done.promise;
stop.abort();
await running;
await relay.close();
