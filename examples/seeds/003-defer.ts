// Run it: npm install, then node examples/seeds/003-defer.ts on Node 22.18 or later, or npx tsx examples/seeds/003-defer.ts on an older one.
// Seed 003's deferred jobs: one runs in a second, the other would in an hour.
import * as v from "valibot";
import { createRelay } from "../../mod.ts";

const relay = createRelay({ jobs: { greeting: v.object({ value: v.string() }) } });
const stop = new AbortController();
relay.handle("greeting", ({ value }) => {
  console.log(value);
  stop.abort();
});

await relay.dispatch("greeting", { value: "hello world" }, { delay: 1_000 });
await relay.dispatch("greeting", { value: "hello world" }, { delay: 3_600_000 });
await relay.run({ signal: stop.signal, concurrency: 1 });
await relay.close();
