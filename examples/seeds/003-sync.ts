// Run it: npm install, then node examples/seeds/003-sync.ts on Node 22.18 or later, or npx tsx examples/seeds/003-sync.ts on an older one.
// Seed 003's synchronous dispatcher: listeners run in the caller, one for each type.
import * as v from "valibot";
import { createRelay } from "../../mod.ts";

const dispatcher = createRelay({ jobs: { int: v.number(), string: v.string() }, inline: true });
dispatcher.handle("int", (data) => console.log(data));
dispatcher.handle("string", (data) => console.log(data));

await dispatcher.dispatch("int", 100);
await dispatcher.dispatch("string", "Job");
await dispatcher.close();
