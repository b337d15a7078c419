// Run it: npm install, then node examples/seeds/003-metrics.ts on Node 22.18 or later, or npx tsx examples/seeds/003-metrics.ts on an older one.
// Seed 003's metrics: a gauge of the program's own that is set to the length of each queue, by queue and channel.
import * as v from "valibot";
import { createRelay } from "../../mod.ts";
import { watchQueues } from "../../src/prometheus/mod.ts";

/** As a gauge of any metrics library: one value for each pair of labels. */
const gauge = new Map<string, number>();
const read = Promise.withResolvers<void>();

const relay = createRelay({ jobs: { greeting: v.object({ value: v.string() }) } });
relay.handle("greeting", ({ value }) => console.log(value));
await relay.dispatch("greeting", { value: "hello world" });

const watch = watchQueues(relay, {
  interval: 15_000,
  set(name, channel, value) {
    gauge.set(`{name="${name}",channel="${channel}"}`, value);
    // The last of a queue's channels.
    if (channel === "timeout") read.resolve();
  },
});
await read.promise;
await relay.drain();
watch[Symbol.dispose]();
if (gauge.get('{name="default",channel="waiting"}') !== 1) throw new Error("The gauge did not see the job");
await relay.close();
