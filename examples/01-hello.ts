// Run it: npm install, then node examples/01-hello.ts on Node 22.18 or later, or npx tsx examples/01-hello.ts on an older one.
// In your own program: "@relevo/relevo" instead of "../mod.ts", which needs no build here.
import * as v from "valibot";
import { createRelay } from "../mod.ts";

const jobs = {
  "email.welcome": v.object({ userId: v.number(), name: v.pipe(v.string(), v.trim()) }),
};

// Without a transport the jobs live in the memory of this process.
const relay = createRelay({ jobs });

relay.handle("email.welcome", ({ userId, name }) => {
  console.log(`Welcome, ${name}! (user ${userId})`);
});

const first = await relay.dispatch("email.welcome", { userId: 1, name: "  Ada " }, { id: "welcome:1" });
const again = await relay.dispatch("email.welcome", { userId: 1, name: "Ada" }, { id: "welcome:1" });
await relay.dispatch("email.welcome", { userId: 2, name: "Grace" });
console.log(`${first.id} was ${first.status}, then refused as a ${again.status}`);

// A wrong payload does not compile; one that comes from outside is refused before anything is stored.
const outside = JSON.parse('{ "userId": "3", "name": "Alan" }');
await relay.dispatch("email.welcome", outside).catch((error) => console.log(error.message));

const { completed } = await relay.drain();
console.log(`${completed} jobs completed`);
await relay.close();
