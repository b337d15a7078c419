// Run it: npm install, then node examples/seeds/003-factory.ts on Node 22.18 or later, or npx tsx examples/seeds/003-factory.ts on an older one.
// Seed 003's factory: relays by the names of a configuration, whose workers start and stop with the program.
import * as v from "valibot";
import { relays } from "../../src/config/mod.ts";

const factory = relays({
  jobs: { greeting: v.object({ value: v.string() }) },
  config: {
    queue: {
      default: { url: "memory:", concurrency: 2 },
      myQueue: { url: "memory:", concurrency: 1 },
    },
  },
});
const stop = new AbortController();

const relay = await factory.get("myQueue");
relay.handle("greeting", ({ value }) => {
  console.log(value);
  stop.abort();
});
await relay.dispatch("greeting", { value: "hello world" });
await factory.run({ signal: stop.signal });
await factory.close();
