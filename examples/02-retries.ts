// Run it: npm install, then node examples/02-retries.ts on Node 22.18 or later, or npx tsx examples/02-retries.ts on an older one.
// In your own program: "@relevo/relevo" instead of "../mod.ts", which needs no build here.
import * as v from "valibot";
import { complete, createRelay, deadLetter, fixed } from "../mod.ts";

const relay = createRelay({ jobs: { "invoice.send": v.object({ to: v.string() }) } });
const stop = new AbortController();
let left = 3;

relay.handle("invoice.send", ({ to }, { attempt }) => {
  console.log(`${to}: attempt ${attempt}`);
  // A run that throws failed: it runs again after its backoff, as long as attempts are left.
  if (to === "ada@example.com" && attempt < 3) throw new Error("the mail server is away");
  if (to === "bob@example.com") throw new Error("mailbox full");
  // An outcome decides at once: no further attempt would help here.
  if (to === "nobody") return deadLetter({ reason: "no-address", error: new Error("not an address") });
  return complete();
});

relay.events.addEventListener("completed", ({ detail }) => ended(`${detail.job.id}: done`));
relay.events.addEventListener("failed", ({ detail }) => ended(`${detail.job.id}: dead, ${detail.reason}`));
function ended(line: string): void {
  console.log(line);
  if (--left === 0) stop.abort();
}

await relay.dispatch("invoice.send", { to: "nobody" }, { id: "invoice 1" });
await relay.dispatch("invoice.send", { to: "ada@example.com" }, { id: "invoice 2", delay: 1_000 });
await relay.dispatch("invoice.send", { to: "bob@example.com" }, {
  id: "invoice 3",
  delay: 4_000,
  maxAttempts: 2,
});
// While a job waits for its next attempt it costs no slot: it is due in the broker, not asleep in the worker.
await relay.run({ signal: stop.signal, maxRetry: 3, backoff: fixed(100) });

const { jobs } = await relay.list("default", "failed");
for (const { id, dead, lastError } of jobs) console.log(`${id}: ${dead?.reason} (${lastError?.message})`);
await relay.close();
