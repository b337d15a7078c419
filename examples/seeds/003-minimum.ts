// Run it: npm install, then node examples/seeds/003-minimum.ts on Node 22.18 or later, or npx tsx examples/seeds/003-minimum.ts on an older one.
// Seed 003's smallest program: a job of a type of its own, a listener, a queue in this process.
import * as v from "valibot";
import { createRelay } from "../../mod.ts";

const queue = createRelay({ jobs: { example: v.string() } });
const stop = new AbortController();
queue.handle("example", (data) => {
  console.log(data);
  stop.abort();
});

const consuming = queue.run({ signal: stop.signal });
await queue.dispatch("example", "foo", { delay: 1_000 });
await queue.dispatch("example", "bar", { delay: 3_600_000 });
await consuming;
await queue.close();
