// Run it: npm install, then node examples/seeds/002-worker.ts on Node 22.18 or later, or npx tsx examples/seeds/002-worker.ts on an older one.
// Seed 002's worker, whose setters return it.
import * as v from "valibot";
import { createRelay, exponential, type Worker } from "../../mod.ts";

/** Setters one after another, over `update`. */
interface Fluent {
  maxRetry(runs: number): Fluent;
  backoff(ms: number): Fluent;
  poll(ms: number): Fluent;
  run(signal: AbortSignal): Promise<void>;
}

function fluent(worker: Worker): Fluent {
  const self: Fluent = {
    maxRetry: (runs) => (worker.update({ maxRetry: runs }), self),
    backoff: (ms) => (worker.update({ backoff: exponential(ms) }), self),
    poll: (ms) => (worker.update({ poll: ms }), self),
    run: (signal) => worker.run({ signal }),
  };
  return self;
}

const relay = createRelay({ jobs: { SendWelcomeEmail: v.object({ userId: v.number() }) } });
const stop = new AbortController();
relay.handle("SendWelcomeEmail", ({ userId }) => {
  console.log(`welcome ${userId}`);
  stop.abort();
});
const worker = fluent(relay.worker());
await relay.dispatch("SendWelcomeEmail", { userId: 42 });
console.log(worker.maxRetry(3).backoff(5_000).poll(1_000) === worker);
await worker.run(stop.signal);
await relay.close();
