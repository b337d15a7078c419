// Run it: npm install, then node examples/seeds/002-welcome.ts on Node 22.18 or later, or npx tsx examples/seeds/002-welcome.ts on an older one.
// Seed 002's welcome mail: a queue in memory, a worker beside the program, a job by its name.
import * as v from "valibot";
import { createRelay } from "../../mod.ts";

const mailer = { send: (mail: string) => console.log(mail) };

const queue = createRelay({ jobs: { SendWelcomeEmail: v.object({ userId: v.number() }) } });
queue.handle("SendWelcomeEmail", ({ userId }) => mailer.send(`Welcome, user ${userId}`));

const worker = queue.worker();
const running = worker.run();
queue.events.addEventListener("completed", () => void worker.stop());
await queue.dispatch("SendWelcomeEmail", { userId: 42 });
await running;
await queue.close();
