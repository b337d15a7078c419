// Run it: npm install, then node examples/03-two-processes.ts on Node 22.18 or later.
// In your own program: "@relevo/relevo" instead of "../mod.ts", "@relevo/relevo/connect" instead of "../src/connect.ts".
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import * as v from "valibot";
import { createRelay } from "../mod.ts";
import { connect } from "../src/connect.ts";

// The first process makes the file's folder and starts a second one with it.
const [given] = process.argv.slice(2);
const folder = given ?? mkdtempSync(join(tmpdir(), "relevo-"));
const transport = await connect(`sqlite:${encodeURIComponent(join(folder, "jobs.db"))}`);
const relay = createRelay({ jobs: { square: v.object({ n: v.number() }) }, transport });

if (given === undefined) {
  for (const n of [1, 2, 3]) await relay.dispatch("square", { n });
  console.log("dispatched 3 jobs, and nobody is there to handle them");
  await once(fork(fileURLToPath(import.meta.url), [folder]), "exit");
  const { waiting, reserved } = await relay.info();
  console.log(`left to do: ${waiting + reserved}`);
} else {
  const worker = relay.worker({ concurrency: 1 });
  relay.handle("square", ({ n }) => {
    console.log(`another process squares ${n}: ${n * n}`);
    if (n === 3) void worker.stop();
  });
  await worker.run();
}
await relay.close();
if (given === undefined) rmSync(folder, { recursive: true });
