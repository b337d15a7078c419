// Run it: npm install, then node examples/seeds/004-mux.ts on Node 22.18 or later, or npx tsx examples/seeds/004-mux.ts on an older one.
// Seed 004's handlers: a mux of types, with its default chain of middlewares around it.
import { AsyncLocalStorage } from "node:async_hooks";
import * as v from "valibot";
import { complete, createRelay, deadLetter, type Outcome } from "../../mod.ts";
import { defaultChain, type MetricStorage } from "../../src/middleware/mod.ts";

type Arg = { readonly type: string; readonly arg: unknown };
type Handler = (job: Arg) => Outcome | Promise<Outcome>;

/** `Mux`: a handler that routes by type, and refuses what it does not know. */
function mux(routes: ReadonlyMap<string, Handler> = new Map()) {
  return {
    register: (type: string, handler: Handler) => mux(new Map(routes).set(type, handler)),
    handle: (job: Arg) => routes.get(job.type)?.(job) ?? deadLetter({ error: new Error("unknown type") }),
  };
}

const counts: string[] = [];
const metrics: MetricStorage = {
  observeExecuteDuration: () => undefined,
  incSuccessCount: (queue, type) => counts.push(`success ${queue} ${type}`),
  incRetryCount: (queue, type) => counts.push(`retry ${queue} ${type}`),
  incDlqCount: (queue, type) => counts.push(`dlq ${queue} ${type}`),
  incInternalErrorCount: () => counts.push("error"),
};

const relay = createRelay({
  jobs: { background: v.object({ type: v.string(), arg: v.unknown() }) },
  use: defaultChain({ metrics, storage: new AsyncLocalStorage<string>() }),
  log: false,
});
const handler = mux()
  .register("one", ({ arg }) => (console.log("one", arg), complete()))
  .register("two", () => {
    throw new Error("test panic error");
  });
relay.handle("background", handler);

for (const [type, arg] of [["one", 1], ["two", 2], ["three", 3]]) {
  await relay.dispatch("background", { type: String(type), arg }, { id: String(type) });
  await relay.drain();
}
for (const { id, lastError } of (await relay.list("default", "failed")).jobs) {
  console.log(id, lastError?.message);
}
console.log(counts.join(", "));
await relay.close();
